#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tokens as others leave them: keys of types that nobody knows, ids shared by strangers or empty, two keys of one label,
# certificates without keys, a PKCS#12 credential without any public half, 200 keys, two tokens of one module.  The one
# credential is found all the same, or the error names both.
. "$(dirname "$0")/../lib/story.sh"

ODD=$BUILD/tests/lib/odd-objects
[ -x "$ODD" ] || skip "the program that makes odd objects is not built"
[ -n "$SOFTHSM" ] || skip "SoftHSM is not installed"
command -v pkcs11-tool >/dev/null || skip "pkcs11-tool is not installed"
make_ca

# on TOKEN PKCS11-TOOL-OPTION...
on() {
    local token=$1
    shift
    pkcs11-tool --module "$SOFTHSM" --token-label "$token" --login --pin "$PIN" "$@" >/dev/null 2>"$WORK/err" ||
        fail "pkcs11-tool $*: $(cat "$WORK/err")"
}

# software NAME [CURVE]: a key in $WORK/NAME.key, a certificate of it in NAME.pem and NAME.der.
software() {
    OPENSSL_CONF=/dev/null openssl req -newkey ec -pkeyopt "ec_paramgen_curve:${2:-P-256}" -nodes -subj "/CN=$1" \
        -keyout "$WORK/$1.key" -out "$WORK/$1.csr" 2>/dev/null
    issue "$WORK/$1.csr" "$WORK/$1.pem"
    openssl x509 -in "$WORK/$1.pem" -outform DER -out "$WORK/$1.der"
    openssl pkey -in "$WORK/$1.key" -pubout -outform DER -out "$WORK/$1.pub"
}

# private_only TOKEN NAME LABEL ID: the key alone, as tools that take PKCS#12 apart leave it.
private_only() {
    softhsm2-util --import "$WORK/$2.key" --token "$1" --label "$3" --id "$4" --pin "$PIN" --no-public-key >/dev/null
}

# finds KEY SUBJECT: that is the credential.
finds() {
    hsmux status >"$WORK/said" 2>&1 || fail "$(cat "$WORK/said")"
    grep -qF "ok credential       $1" "$WORK/said" || fail "not $1: $(cat "$WORK/said")"
    expect "a test signature was made and verified" "$WORK/said"
    hsmux cert | openssl x509 -noout -subject -nameopt RFC2253 >"$WORK/answer"
    expect "CN=$2" "$WORK/answer"
}

step "keys of types that nobody knows"
softhsm_token zoo
softhsm_ini zoo zoo counted
"$ODD" "$SOFTHSM" zoo "$PIN" dsa dh
"$ODD" "$SOFTHSM" zoo "$PIN" gost || echo "this SoftHSM takes no GOST key"
on zoo --keypairgen --key-type EC:secp256k1 --label koblitz --id 61
on zoo --keygen --key-type AES:16 --label aes --id 62
make_credential zoo tame
for vendor in "" yes; do
    [ -z "$vendor" ] || export P11_COUNTER_VENDOR=$vendor
    finds hsm:zoo/key/tame tame
    hsmux list >"$WORK/said"
    ! grep -E 'key/(dsa|dh|gost|koblitz|aes)' "$WORK/said" || fail "a key of an unknown type is listed"
done
unset P11_COUNTER_VENDOR

step "keys without certificates, certificates without keys"
hsmux key generate bare
for name in stranger other; do
    software $name
    on zoo --write-object "$WORK/$name.der" --type cert --label $name --id 6f6f
done
finds hsm:zoo/key/tame tame

step "an id shared by unrelated objects: the key's own certificate counts"
softhsm_token shared
softhsm_ini shared shared
for name in mine yours; do
    software $name
