#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A TPM as a token: keys are made in it, get a certificate, sign, are replaced and removed, at handles and in key files.
# What tpm2-tools and tpm2-openssl have put there is used, and they use what hsmux has made; nothing is left in the TPM.
. "$(dirname "$0")/../lib/story.sh"
. "$ROOT/tests/lib/tpm.sh"

# nothing_left: no transient object and no session.
nothing_left() {
    [ -z "$(tpm_left)" ] || fail "left in the TPM: $(tpm_left)"
}

# verifies ADDRESS: what the key signs is what libcrypto verifies with the public key in its CSR.
verifies() {
    echo "a message" >"$WORK/message"
    hsmux sign "$1" --hash sha256 <"$WORK/message" >"$WORK/signature"
    hsmux csr "$1" --subject /CN=x | openssl req -verify -noout -pubkey -out "$WORK/public" 2>"$WORK/err" ||
        fail "csr of $1: $(cat "$WORK/err")"
    openssl dgst -sha256 -verify "$WORK/public" -signature "$WORK/signature" "$WORK/message" >"$WORK/out" ||
        fail "what $1 signs does not verify"
}

# with_tpm2 COMMAND...: openssl with tpm2-openssl, which is told its TPM by the environment only.
with_tpm2() {
    TPM2OPENSSL_TCTI=$TPM2TOOLS_TCTI openssl "$1" -provider tpm2 -provider default "${@:2}"
}

start_swtpm
tpm_ini hw
printf '%s\n' "key-files = $WORK/files" >>"$HSMUX_CONF"
make_ca

step "a key, its certificate, and the credential that they make"
hsmux key generate device --type rsa:2048 >"$WORK/address"
expect "hsm:hw/key/device" "$WORK/address"
hsmux csr hsm:hw/key/device --subject /CN=device-1 --out "$WORK/device.csr"
issue "$WORK/device.csr" "$WORK/device.pem"
hsmux cert import "$WORK/device.pem"
hsmux list | tee "$WORK/list"
expect "hsm:hw/key/device  rsa:2048 sign decrypt" "$WORK/list"
expect "hsm:hw/cert/device" "$WORK/list"
hsmux status >"$WORK/status"
expect "hsm:hw/key/device" "$WORK/status"
verifies hsm:hw/key/device
hsmux sign hsm: --pss <"$WORK/message" >"$WORK/signature"
openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify "$WORK/public" -signature "$WORK/signature" "$WORK/message"

step "its certificate is paired with it by the public key, from the TPM, the token's directory, and that of all tokens"
hsmux cert | diff - "$WORK/device.pem"
[ "$(ls "$WORK/hw")" = labels ] || fail "not in the TPM: $(ls "$WORK/hw")"
hsmux remove -y hsm:hw/cert/device
expect_error "certificate" hsmux cert
mkdir "$WORK/certs"
for place in hw certs; do
    cp "$WORK/device.pem" "$WORK/$place/called-otherwise.pem"
    hsmux cert | diff - "$WORK/device.pem"
    rm "$WORK/$place/called-otherwise.pem"
done
hsmux cert import "$WORK/device.pem"

step "its reference signs a TLS handshake"
hsmux ref --out "$WORK/device.ref"
hsmux cert --out "$WORK/device.chain"
make_server
use_provider
start_server -tls1_3
echo | openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$WORK/ca.pem" -cert "$WORK/device.chain" \
    -key "$WORK/device.ref" -verify_return_error >"$WORK/client" 2>&1 || fail "$(tail -n 20 "$WORK/client")"
stop
unset OPENSSL_CONF
nothing_left

step "the same label again"
expect_error "--replace replaces it" hsmux key generate device
hsmux key generate device --replace
[ "$(tpm2_getcap handles-persistent | wc -l)" = 1 ] || fail "the old key is still there"
verifies hsm:hw/key/device
hsmux remove --yes hsm:hw/key/device
hsmux remove --yes hsm:hw/cert/device
[ -z "$(hsmux list)" ] || fail "left: $(hsmux list)"
[ -z "$(tpm2_getcap handles-persistent)" ] || fail "the key is still there"

step "a place is asked for"
hsmux key generate here --place 0x81000123
tpm2_readpublic -Q -c 0x81000123
expect_error "is taken" hsmux key generate there --place 0x81000123
expect_error "endorsement keys" hsmux key generate there --place 0x81010001
expect_error "'there.tss'" hsmux key generate there --place here.tss
expect_error "neither a handle" hsmux key generate there --place somewhere
hsmux remove --yes "hsm:hw/key?id=81000123"

step "what tpm2-tools have put there is used"
tpm2_createprimary -Q -C o -G ecc -c "$WORK/primary"
tpm2_flushcontext -t
tpm2_create -Q -C "$WORK/primary" -G ecc256:ecdsa -u "$WORK/u" -r "$WORK/r" -c "$WORK/key" \
    -a "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign"
