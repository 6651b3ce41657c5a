#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Unmodified curl authenticates with the PEM reference, beside its certificate or in one file with it, TLS 1.2 and 1.3,
# keys on the file token and on SoftHSM; the counting module proves that the token signed.
. "$(dirname "$0")/../lib/story.sh"

make_ca
make_server

# call TLS LABEL CURL-OPTION...: one request, and who the server saw.
call() {
    local version=$1 label=$2
    shift 2
    curl -sS --tlsv1."$version" --tls-max 1."$version" --cacert "$WORK/ca.pem" "$@" "https://127.0.0.1:$PORT/" \
        >"$WORK/answer"
    expect "Subject: CN=$label" "$WORK/answer"
    grep -qE "Protocol *: TLSv1\.$version" "$WORK/answer" || fail "not TLS 1.$version: $(cat "$WORK/answer")"
}

# story TOKEN: a credential of each type on the token.
story() {
    local type label version
    for type in rsa:2048 p256 p384 ed25519; do
        label=$1-${type%%:*}
        step "$label"
        make_referenced "$1" "$label" "$type"
        hsmux cert "hsm:$1/cert/$label" --out "$WORK/$label.chain"
        expect "BEGIN HSMUX KEY REFERENCE" "$WORK/$label.ref"
        cat "$WORK/$label.chain" "$WORK/$label.ref" >"$WORK/$label.both"
        for version in 2 3; do
            signed 1 call $version "$label" --cert "$WORK/$label.chain" --key "$WORK/$label.ref"
            signed 1 call $version "$label" --cert "$WORK/$label.both"
        done
    done
}

start_server
use_provider
on_both_tokens story

step "without a certificate the server says no"
expect_fail "alert" curl -sS --cacert "$WORK/ca.pem" "https://127.0.0.1:$PORT/"

step "without the provider, the reference is no key"
expect_fail "unable to set private key file" env OPENSSL_CONF=/dev/null curl -sS --cacert "$WORK/ca.pem" \
    --cert "$WORK/soft-p256.both" "https://127.0.0.1:$PORT/"
