#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Unmodified curl authenticates with the PEM reference, TLS 1.2 and 1.3, keys on the file token and on SoftHSM.
. "$(dirname "$0")/../lib/story.sh"

make_ca
make_server

# call TLS LABEL: one request, and who the server saw.
call() {
    curl -sS --tlsv1."$1" --tls-max 1."$1" --cacert "$WORK/ca.pem" --cert "$WORK/$2.chain" --key "$WORK/$2.ref" \
        "https://127.0.0.1:$PORT/" >"$WORK/answer"
    expect "Subject: CN=$2" "$WORK/answer"
    grep -qE "Protocol *: TLSv1\.$1" "$WORK/answer" || fail "not TLS 1.$1: $(cat "$WORK/answer")"
}

# try_types TOKEN: a credential of each type on the token.
try_types() {
    local type label version
    for type in rsa:2048 p256 p384 ed25519; do
        label=$1-${type%%:*}
        step "$label"
        make_credential "$1" "$label" "$type"
        hsmux ref "hsm:$1/key/$label" --out "$WORK/$label.ref"
        hsmux cert "hsm:$1/cert/$label" --out "$WORK/$label.chain"
        expect "BEGIN HSMUX KEY REFERENCE" "$WORK/$label.ref"
        for version in 2 3; do
            call $version "$label"
        done
    done
}

start_server
file_ini soft
use_provider
try_types soft

softhsm_token curl
softhsm_ini edge curl counted
try_types edge
step "the token signed, and not some software"
signatures=$(grep -c 'C_Sign\b' "$WORK/calls" || true)
[ "$signatures" -ge 12 ] || fail "only $signatures signatures in $WORK/calls"

step "without a certificate the server says no"
expect_fail "alert" curl -sS --cacert "$WORK/ca.pem" "https://127.0.0.1:$PORT/"
