#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Keys made elsewhere come onto the token in every form that openssl writes, and sign there.
. "$(dirname "$0")/../lib/story.sh"

echo message >"$WORK/message"
(umask 077 && printf '%s\r\n' "$PASSPHRASE" >"$WORK/passphrase")

# imported LABEL: on $token, it signs what the file's public half verifies.
imported() {
    openssl pkey -in "$WORK/plain.pem" -pubout -out "$WORK/public.pem"
    openssl pkey -pubin -in "$WORK/public.pem" -outform DER >"$WORK/public.der"
    hsmux csr "hsm:$token/key/$1" --subject "/CN=$1" | openssl req -verify -noout -pubkey 2>"$WORK/err" |
        openssl pkey -pubin -outform DER | cmp - "$WORK/public.der" || fail "another key"
    hsmux remove -y "hsm:$token/key/$1"
}

every_form() {
    local token=$1
    for algorithm in "RSA -pkeyopt rsa_keygen_bits:2048" "RSA -pkeyopt rsa_keygen_bits:3072" \
        "EC -pkeyopt ec_paramgen_curve:P-256" "EC -pkeyopt ec_paramgen_curve:P-384" "EC -pkeyopt ec_paramgen_curve:P-521" \
        ED25519; do
        step "$algorithm onto $token"
        # shellcheck disable=SC2086
        openssl genpkey -algorithm $algorithm -out "$WORK/plain.pem" 2>/dev/null
        expect "hsm:$token/key/plain" <(hsmux import "$WORK/plain.pem")
        imported plain
        openssl pkey -in "$WORK/plain.pem" -outform DER -out "$WORK/key.der"
        hsmux import "$WORK/key.der" --label der
        imported der
        openssl pkcs8 -topk8 -in "$WORK/plain.pem" -passout "pass:$PASSPHRASE" -out "$WORK/sealed.pem"
        hsmux import "$WORK/sealed.pem" --passphrase-file "$WORK/passphrase"
        imported sealed
        openssl pkcs8 -topk8 -in "$WORK/plain.pem" -passout "pass:$PASSPHRASE" -outform DER -out "$WORK/sealed.der"
        hsmux import "$WORK/sealed.der" --passphrase-file "$WORK/passphrase" --label "a b/c"
        imported "a%20b%2Fc"
        [ "$algorithm" = ED25519 ] || {
            openssl pkey -in "$WORK/plain.pem" -traditional -out "$WORK/old.pem"
            hsmux import - --label old <"$WORK/old.pem"
            imported old
            openssl pkey -in "$WORK/plain.pem" -traditional -aes128 -passout "pass:$PASSPHRASE" -out "$WORK/old.pem"
            hsmux import "$WORK/old.pem" --passphrase-file - <"$WORK/passphrase"
            imported old
        }
    done
}

on_both_tokens every_form
file_ini soft

step "a wrong passphrase, or none, or one that others can read"
(umask 077 && echo wrong >"$WORK/wrong")
expect_error "passphrase" hsmux import "$WORK/sealed.pem" --passphrase-file "$WORK/wrong"
expect_error "terminal" setsid hsmux import "$WORK/sealed.pem"
chmod 644 "$WORK/passphrase"
expect_error "chmod" hsmux import "$WORK/sealed.pem" --passphrase-file "$WORK/passphrase"
: >"$WORK/wrong"
expect_error "passphrase" hsmux import "$WORK/sealed.pem" --passphrase-file "$WORK/wrong"

step "no such token: before a passphrase is asked for"
expect_error "there are: 'soft'" setsid hsmux import "$WORK/sealed.pem" --token nix

step "the same label again wants --replace"
hsmux import "$WORK/plain.pem"
expect_error "--replace replaces it" hsmux import "$WORK/plain.pem"
hsmux import --replace "$WORK/plain.pem"

step "keys of other types"
openssl genpkey -algorithm X25519 -out "$WORK/other.pem"
expect_error "type" hsmux import "$WORK/other.pem"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out "$WORK/other.pem"
expect_error "type" hsmux import "$WORK/other.pem"

