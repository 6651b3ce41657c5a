#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# After its context is freed a process's memory holds no PIN, no passphrase and no private byte.
. "$(dirname "$0")/../lib/story.sh"

DUMP=$BUILD/tests/lib/dump
[ -x "$DUMP" ] || skip "the dumping program is not built"

# pattern HEX: for grep -P.
pattern() {
    sed 's/../\\x&/g' <<<"$1"
}

# reversed HEX: as a little-endian machine keeps a big number.
reversed() {
    fold -w2 <<<"$1" | tac | tr -d '\n'
}

absent() {
    local what=$1 hex=$2
    if LC_ALL=C grep -qaP "$(pattern "$hex")" "$WORK/memory"; then
        fail "$what is still in memory"
    fi
}

hex() {
    od -An -v -tx1 | tr -d ' \n'
}

step "the search can find something"
OPENSSL_CONF=/dev/null openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$WORK/plain.key"
file_ini soft
install -m 600 "$WORK/plain.key" "$WORK/soft/plain.key"
"$DUMP" hsm:soft/key/plain "$WORK/memory"
LC_ALL=C grep -qa 'story' "$WORK/memory" || fail "not even the directory's name is in memory"

step "a plain key of the file token"
scalar=$(openssl pkey -in "$WORK/plain.key" -outform DER | openssl asn1parse -inform DER |
    sed -n 's/.*OCTET STRING *\[HEX DUMP\]://p' | head -n 1)
[ ${#scalar} = 64 ] || fail "no private number in the key: '$scalar'"
absent "the private key" "$scalar"
absent "the private key" "$(reversed "$scalar")"

step "an encrypted key of the file token"
OPENSSL_CONF=/dev/null openssl pkcs8 -topk8 -in "$WORK/plain.key" -passout "pass:$PASSPHRASE" -out "$WORK/soft/shut.key"
chmod 600 "$WORK/soft/shut.key"
rm "$WORK/soft/plain.key"
echo "pin-file = $(pin_file "$PASSPHRASE")" >>"$HSMUX_CONF"
"$DUMP" hsm:soft/key/shut "$WORK/memory"
absent "the passphrase" "$(printf %s "$PASSPHRASE" | hex)"
absent "the private key" "$scalar"
absent "the private key" "$(reversed "$scalar")"

step "a PKCS#11 token's PIN"
softhsm_token memory
softhsm_ini edge memory
hsmux key generate inside --type p256
"$DUMP" hsm:edge/key/inside "$WORK/memory"
absent "the PIN" "$(printf %s "$PIN" | hex)"
