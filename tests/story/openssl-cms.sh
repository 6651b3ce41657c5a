#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# openssl cms and smime with keys of a token: they sign with and without -md, and decrypt what was encrypted for RSA
# (OAEP; PKCS#1 v1.5 only where that is allowed) and EC recipients.  The other side never has our provider.
. "$(dirname "$0")/../lib/story.sh"

plain() {
    OPENSSL_CONF=/dev/null openssl "$@"
}

# verifies LABEL ALGORITHM OPTION...: sign so, and let the default provider see the signer, the message and how.
verifies() {
    local label=$1 algorithm=$2 key=$WORK/$1.ref
    shift 2
    if [ "${1-}" = -inkey ]; then
        key=$2
        shift 2
    fi
    openssl cms -sign -in "$WORK/message" -signer "$WORK/$label.pem" -inkey "$key" -nodetach -outform DER \
        -out "$WORK/signed" "$@"
    plain cms -verify -inform DER -in "$WORK/signed" -CAfile "$WORK/ca.pem" -binary -out "$WORK/out" 2>"$WORK/err"
    expect "a message" "$WORK/out"
    plain cms -cmsout -print -inform DER -in "$WORK/signed" >"$WORK/out"
    expect "algorithm: $algorithm " "$WORK/out"
}

# signs TOKEN
signs() {
    local type label
    for type in rsa p256 p384; do
        label=$1-$type
        step "$1: cms -sign with $type"
        signed 1 verifies "$label" sha256
        signed 1 verifies "$label" sha512 -md sha512
    done
    signed 1 verifies "$1-rsa" rsassaPss -keyopt rsa_padding_mode:pss
    signed 1 verifies "$1-rsa" sha256 -inkey "hsm:$1/key/$1-rsa"
    step "$1: smime -sign"
    openssl smime -sign -in "$WORK/message" -signer "$WORK/$1-rsa.pem" -inkey "hsm:$1/key/$1-rsa" -out "$WORK/signed"
    plain smime -verify -in "$WORK/signed" -CAfile "$WORK/ca.pem" -out "$WORK/out" 2>"$WORK/err"
    expect "a message" "$WORK/out"
}

# encrypts LABEL OPTION...
encrypts() {
    local label=$1
    shift
    plain cms -encrypt -in "$WORK/message" -aes256 -outform DER -out "$WORK/sealed" -recip "$WORK/$label.pem" "$@"
}

# decrypts LABEL KEY
decrypts() {
    openssl cms -decrypt -inform DER -in "$WORK/sealed" -recip "$WORK/$1.pem" -inkey "$2" >"$WORK/out" 2>"$WORK/err" ||
        fail "cms -decrypt: $(cat "$WORK/err")"
    expect "a message" "$WORK/out"
}

# opens TOKEN: by key agreement and by OAEP, with the reference and the address.
opens() {
    local label
    for label in "$1-p256" "$1-p384"; do
        step "$1: cms -decrypt for $label, by key agreement"
        encrypts "$label"
        decrypts "$label" "$WORK/$label.ref"
        decrypts "$label" "hsm:$1/key/$label"
        encrypts "$label" -keyopt ecdh_kdf_md:sha384
        decrypts "$label" "$WORK/$label.ref"
    done
    label=$1-rsa
    step "$1: cms -decrypt for $label, by OAEP"
    encrypts "$label" -keyopt rsa_padding_mode:oaep
    decrypts "$label" "$WORK/$label.ref"
    decrypts "$label" "hsm:$1/key/$label"
    encrypts "$label" -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256
    decrypts "$label" "$WORK/$label.ref"
}

# refuses TOKEN: OpenSSL hides why, lest an attacker learn it, unless it is asked to tell; what it gives out, an error
# or garbage, then depends on a key that it made up.
refuses() {
    local label=$1-rsa
    step "$1: PKCS#1 v1.5 is switched off"
    encrypts "$label"
    openssl cms -decrypt -inform DER -in "$WORK/sealed" -recip "$WORK/$label.pem" -inkey "$WORK/$label.ref" \
        >"$WORK/out" 2>"$WORK/err" || cat "$WORK/err"
    ! grep "a message" "$WORK/out" || fail "decrypted all the same"
    expect_fail "allow-rsa-pkcs1-decrypt = yes" openssl cms -decrypt -debug_decrypt -inform DER -in "$WORK/sealed" \
        -recip "$WORK/$label.pem" -inkey "$WORK/$label.ref"
    plain smime -encrypt -aes256 -in "$WORK/message" -out "$WORK/mail" "$WORK/$label.pem"
    openssl smime -decrypt -in "$WORK/mail" -recip "$WORK/$label.pem" -inkey "$WORK/$label.ref" >"$WORK/out" \
        2>"$WORK/err" || cat "$WORK/err"
    ! grep "a message" "$WORK/out" || fail "decrypted all the same"
}

# allowed TOKEN
allowed() {
    local label=$1-rsa
    step "$1: PKCS#1 v1.5, where allow-rsa-pkcs1-decrypt = yes"
    sed "s|^module = .*/hsmux.so|&\nallow-rsa-pkcs1-decrypt = yes|" "$WORK/openssl.cnf" >"$WORK/allowed.cnf"
    OPENSSL_CONF=$WORK/allowed.cnf decrypts "$label" "$WORK/$label.ref"
    OPENSSL_CONF=$WORK/allowed.cnf openssl smime -decrypt -in "$WORK/mail" -recip "$WORK/$label.pem" \
        -inkey "$WORK/$label.ref" -out "$WORK/out"
    expect "a message" "$WORK/out"
}

# story TOKEN
story() {
    local type
    for type in rsa:2048 p256 p384; do
        make_referenced "$1" "$1-${type%:*}" "$type"
    done
    signs "$1"
    opens "$1"
    refuses "$1"
    allowed "$1"
}

echo "a message" >"$WORK/message"
make_ca
use_provider
on_both_tokens story
[ ! -e "$WORK/calls" ] || expect C_Decrypt "$WORK/calls"
[ ! -e "$WORK/calls" ] || expect C_DeriveKey "$WORK/calls"

step "Ed25519: OpenSSL 3.0 knows no digest for it here, of software keys neither"
file_ini soft
make_referenced soft soft-ed25519 ed25519
expect_fail "no default digest" openssl cms -sign -in "$WORK/message" -signer "$WORK/soft-ed25519.pem" \
    -inkey "$WORK/soft-ed25519.ref"

step "without the provider, the reference is no key"
expect_fail "Could not read" env OPENSSL_CONF=/dev/null openssl cms -sign -in "$WORK/message" \
    -signer "$WORK/soft-p256.pem" -inkey "$WORK/soft-p256.ref"
