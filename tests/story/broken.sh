#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# With a broken INI, an absent device or no credential, software keys go on working untouched while the provider is on,
# and what concerns us is one clear error.
. "$(dirname "$0")/../lib/story.sh"

make_ca
make_server
OPENSSL_CONF=/dev/null openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=software \
    -keyout "$WORK/software.key" -out "$WORK/software.csr" 2>/dev/null
issue "$WORK/software.csr" "$WORK/software.pem"
file_ini soft
use_provider
make_credential soft device
hsmux ref hsm:soft/key/device --out "$WORK/device.ref"
start_server
echo message >"$WORK/message"

software_works() {
    local algorithm
    for algorithm in "RSA -pkeyopt rsa_keygen_bits:2048" "EC -pkeyopt ec_paramgen_curve:P-256" ED25519; do
        # shellcheck disable=SC2086
        openssl genpkey -quiet -algorithm $algorithm -out "$WORK/any.key" 2>/dev/null ||
            openssl genpkey -algorithm $algorithm -out "$WORK/any.key" 2>"$WORK/err" || fail "genpkey: $(cat "$WORK/err")"
        openssl req -new -x509 -key "$WORK/any.key" -subj /CN=any -out "$WORK/any.pem"
        openssl verify -CAfile "$WORK/any.pem" "$WORK/any.pem" >"$WORK/out"
    done
    openssl dgst -sha256 -sign "$WORK/software.key" -out "$WORK/signature" "$WORK/message"
    openssl dgst -sha256 -verify <(openssl pkey -in "$WORK/software.key" -pubout) -signature "$WORK/signature" \
        "$WORK/message"
    curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/software.pem" --key "$WORK/software.key" \
        "https://127.0.0.1:$PORT/" >"$WORK/answer"
    expect "Subject: CN=software" "$WORK/answer"
}

# broken TEXT: what the tool and OpenSSL say about our key, and that software keys work.
broken() {
    expect_error "$1" hsmux ref
    expect_fail "$1" openssl dgst -sha256 -sign "$WORK/device.ref" "$WORK/message"
    software_works
}

step "all is well"
openssl dgst -sha256 -sign "$WORK/device.ref" -out "$WORK/signature" "$WORK/message"
software_works

step "no credential"
file_ini empty
expect_error "no credential" hsmux ref
software_works

step "an INI with junk"
ini "[token soft]" "plugin = file" "direktory = $WORK/soft"
broken "hsmux.conf:3: "

step "an INI of binary junk"
head -c 3000 /dev/urandom >"$WORK/hsmux.conf"
broken "hsmux.conf:"

step "no such configuration"
export HSMUX_CONF=$WORK/nowhere.conf
broken "nowhere.conf"

step "a plugin that does not exist"
ini "[token soft]" "plugin = nosuch"
broken "nosuch"

step "a module that does not exist"
ini "[token soft]" "plugin = pkcs11" "module = /usr/lib/nosuch.so"
broken "nosuch.so"

step "a device that is not there"
softhsm_token here
ini "[token soft]" "plugin = pkcs11" "module = $SOFTHSM" "token = absent" "pin-file = $(pin_file "$PIN")"
broken "absent"