done
on shared --write-object "$WORK/yours.der" --type cert --label yours --id 01
on shared --write-object "$WORK/other.der" --type cert --label other --id 01
on shared --keygen --key-type GENERIC:32 --label secret --id 01
on shared --write-object "$WORK/other.pub" --type pubkey --label other --id 01
softhsm2-util --import "$WORK/mine.key" --token shared --label mine --id 01 --pin "$PIN" >/dev/null
on shared --write-object "$WORK/mine.der" --type cert --label mine --id 02
finds hsm:shared/key/mine mine

step "no id at all"
softhsm_token nameless
softhsm_ini nameless nameless
on nameless --write-object "$WORK/mine.key" --type privkey --label mine
on nameless --write-object "$WORK/mine.pub" --type pubkey --label mine
on nameless --write-object "$WORK/yours.der" --type cert --label yours
on nameless --write-object "$WORK/mine.der" --type cert --label mine
finds hsm:nameless/key/mine mine

step "a key without a public half: the certificate of its id that verifies a test signature"
softhsm_token p12
softhsm_ini p12 p12 counted
private_only p12 mine friendly 0a
on p12 --write-object "$WORK/yours.der" --type cert --label friendly --id 0a
on p12 --write-object "$WORK/mine.der" --type cert --label friendly --id 0a
finds hsm:p12/key/friendly mine
use_provider
hsmux ref --out "$WORK/mine.ref"
echo hello >"$WORK/hello"
signed 1 openssl dgst -sha256 -sign "$WORK/mine.ref" -out "$WORK/signature" "$WORK/hello"
openssl dgst -sha256 -verify <(openssl x509 -in "$WORK/mine.pem" -noout -pubkey) -signature "$WORK/signature" \
    "$WORK/hello"
unset OPENSSL_CONF

step "two keys of one label"
softhsm_token twins
softhsm_ini twins twins
for name in mine yours; do
    softhsm2-util --import "$WORK/$name.key" --token twins --label twin --id "$([ $name = mine ] && echo 01 || echo 02)" \
        --pin "$PIN" >/dev/null
done
expect_error "hsm:twins/key/twin?id=01" hsmux ref hsm:twins/key/twin
expect "hsm:twins/key/twin?id=02" "$WORK/said"
expect_error "hsm:twins/key/twin?id=02" hsmux ref
hsmux ref "hsm:twins/key/twin?id=02" --out "$WORK/yours.ref"
on twins --write-object "$WORK/yours.der" --type cert --label twin --id 01
finds "hsm:twins/key/twin?id=02" yours

step "200 keys"
softhsm_token crowd
softhsm_ini crowd crowd counted
make_credential crowd device
mapfile -t keys < <(yes p256 | head -n 200)
"$ODD" "$SOFTHSM" crowd "$PIN" "${keys[@]}" >/dev/null
: >"$WORK/calls"
finds hsm:crowd/key/device device
echo "$(wc -l <"$WORK/calls") calls for status and cert"
[ "$(wc -l <"$WORK/calls")" -le 2000 ] || fail "too many calls: $(cut -d' ' -f2 "$WORK/calls" | sort | uniq -c)"
: >"$WORK/calls"
hsmux ref hsm:crowd/key/device --out "$WORK/device.ref"
echo "$(wc -l <"$WORK/calls") calls for a reference"
[ "$(wc -l <"$WORK/calls")" -le 40 ] || fail "too many calls: $(cut -d' ' -f2 "$WORK/calls" | sort | uniq -c)"

step "two tokens of one module"
softhsm_token left
softhsm_token right
ini "[token l]" "plugin = pkcs11" "module = $SOFTHSM" "token = left" "pin-file = $(pin_file "$PIN")" \
    "[token r]" "plugin = pkcs11" "module = $SOFTHSM" "token = right" "pin-file = $(pin_file "$PIN")"
make_credential r device
hsmux key generate device --token l
finds hsm:r/key/device device
make_credential l second
expect_error "hsm:l/key/second" hsmux ref
expect "hsm:r/key/device" "$WORK/said"
ini "[token both]" "plugin = pkcs11" "module = $SOFTHSM" "pin-file = $(pin_file "$PIN")"
expect_error "choose one with a line like 'token = " hsmux list