step "a key whose halves do not fit"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out "$WORK/a.der"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out "$WORK/b.der"
(head -c -65 "$WORK/a.der"; tail -c 65 "$WORK/b.der") >"$WORK/damaged.der"
expect_error "do not fit" hsmux import "$WORK/damaged.der"

step "a secret signs as HMAC, raw and base64; data comes, too"
printf 0123456789abcdef >"$WORK/secret"
expect "hsm:soft/secret/secret" <(hsmux import --secret "$WORK/secret")
hsmux sign hsm:soft/secret/secret --hash sha256 --hex <"$WORK/message" | tee "$WORK/said"
expect "$(openssl dgst -sha256 -mac HMAC -macopt key:0123456789abcdef "$WORK/message" | sed 's/.*= //')" "$WORK/said"
base64 "$WORK/secret" >"$WORK/secret.b64"
hsmux import --secret --base64 --label again "$WORK/secret.b64"
hsmux sign hsm:soft/secret/again --hash sha256 --hex <"$WORK/message" | cmp - "$WORK/said"
expect "hsm:soft/data/message" <(hsmux import --data "$WORK/message")
expect_error "base64" hsmux import --secret --base64 "$WORK/a.der"
printf 'QUJD-REVG\n' >"$WORK/url.b64" # base64url, which libcrypto would take for "ABC"
expect_error "base64" hsmux import --secret --base64 "$WORK/url.b64"

if [ -z "$SOFTHSM" ]; then
    echo "SoftHSM is not here: no more is imported"
    exit
fi
softhsm_ini edge edge counted

step "onto a PKCS#11 token: the same label again wants --replace, which leaves others of the same id alone"
p11() {
    pkcs11-tool --module "$SOFTHSM" --token-label edge --login --pin "$PIN" "$@" 2>&1
}
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$WORK/one.pem"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$WORK/two.pem"
hsmux import "$WORK/one.pem" --label device
id=$(hsmux list --token edge --json | tr -d ' \n' | sed 's/.*"label":"device","id":"\([0-9A-Fa-f]*\)".*/\1/')
p11 --keypairgen --key-type EC:secp384r1 --label stranger --id "$id" >/dev/null
expect_error "already has a private key with the label 'device'; --replace replaces it" \
    hsmux import "$WORK/two.pem" --label device
expect_error "with the same id; --replace stores this one beside it" hsmux import "$WORK/one.pem" --label other
hsmux import --replace "$WORK/two.pem" --label device
hsmux list --token edge | tee "$WORK/said"
[ "$(grep -c '/key/' "$WORK/said")" = 2 ] || fail "not two keys"
[ "$(grep -c '/pubkey/' "$WORK/said")" = 2 ] || fail "not two public keys"
expect "hsm:edge/key/stranger  p384" "$WORK/said"

step "data on one token is the PIN of another"
softhsm_token other
printf %s "$PIN" >"$WORK/secret"
hsmux import --data "$WORK/secret" --label other-pin
{
    cat "$HSMUX_CONF"
    printf '[token other]\nplugin = pkcs11\nmodule = %s\ntoken = other\npin-credential = hsm:edge/data/other-pin\n' "$SOFTHSM"
} >"$WORK/two.conf"
hsmux -c "$WORK/two.conf" import "$WORK/one.pem" --token other
hsmux -c "$WORK/two.conf" csr hsm:other/key/one --subject /CN=x >/dev/null

step "an extractable key says so; data is private, and readable for all when asked"
hsmux remove -y hsm:edge/key/stranger
hsmux import --extractable "$WORK/one.pem" --label open
expect "hsm:edge/key/open  p256 sign derive extractable" <(hsmux list)
expect "hsm:edge/data/message" <(hsmux import --data "$WORK/message")
expect "hsm:edge/data/notes" <(hsmux import --data --extractable --label notes "$WORK/message")
pkcs11-tool --module "$SOFTHSM" --token-label edge -O 2>/dev/null >"$WORK/said"
expect "'notes'" "$WORK/said"
! grep "'message'" "$WORK/said" || fail "the data is public"
p11 --read-object --type data --label message --output-file "$WORK/read" >/dev/null
cmp "$WORK/message" "$WORK/read"
hsmux remove -y hsm:edge/data/message
! hsmux list --token edge | grep data/message || fail "it is still there"
