#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The openssl command agrees on secrets with a token's key, with and without the X9.63 key derivation, and decrypts CMS
# messages that were made for its certificate without our provider.
. "$(dirname "$0")/../lib/story.sh"

plain() {
    OPENSSL_CONF=/dev/null openssl "$@"
}

# agrees KEY NAME: either side comes to the same secret, whichever of them the token holds.
agrees() {
    local kdf=(-pkeyopt kdf-type:X963KDF -pkeyopt kdf-digest:SHA256 -pkeyopt kdf-outlen:40 -pkeyopt hexkdf-ukm:0123abcd)
    plain genpkey -algorithm EC -pkeyopt "group:$2" -out "$WORK/peer.key"
    plain pkey -in "$WORK/peer.key" -pubout -out "$WORK/peer.pub"
    openssl pkey -in "$1" -pubout -out "$WORK/own.pub"
    plain pkeyutl -derive -inkey "$WORK/peer.key" -peerkey "$WORK/own.pub" -out "$WORK/expected"
    openssl pkeyutl -derive -inkey "$1" -peerkey "$WORK/peer.pub" -out "$WORK/secret"
    cmp "$WORK/secret" "$WORK/expected"
    plain pkeyutl -derive -inkey "$WORK/peer.key" -peerkey "$WORK/own.pub" "${kdf[@]}" -out "$WORK/expected"
    openssl pkeyutl -derive -inkey "$1" -peerkey "$WORK/peer.pub" "${kdf[@]}" -out "$WORK/secret"
    [ "$(stat -c %s "$WORK/secret")" = 40 ] || fail "the derived key has not 40 bytes"
    cmp "$WORK/secret" "$WORK/expected"
}

# decrypts KEY NAME: messages to its certificate, in the ways that openssl knows.
decrypts() {
    local option
    openssl req -x509 -key "$1" -subj /CN=recipient -days 2 -out "$WORK/recipient.pem"
    for option in "-aes128" "-aes256 -aes256-wrap" "-keyopt ecdh_kdf_md:sha384" "-keyopt ecdh_cofactor_mode:1" \
        "-secretkey 00112233445566778899aabbccddeeff -secretkeyid 01"; do
        # shellcheck disable=SC2086
        plain cms -encrypt -in "$WORK/message" -binary -out "$WORK/sealed" -recip "$WORK/recipient.pem" $option
        openssl cms -decrypt -in "$WORK/sealed" -recip "$WORK/recipient.pem" -inkey "$1" -out "$WORK/opened"
        cmp "$WORK/opened" "$WORK/message"
    done
    plain cms -encrypt -in "$WORK/message" -binary -out "$WORK/sealed" -recip "$WORK/recipient.pem"
    openssl cms -decrypt -in "$WORK/sealed" -inkey "$1" -out "$WORK/opened"
    cmp "$WORK/opened" "$WORK/message"
    plain cms -encrypt -in "$WORK/message" -binary -out "$WORK/sealed" -recip "$WORK/stranger.pem"
    expect_fail "Error decrypting CMS" openssl cms -decrypt -in "$WORK/sealed" -recip "$WORK/recipient.pem" -inkey "$1"
}

story() {
    local type
    for type in p256 p384 p521; do
        step "$1: $type"
        hsmux key generate $type --token "$1" --type $type
        hsmux ref "hsm:$1/key/$type" --out "$WORK/$type.ref"
        agrees "hsm:$1/key/$type" "P-${type#p}"
        agrees "$WORK/$type.ref" "P-${type#p}"
        decrypts "$WORK/$type.ref"
    done
    step "$1: the peer is on the token, our own key in a file"
    plain genpkey -algorithm EC -pkeyopt group:P-256 -out "$WORK/own.key"
    plain pkey -in "$WORK/own.key" -pubout -out "$WORK/own.pub"
    openssl pkeyutl -derive -inkey "$WORK/own.key" -peerkey "hsm:$1/key/p256" -out "$WORK/expected"
    openssl pkeyutl -derive -inkey "hsm:$1/key/p256" -peerkey "$WORK/own.pub" -out "$WORK/secret"
    cmp "$WORK/secret" "$WORK/expected"
    step "$1: a peer on another curve"
    expect_fail "not on that of 'hsm:$1/key/p384'" openssl pkeyutl -derive -inkey "hsm:$1/key/p384" \
        -peerkey "$WORK/own.pub"
}

use_provider
echo "a message to the device" >"$WORK/message"
plain req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=stranger -days 2 \
    -keyout "$WORK/stranger.key" -out "$WORK/stranger.pem" 2>"$WORK/err"
on_both_tokens story
[ ! -e "$WORK/calls" ] || expect C_DeriveKey "$WORK/calls"
