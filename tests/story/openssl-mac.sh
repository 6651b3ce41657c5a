#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The openssl command makes HMACs with a secret of the token, which are those that the same secret gives in software.
. "$(dirname "$0")/../lib/story.sh"

# mac OPTION...: with the token's secret.
mac() {
    openssl mac -propquery '?provider=hsmux' -in "$WORK/message" "$@" HSMUX-HMAC
}

story() {
    local digest
    step "$1: tags"
    hsmux import --secret --label telemetry --token "$1" "$WORK/secret"
    for digest in SHA1 SHA256 SHA384 SHA512; do
        mac -macopt "address:hsm:$1/secret/telemetry" -macopt digest:$digest >"$WORK/tag"
        OPENSSL_CONF=/dev/null openssl mac -digest $digest -macopt "hexkey:$hex" -in "$WORK/message" HMAC >"$WORK/expected"
        cmp "$WORK/tag" "$WORK/expected"
    done
    mac -macopt "address:hsm:$1/secret/telemetry" >"$WORK/tag"
    OPENSSL_CONF=/dev/null openssl mac -digest SHA256 -macopt "hexkey:$hex" -in "$WORK/message" HMAC >"$WORK/expected"
    cmp "$WORK/tag" "$WORK/expected"

    step "$1: what is refused, and why"
    expect_fail "name it by parameter 'address'" mac
    expect_fail "no object 'hsm:$1/secret/nothing'" mac -macopt "address:hsm:$1/secret/nothing"
    expect_fail "nowhere" mac -macopt address:hsm:nowhere/secret/telemetry
    expect_fail "SHA1, SHA256, SHA384, SHA512" mac -macopt "address:hsm:$1/secret/telemetry" -macopt digest:SHA3-256
    expect_fail "not cut short" mac -macopt "address:hsm:$1/secret/telemetry" -macopt size:16
    hsmux key generate device --token "$1"
    expect_fail "not a secret" mac -macopt "address:hsm:$1/key/device"
    expect_fail "pkcs11-uri = yes" mac -macopt "address:pkcs11:token=$1;object=telemetry;type=secret-key"
}

use_provider
head -c 100000 /dev/urandom >"$WORK/message"
head -c 64 /dev/urandom >"$WORK/secret"
hex=$(od -An -v -tx1 "$WORK/secret" | tr -d ' \n')
on_both_tokens story
[ -e "$WORK/calls" ] || exit 0

step "a PKCS#11 URI, when that is switched on"
sed -i 's|^module = .*/hsmux.so|&\npkcs11-uri = yes|' "$WORK/openssl.cnf"
expect "pkcs11-uri = yes" "$WORK/openssl.cnf"
mac -macopt "address:pkcs11:token=edge;object=telemetry;type=secret-key" >"$WORK/tag"
cmp "$WORK/tag" "$WORK/expected"

step "a secret that was made on the token"
pkcs11-tool --module "$SOFTHSM" --token-label edge --login --pin "$PIN" --keygen --key-type GENERIC:32 --label made \
    --sensitive >"$WORK/out" 2>"$WORK/err"
mac -macopt address:hsm:edge/secret/made >"$WORK/tag"
[ "$(wc -c <"$WORK/tag")" = 65 ] || fail "no tag of 32 bytes: $(cat "$WORK/tag")"
