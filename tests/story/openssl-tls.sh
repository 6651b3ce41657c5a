#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# openssl s_server and s_client, both with keys of a token, on TLS 1.2 and 1.3, for each key type; by reference, by
# address, and with certificate and reference in one file.  The counting module proves that the token signed for both.
. "$(dirname "$0")/../lib/story.sh"

declare -A signature=([rsa]=RSA-PSS [p256]=ECDSA [p384]=ECDSA [ed25519]=ed25519)

declare -A word=([rsa]=rsa:2048)

# serves TYPE VERSION: a server whose key is in the token; its port in $PORT.
serves() {
    PORT=$(free_port)
    start "server-$1$2" openssl s_server -accept "127.0.0.1:$PORT" -cert "$WORK/$1.pem" -key "$WORK/$1.ref" \
        -CAfile "$WORK/ca.pem" -Verify 1 -verify_return_error -www "$2"
    wait_port "$PORT"
}

# connects TYPE VERSION CLIENT-OPTION...: the client reads the server's page, so both have seen each other's signature.
connects() {
    local type=$1 version=$2
    shift 2
    echo "GET / HTTP/1.0" | openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$WORK/ca.pem" -verify_return_error \
        -ign_eof "$version" "$@" >"$WORK/out" 2>"$WORK/err" || fail "s_client $*: $(cat "$WORK/out" "$WORK/err")"
    expect "Verify return code: 0 (ok)" "$WORK/out"
    expect "Peer signature type: ${signature[$type]}" "$WORK/out"
    expect "HTTP/1.0 200 ok" "$WORK/out"
}

story() {
    local type version
    for type in rsa p256 p384 ed25519; do
        make_referenced "$1" "$type" "${word[$type]-$type}"
        cat "$WORK/$type.pem" "$WORK/$type.ref" >"$WORK/$type.both"
        for version in -tls1_2 -tls1_3; do
            step "$1: $type $version"
            serves "$type" "$version"
            signed 2 connects "$type" "$version" -cert "$WORK/$type.pem" -key "$WORK/$type.ref"
            signed 2 connects "$type" "$version" -cert "$WORK/$type.both" -key "$WORK/$type.both"
            signed 2 connects "$type" "$version" -cert "hsm:$1/cert/$type" -key "hsm:$1/key/$type"
        done
    done
}

make_ca
use_provider
on_both_tokens story
