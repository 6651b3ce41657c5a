#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The openssl command makes keys on a token, requests, certificates and signatures with them, by address and by
# reference; what it makes is checked without our provider.
. "$(dirname "$0")/../lib/story.sh"

plain() {
    OPENSSL_CONF=/dev/null openssl "$@"
}

declare -A generate=([rsa]="RSA -pkeyopt rsa_keygen_bits:2048" [p256]="EC -pkeyopt ec_paramgen_curve:P-256"
    [p384]="EC -pkeyopt group:P-384" [ed25519]="ED25519")
declare -A curve=([p256]=P-256 [p384]=P-384)

# requests KEY NAME: a request and a certificate that verify and name the curve.
requests() {
    openssl req -new -key "$1" -subj "/CN=$2" -out "$WORK/$2.csr"
    plain req -in "$WORK/$2.csr" -verify -noout -text >"$WORK/out" 2>&1
    expect "self-signature verify OK" "$WORK/out"
    [ -z "${curve[$2]-}" ] || expect "NIST CURVE: ${curve[$2]}" "$WORK/out"
    openssl req -x509 -key "$1" -subj "/CN=$2" -days 2 -out "$WORK/$2.pem"
    plain verify -CAfile "$WORK/$2.pem" "$WORK/$2.pem" >"$WORK/out"
    openssl x509 -req -in "$WORK/$2.csr" -CA "$WORK/$2.pem" -CAkey "$1" -subj /CN=issued -days 2 \
        -out "$WORK/issued.pem" 2>"$WORK/err"
    plain verify -CAfile "$WORK/$2.pem" "$WORK/issued.pem" >"$WORK/out"
    plain x509 -in "$WORK/$2.pem" -noout -text >"$WORK/out"
    [ -z "${curve[$2]-}" ] || expect "NIST CURVE: ${curve[$2]}" "$WORK/out"
}

# hashes KEY NAME: dgst signs, and verifies with and without us.
hashes() {
    local hash
    for hash in sha256 sha384 sha512 sha224 sha3-256; do
        openssl dgst -$hash -sign "$1" -out "$WORK/sig" "$WORK/message"
        plain dgst -$hash -verify "$WORK/$2.pub" -signature "$WORK/sig" "$WORK/message" >"$WORK/out"
        openssl dgst -$hash -prverify "$1" -signature "$WORK/sig" "$WORK/message" >"$WORK/out"
    done
    expect_fail "Verification" openssl dgst -sha256 -prverify "$1" -signature "$WORK/sig" "$WORK/message"
}

# pkeyutl_signs KEY NAME HASH OPTION...
pkeyutl_signs() {
    local key=$1 name=$2 hash=$3
    shift 3
    plain dgst "-$hash" -binary "$WORK/message" >"$WORK/digest"
    openssl pkeyutl -sign -inkey "$key" -in "$WORK/digest" -pkeyopt "digest:$hash" "$@" -out "$WORK/sig"
    plain pkeyutl -verify -pubin -inkey "$WORK/$name.pub" -in "$WORK/digest" -pkeyopt "digest:$hash" "$@" \
        -sigfile "$WORK/sig" >"$WORK/out"
    openssl pkeyutl -verify -inkey "$key" -in "$WORK/digest" -pkeyopt "digest:$hash" "$@" -sigfile "$WORK/sig" \
        >"$WORK/out"
}

digests() {
    local hash salt
    for hash in sha256 sha384 sha512; do
        pkeyutl_signs "$1" "$2" $hash
        [ "$2" = rsa ] || continue
        for salt in digest max 20 -1 -2 -3; do
            pkeyutl_signs "$1" "$2" $hash -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:$salt
        done
    done
    [ "$2" = rsa ] || return 0
    for salt in -1 -2 -3 20; do
        openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:$salt -sign "$1" -out "$WORK/sig" \
            "$WORK/message"
        plain dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:$salt -verify "$WORK/$2.pub" \
            -signature "$WORK/sig" "$WORK/message" >"$WORK/out"
    done
    expect_fail "salt length" openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-5 -sign "$1" \
        "$WORK/message"
    openssl pkeyutl -sign -inkey "$1" -in "$WORK/digest" -out "$WORK/sig"
    openssl pkeyutl -verifyrecover -inkey "$1" -in "$WORK/sig" | cmp - "$WORK/digest"
    openssl req -new -key "$1" -subj /CN=pss -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest \
        -out "$WORK/pss.csr"
    plain req -in "$WORK/pss.csr" -verify -noout -text >"$WORK/out" 2>&1
    expect "Salt Length: 0x20" "$WORK/out"
}

messages() {
    openssl pkeyutl -sign -rawin -inkey "$1" -in "$WORK/message" -out "$WORK/sig"
    plain pkeyutl -verify -rawin -pubin -inkey "$WORK/$2.pub" -in "$WORK/message" -sigfile "$WORK/sig" >"$WORK/out"
    openssl pkeyutl -verify -rawin -inkey "$1" -in "$WORK/message" -sigfile "$WORK/sig" >"$WORK/out"
}

# lists TOKEN: storeutl shows the names, the objects, and a key's public half.
lists() {
    openssl storeutl -noout "hsm:$1/" >"$WORK/out"
    expect "Name: hsm:$1/key/p256" "$WORK/out"
    expect "Name: hsm:$1/cert/p256" "$WORK/out"
    openssl storeutl -noout -keys "hsm:$1/key/p256" >"$WORK/out"
    expect "0: Pkey" "$WORK/out"
    openssl storeutl -noout -certs "hsm:$1/cert/p256" >"$WORK/out"
    expect "0: Certificate" "$WORK/out"
    openssl storeutl -noout hsm: >"$WORK/out"
    expect "0: Pkey" "$WORK/out"
    expect "1: Certificate" "$WORK/out"
    expect_fail "nothing" openssl storeutl -noout "hsm:$1/key/nothing"
}

story() {
    local type
    for type in rsa p256 p384 ed25519; do
        step "$1: $type"
        # shellcheck disable=SC2086
        openssl genpkey -algorithm ${generate[$type]} -propquery '?provider=hsmux' -pkeyopt "hsm-token:$1" \
            -pkeyopt "hsm-label:$type" -out "$WORK/$type.ref" 2>"$WORK/err" || fail "genpkey: $(cat "$WORK/err")"
        expect "BEGIN HSMUX KEY REFERENCE" "$WORK/$type.ref"
        for key in "$WORK/$type.ref" "hsm:$1/key/$type"; do
            openssl pkey -in "$key" -pubout -out "$WORK/$type.pub"
            openssl pkey -in "$key" -noout -text >"$WORK/out"
            expect "Key in a token: hsm:$1/key/$type" "$WORK/out"
            requests "$key" $type
            case $type in
            ed25519) messages "$key" $type ;;
            *) hashes "$key" $type && digests "$key" $type ;;
            esac
        done
    done
    hsmux cert import "$WORK/p256.pem" --token "$1"
    lists "$1"
    step "$1: a key and its request in one go"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -propquery '?provider=hsmux' -pkeyopt "hsm-token:$1" \
        -pkeyopt hsm-label:onego -nodes -subj /CN=onego -keyout "$WORK/onego.ref" -out "$WORK/onego.csr" 2>"$WORK/err"
    expect "BEGIN HSMUX KEY REFERENCE" "$WORK/onego.ref"
    plain req -in "$WORK/onego.csr" -verify -noout 2>"$WORK/err"
}

use_provider
echo "a message" >"$WORK/message"
file_ini soft
story soft
if [ -n "$SOFTHSM" ]; then
    softhsm_token edge
    softhsm_ini edge edge
    story edge
fi
