#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The openssl command decrypts with a token's RSA key: OAEP always, PKCS#1 v1.5 only where the administrator allowed it,
# and then bad padding gives the same bytes in every process and never an error.
. "$(dirname "$0")/../lib/story.sh"

plain() {
    OPENSSL_CONF=/dev/null openssl "$@"
}

oaep() {
    printf ' -pkeyopt %s' rsa_padding_mode:oaep "$@"
}

# both_ways KEY OPTION...: what software encrypts for the key, the token decrypts; so it does what we encrypt.
both_ways() {
    local key=$1
    shift
    plain pkeyutl -encrypt -pubin -inkey "$WORK/device.pub" -in "$WORK/message" "$@" -out "$WORK/cipher"
    openssl pkeyutl -decrypt -inkey "$key" -in "$WORK/cipher" "$@" | cmp - "$WORK/message"
    openssl pkeyutl -encrypt -inkey "$key" -in "$WORK/message" "$@" -out "$WORK/cipher"
    openssl pkeyutl -decrypt -inkey "$key" -in "$WORK/cipher" "$@" | cmp - "$WORK/message"
}

# decrypts TOKEN
decrypts() {
    local key label
    label=$(printf 'a label' | od -An -tx1 | tr -d ' ')
    hsmux key generate device --token "$1" --type rsa:2048
    hsmux ref "hsm:$1/key/device" --out "$WORK/device.ref"
    openssl pkey -in "$WORK/device.ref" -pubout -out "$WORK/device.pub"
    for key in "$WORK/device.ref" "hsm:$1/key/device"; do
        step "$1: oaep, ${key##*/}"
        # shellcheck disable=SC2046
        {
            both_ways "$key" $(oaep)
            both_ways "$key" $(oaep rsa_oaep_md:sha256)
            both_ways "$key" $(oaep rsa_oaep_md:sha512 rsa_mgf1_md:sha1)
            both_ways "$key" $(oaep rsa_oaep_md:sha256 "rsa_oaep_label:$label")
            expect_fail "decrypt" openssl pkeyutl -decrypt -inkey "$key" -in "$WORK/cipher" $(oaep rsa_oaep_md:sha256)
        }
    done
}

# refuses TOKEN: padding that attackers learn from, with a word on what to do.
refuses() {
    local key=hsm:$1/key/device mode
    for mode in pkcs1 none; do
        step "$1: padding $mode is switched off"
        expect_fail "allow-rsa-pkcs1-decrypt = yes" openssl pkeyutl -decrypt -inkey "$key" -in "$WORK/cipher" \
            -pkeyopt rsa_padding_mode:$mode
        expect "decryption with padding $mode is switched off" "$WORK/said"
        expect "use oaep" "$WORK/said"
    done
}

# setting LINE: openssl.cnf with this line in our section.
setting() {
    hsmux openssl-conf | sed "s|^module = .*/hsmux.so|&\n$1|" >"$WORK/openssl.cnf"
    expect "$1" "$WORK/openssl.cnf"
    export OPENSSL_CONF=$WORK/openssl.cnf
}

# allowed TOKEN: pkcs1 decrypts; what is none of it decrypts as well, to the same in each process.
allowed() {
    local key=hsm:$1/key/device i
    setting "allow-rsa-pkcs1-decrypt = yes"
    step "$1: pkcs1, when it is allowed"
    both_ways "$key"
    both_ways "$key" -pkeyopt rsa_padding_mode:pkcs1
    for i in 1 2 3 4 5; do
        (printf '\1' && head -c 255 /dev/urandom) >"$WORK/cipher"
        openssl pkeyutl -decrypt -inkey "$key" -in "$WORK/cipher" -out "$WORK/decoy" 2>"$WORK/err"
        openssl pkeyutl -decrypt -inkey "$WORK/device.ref" -in "$WORK/cipher" -out "$WORK/again" 2>>"$WORK/err"
        cmp "$WORK/decoy" "$WORK/again"
        [ ! -s "$WORK/err" ] || fail "round $i: $(cat "$WORK/err")"
    done
    setting "allow-rsa-pkcs1-decrypt = perhaps"
    step "$1: neither yes nor no"
    expect_fail "say yes or no" openssl pkeyutl -decrypt -inkey "$key" -in "$WORK/cipher"
    setting "allow-rsa-pkcs1-decrypt = no"
    refuses "$1"
}

# handshake WHAT SETTING, for a client's exit status: TLS 1.2 where the client encrypts its secret for an RSA key.
handshake() {
    local port
    step "TLS 1.2 by RSA decryption: $1"
    setting "allow-rsa-pkcs1-decrypt = $2"
    port=$(free_port)
    start "server-$2" openssl s_server -accept "127.0.0.1:$port" -cert "$WORK/device.pem" -key "$WORK/device.ref" -www
    wait_port "$port"
    plain s_client -connect "127.0.0.1:$port" -CAfile "$WORK/ca.pem" -verify_return_error -tls1_2 \
        -cipher AES128-GCM-SHA256 </dev/null >"$WORK/client" 2>&1
}

handshakes() {
    make_ca
    hsmux csr "hsm:$1/key/device" --subject /CN=device --out "$WORK/device.csr"
    issue "$WORK/device.csr" "$WORK/device.pem"
    handshake works yes || fail "$(cat "$WORK/client" "$WORK/server-yes.log")"
    expect "Cipher is AES128-GCM-SHA256" "$WORK/client"
    ! handshake refused no || fail "$(cat "$WORK/client")"
    expect "alert decrypt error" "$WORK/client"
    expect "padding pkcs1 is switched off" "$WORK/server-no.log"
}

story() {
    use_provider
    decrypts "$1"
    refuses "$1"
    allowed "$1"
    handshakes "$1"
}

echo "a secret message" >"$WORK/message"
file_ini soft
story soft
[ -n "$SOFTHSM" ] || exit 0
softhsm_token edge
softhsm_ini edge edge counted
story edge
expect C_Decrypt "$WORK/calls"
