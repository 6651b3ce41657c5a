#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# openssl makes keys on the token: genpkey, and req -newkey with a request or a certificate at once; x509 issues with
# them.  What a token cannot make is refused with the reason, and nothing is made in software instead.
. "$(dirname "$0")/../lib/story.sh"

plain() {
    OPENSSL_CONF=/dev/null openssl "$@"
}

on_token=(-propquery "?provider=hsmux")
# The words of each type for genpkey -algorithm, for req -newkey, and what req -text says of the key.
declare -A algorithm=([rsa]="RSA -pkeyopt rsa_keygen_bits:2048" [p256]="EC -pkeyopt group:P-256"
    [p384]="EC -pkeyopt group:P-384" [ed25519]="ED25519")
declare -A newkey=([rsa]="rsa:2048" [p256]="ec -pkeyopt group:P-256" [p384]="ec -pkeyopt group:P-384"
    [ed25519]="ed25519")
declare -A text=([rsa]="(2048 bit)" [p256]="NIST CURVE: P-256" [p384]="NIST CURVE: P-384"
    [ed25519]="ED25519 Public-Key")

# makes TOKEN TYPE: the reference is all that comes out.
makes() {
    # shellcheck disable=SC2086
    openssl genpkey -algorithm ${algorithm[$2]} "${on_token[@]}" -pkeyopt "hsm-token:$1" -pkeyopt "hsm-label:$2" \
        -out "$WORK/$2.ref" 2>"$WORK/err" || fail "genpkey $2: $(cat "$WORK/err")"
    expect "BEGIN HSMUX KEY REFERENCE" "$WORK/$2.ref"
    ! grep "PRIVATE KEY" "$WORK/$2.ref" || fail "a private key came out"
    openssl pkey -in "$WORK/$2.ref" -pubout -out "$WORK/$2.pub"
    openssl pkey -in "hsm:$1/key/$2" -pubout | cmp - "$WORK/$2.pub"
}

# requests TOKEN TYPE: key and request in one command.
requests() {
    # shellcheck disable=SC2086
    openssl req -new -newkey ${newkey[$2]} "${on_token[@]}" -pkeyopt "hsm-token:$1" -pkeyopt "hsm-label:req-$2" -nodes \
        -subj "/CN=req-$2" -keyout "$WORK/req-$2.ref" -out "$WORK/req-$2.csr" 2>"$WORK/err" ||
        fail "req -newkey $2: $(cat "$WORK/err")"
    expect "BEGIN HSMUX KEY REFERENCE" "$WORK/req-$2.ref"
    plain req -in "$WORK/req-$2.csr" -verify -noout -text >"$WORK/out" 2>&1
    expect "self-signature verify OK" "$WORK/out"
    expect "${text[$2]}" "$WORK/out"
}

# certifies TOKEN TYPE: key and self-signed certificate in one command, which then issues one for the request.
certifies() {
    # shellcheck disable=SC2086
    openssl req -x509 -newkey ${newkey[$2]} "${on_token[@]}" -pkeyopt "hsm-token:$1" -pkeyopt "hsm-label:x509-$2" \
        -nodes -days 2 -subj "/CN=x509-$2" -keyout "$WORK/x509-$2.ref" -out "$WORK/x509-$2.pem" 2>"$WORK/err" ||
        fail "req -x509 -newkey $2: $(cat "$WORK/err")"
    openssl x509 -req -in "$WORK/req-$2.csr" -CA "$WORK/x509-$2.pem" -CAkey "$WORK/x509-$2.ref" "${on_token[@]}" \
        -days 2 -out "$WORK/issued.pem" 2>"$WORK/err" || fail "x509 -req $2: $(cat "$WORK/err")"
    plain verify -CAfile "$WORK/x509-$2.pem" "$WORK/issued.pem" >"$WORK/out"
    hsmux cert import "$WORK/issued.pem" --token "$1"
    plain x509 -in "$WORK/issued.pem" -noout -pubkey | cmp - <(openssl pkey -in "hsm:$1/key/req-$2" -pubout)
}

# refused TOKEN REASON ALGORITHM genpkey-option...
refused() {
    local token=$1 reason=$2
    shift 2
    expect_fail "$reason" openssl genpkey "${on_token[@]}" -pkeyopt "hsm-token:$token" -out "$WORK/none.ref" \
        -algorithm "$@"
}

# refusals TOKEN
refusals() {
    hsmux list | sort >"$WORK/before"
    refused "$1" "generate" RSA -pkeyopt hsm-label:none -pkeyopt rsa_keygen_bits:20000
    refused "$1" "'primes'" RSA -pkeyopt hsm-label:none -pkeyopt rsa_keygen_primes:3
    refused "$1" "group 'secp256k1'" EC -pkeyopt hsm-label:none -pkeyopt group:secp256k1
    refused "$1" "curves have names here" EC -pkeyopt hsm-label:none -pkeyopt group:P-256 \
        -pkeyopt ec_param_enc:explicit
    refused "$1" "rsa_keygen_bits" EC -pkeyopt hsm-label:none -pkeyopt rsa_keygen_bits:2048
    refused nowhere "no [token nowhere]" EC -pkeyopt hsm-label:none
    refused "$1" "hsm-token:$1" X25519 -pkeyopt hsm-label:none
    refused "$1" "exists already" EC -pkeyopt hsm-label:p256
    hsmux list | sort | diff "$WORK/before" - || fail "something was made"
}

story() {
    local type
    for type in rsa p256 p384 ed25519; do
        step "$1: $type"
        makes "$1" $type
        signed 1 requests "$1" $type
        signed 2 certifies "$1" $type
    done
    step "$1: refused"
    refusals "$1"
}

use_provider
on_both_tokens story

step "without -propquery the key would be a software one, which has no label"
expect_fail "hsm-label:none" openssl genpkey -algorithm EC -pkeyopt group:P-256 -pkeyopt hsm-label:none
