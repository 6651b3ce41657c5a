#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A device's primary key comes onto the token as base64 and cannot leave it again; `hsmux sas` makes shared access
# signatures with it, each the same as python computes from the key; and HMACs with every hash are openssl's.
. "$(dirname "$0")/../lib/story.sh"

CLOCK=$BUILD/tests/lib/old-clock.so
key=$WORK/primary-key
head -c 32 /dev/urandom | base64 >"$key"
secret=$(cat "$key")
HUB=example.azure-devices.net/devices

# good TTL RESOURCE [POLICY]: the token is the computed one, and expires when it should.
good() {
    local ttl=$1 resource=$2 before after expiry
    shift 2
    before=$(date +%s)
    hsmux sas --resource "$resource" --ttl "$ttl" ${1+--policy "$1"} >"$WORK/sas"
    after=$(date +%s)
    expiry=$(sed -n 's/.*&se=\([0-9]*\).*/\1/p' "$WORK/sas")
    sas_of "$key" "$resource" "$expiry" "$@" | diff - "$WORK/sas" || fail "another signature for '$resource'"
    # time() is some milliseconds behind the clock that date reads.
    [ $((expiry - ttl)) -ge $((before - 1)) ] || fail "expires at $expiry"
    [ $((expiry - ttl)) -le "$after" ] || fail "expires at $expiry"
}

# refuses TEXT FILE: it is no base64, and nothing is made of it.
refuses() {
    expect_error "$1" hsmux import --secret --base64 --label bad "$2"
}

# Every base64 that means the same key.
forms() {
    tr -d '\n' <"$key" >"$WORK/form"
    again
    sed 's/$/\r/' "$key" >"$WORK/form"
    again
    fold -w 20 "$key" | sed 's/^/  /; s/$/\t/' >"$WORK/form"
    again
    (echo; cat "$key"; echo) >"$WORK/form"
    again
}

again() {
    hsmux import --replace --secret --base64 --label sas - <"$WORK/form"
    good 60 $HUB/device-1
}

story() {
    step "$1: no secret yet"
    expect_error "hsmux import --secret --base64" hsmux sas --resource $HUB/device-1 --ttl 3600
    step "$1: the primary key, from standard input"
    hsmux import --secret --base64 --label sas - <"$key" | tee "$WORK/said"
    expect "hsm:$1/secret/sas" "$WORK/said"
    step "$1: tokens"
    good 3600 $HUB/device-1
    good 1 $HUB/device-1
    good 31622400 0ne000A1B2C/registrations/device-1 registration
    for resource in "a b/c+d&e=f%2F?#g" "h\"i'j;k\\l" "$(printf 'schl\303\274ssel\nsr=x')" "-._~!*()@,:\$"; do
        good 60 "$resource" "$resource"
    done
    signed 1 hsmux sas --resource $HUB/device-1 --ttl 60 --key "hsm:$1/secret/sas" >"$WORK/sas"
    step "$1: the same base64 in other shapes"
    forms
    step "$1: HMACs with every hash" # of a key as long as the longest, since SoftHSM wants that
    head -c 64 /dev/urandom >"$WORK/long"
    hsmux import --secret "$WORK/long"
    for hash in sha1 sha256 sha384 sha512; do
        hsmux sign "hsm:$1/secret/long" --hash $hash --hex <"$0" >"$WORK/tag"
        openssl dgst -$hash -mac HMAC -macopt "hexkey:$(od -An -v -tx1 "$WORK/long" | tr -d ' \n')" "$0" |
            sed 's/.*= //' | diff - "$WORK/tag"
    done
    hsmux remove -y "hsm:$1/secret/long"
    step "$1: the key stays"
    hsmux list --token "$1" | grep "^hsm:$1/secret/sas " >"$WORK/said"
    if [ "$1" = edge ]; then
        expect unreadable "$WORK/said"
    fi
    if grep extractable "$WORK/said"; then
        fail "the key may leave"
    fi
    step "$1: two secrets"
    hsmux import --secret --base64 --label spare "$key"
    expect_error "'hsm:$1/secret/sas', 'hsm:$1/secret/spare'; --key ADDRESS names it" \
        hsmux sas --resource $HUB/device-1 --ttl 60
    hsmux sas --resource $HUB/device-1 --ttl 60 --key "hsm:$1/secret/spare" >"$WORK/sas"
    hsmux key generate signer
    expect_error "is no secret key" hsmux sas --resource $HUB/device-1 --ttl 60 --key "hsm:$1/key/signer"
    expect_error "is no secret key" hsmux sas --resource $HUB/device-1 --ttl 60 --key hsm:
    hsmux remove -y "hsm:$1/secret/spare"
    good 60 $HUB/device-1
}

on_both_tokens story

step "what is no base64 is refused in one line that does not tell it"
file_ini soft
printf 'QUJD-REVG\n' >"$WORK/bad" # base64url
refuses "'$WORK/bad': is no base64" "$WORK/bad"
for text in QUJDRA 'QUJDRA=' 'QUJDRA===' 'QUJD!EVG' 'QUI=QUJD' 'QUJD=' '====' 'A' 'primary key'; do
    printf '%s\n' "$text" >"$WORK/bad"
    refuses "is no base64" "$WORK/bad"
    ! sed "s|$WORK||" "$WORK/err" | grep -F "$text" || fail "the line holds what was in the file"
done
printf 'QUJD\0REVG' >"$WORK/bad"
refuses "is no base64" "$WORK/bad"
: >"$WORK/bad"
refuses "is empty" "$WORK/bad"
expect_error "standard input" hsmux import --secret --base64 --label bad - <"$WORK/bad"
echo 'no base64!' >"$WORK/bad"
expect_error "'standard input': is no base64" hsmux import --secret --base64 --label bad - <"$WORK/bad"

step "options"
expect_error "'--resource' says it" hsmux sas --ttl 60
expect_error "'--resource' says it" hsmux sas --resource "" --ttl 60
expect_error "'--ttl' says it" hsmux sas --resource x
for ttl in 0 -1 +60 60s 1e3 " 60" "" 31622401 9223372036854775807 9223372036854775808 99999999999999999999999 0x10; do
    expect_error "is no number of seconds from 1 to 31622400" hsmux sas --resource x "--ttl=$ttl"
done
expect_error "policy's name is empty" hsmux sas --resource x --ttl 60 --policy ""
expect_error "one argument too many" hsmux sas --resource x --ttl 60 word

step "a token that cannot be looked at might hold another one"
printf '%s\n' "[token lost]" "plugin = file" "directory = $WORK/said" >>"$HSMUX_CONF"
expect_error "--key ADDRESS names the secret key all the same" hsmux sas --resource x --ttl 60
hsmux sas --resource x --ttl 60 --key hsm:soft/secret/sas >"$WORK/sas"
sed -i '/lost/,$d' "$HSMUX_CONF"
good 60 x

step "a clock that was never set"
for now in 0 -1 86400 1577836799; do
    OLD_CLOCK=$now LD_PRELOAD=$CLOCK expect_error "set the clock first" hsmux sas --resource x --ttl 60
done
expect "the clock says 2019-12-31" "$WORK/err"
OLD_CLOCK=1577836800 LD_PRELOAD=$CLOCK hsmux sas --resource x --ttl 60 >"$WORK/sas"
sas_of "$key" x 1577836860 | diff - "$WORK/sas"

step "the key was in nothing that was said"
if grep -rlF -- "$secret" "$WORK" | grep -v -e "$key" -e "$WORK/form"; then
    fail "these hold the key"
fi