tpm2_flushcontext -t
tpm2_evictcontrol -Q -C o -c "$WORK/key" 0x81000042
tpm2_flushcontext -t
hsmux list >"$WORK/list"
expect "hsm:hw/key?id=81000042" "$WORK/list"
verifies "hsm:hw/key?id=81000042"
echo "81000042 - - tools" >>"$WORK/hw/labels"
verifies hsm:hw/key/tools

step "they use what hsmux has made"
for type in rsa:2048 p256; do
    hsmux key generate "ours-$type" --type "$type" --place 0x81000043
    verifies "hsm:hw/key/ours-$type"
    tpm2_sign -Q -c 0x81000043 -g sha256 -f plain -o "$WORK/signature" "$WORK/message"
    openssl dgst -sha256 -verify "$WORK/public" -signature "$WORK/signature" "$WORK/message"
    tpm2_evictcontrol -Q -C o -c 0x81000043
    hsmux list >"$WORK/list"
    ! grep -q ours "$WORK/list" || fail "a key that tpm2-tools removed is listed"
done

step "a software key, and a secret, are brought in"
openssl ecparam -name secp384r1 -genkey -noout -out "$WORK/soft.pem"
hsmux import "$WORK/soft.pem" --place 0x81000044
verifies hsm:hw/key/soft
openssl pkey -in "$WORK/soft.pem" -pubout | diff - "$WORK/public"
printf 'thirty-two bytes of symmetric key' >"$WORK/secret"
hsmux import --secret "$WORK/secret"
mac=$(hsmux sign --hex hsm:hw/secret/secret <"$WORK/message")
python3 -c 'import sys, hmac
print(hmac.new(open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read(), "sha256").hexdigest())' \
    "$WORK/secret" "$WORK/message" | diff - <(echo "$mac")
expect_error "'--p12' for several" hsmux import --p12 "$WORK/none.p12" --place 0x81000045
nothing_left

step "key files: its own, and tpm2-openssl's"
hsmux key generate file --place file.tss
[ "$(stat -c %a "$WORK/files/file.tss")" = 600 ] || fail "the key file's mode: $(stat -c %a "$WORK/files/file.tss")"
verifies hsm:hw/key/file
hsmux key generate file --place file.tss --replace
verifies hsm:hw/key/file
if [ -e "$(openssl version -m | cut -d '"' -f 2)/tpm2.so" ]; then
    for options in "EC -pkeyopt group:P-256" "RSA -pkeyopt bits:2048"; do
        # shellcheck disable=SC2086
        with_tpm2 genpkey -algorithm $options -out "$WORK/files/theirs.tss" 2>"$WORK/err"
        verifies hsm:hw/key/theirs
        with_tpm2 pkey -in "$WORK/files/theirs.tss" -pubout | diff - "$WORK/public"
    done
    for type in p256 rsa:2048; do
        hsmux key generate ours --type "$type" --place ours.tss --replace
        verifies hsm:hw/key/ours
        openssl dgst -sha256 -binary "$WORK/message" >"$WORK/digest"
        with_tpm2 pkeyutl -sign -inkey "$WORK/files/ours.tss" -in "$WORK/digest" -pkeyopt digest:sha256 \
            -out "$WORK/signature"
        openssl dgst -sha256 -verify "$WORK/public" -signature "$WORK/signature" "$WORK/message"
    done
fi
nothing_left

step "an owner with an auth value"
tpm2_changeauth -Q -c owner "$PASSPHRASE"
expect_error "owner-auth-file" hsmux key generate owned
printf '%s\n' "owner-auth-file = $(pin_file "$PASSPHRASE")" >>"$HSMUX_CONF"
hsmux key generate owned
verifies hsm:hw/key/owned

step "a PIN"
printf '%s' "$PIN" >"$WORK/pin-of-keys"
chmod 600 "$WORK/pin-of-keys"
printf '%s\n' "pin-file = $WORK/pin-of-keys" >>"$HSMUX_CONF"
hsmux key generate guarded
verifies hsm:hw/key/guarded
verifies hsm:hw/key/owned
handle=$(sed -n 's/^\([0-9a-f]*\) .* auth guarded$/0x\1/p' "$WORK/hw/labels")
tpm2_sign -Q -c "$handle" -p "$PIN" -g sha256 -o "$WORK/signature" "$WORK/message"
expect_fail "authorization" tpm2_sign -Q -c "$handle" -g sha256 -o "$WORK/signature" "$WORK/message"
[ "$(wrong_auths)" = 0 ] || fail "the TPM counted $(wrong_auths) wrong authorisations"
nothing_left
