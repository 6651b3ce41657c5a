#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The PIN of another token is kept in the TPM: sealed once, unsealed for each login, shown nowhere; and PINs that wait
# for each other are refused.  On a TPM as a maker delivers it: its endorsement certificates are there to be read, and
# are never taken for the device's own.
. "$(dirname "$0")/../lib/story.sh"
. "$(dirname "$0")/../lib/tpm.sh"

export STATE_DIRECTORY=$WORK/state
softhsm_token edge
start_swtpm provisioned
make_ca
use_provider

# two_tokens LINE...: [token tpm] with these lines more, and [token edge], whose PIN the TPM keeps.
two_tokens() {
    tpm_ini tpm
    {
        [ $# = 0 ] || printf '%s\n' "$@"
        printf '%s\n' "[token edge]" "plugin = pkcs11" "module = $SOFTHSM" "token = edge" \
            "pin-credential = hsm:tpm/data/edge-pin"
    } >>"$HSMUX_CONF"
}

# quiet COMMAND...: it succeeds without a word on stderr, and the PIN is in nothing that it says.
quiet() {
    HSMUX_LOG=debug "$@" >"$WORK/out" 2>"$WORK/err" || fail "$*: $(cat "$WORK/err")"
    ! grep -qF -e "$PIN" -e "$PASSPHRASE" "$WORK/out" "$WORK/err" || fail "a PIN was shown by: $*"
    ! grep -E 'ERROR|WARNING' "$WORK/err" || fail "noise of: $*"
}

step "the endorsement certificates are listed and read, and are not chosen"
two_tokens
hsmux list --token tpm | tee "$WORK/said"
expect "hsm:tpm/cert/ek-cert  rsa:2048" "$WORK/said"
expect "hsm:tpm/cert/ek-cert-p384  p384" "$WORK/said"
hsmux cert hsm:tpm/cert/ek-cert >"$WORK/ek.pem"
OPENSSL_CONF=/dev/null openssl verify -partial_chain -ignore_critical -trusted "$WORK/tpm-ca/issuercert.pem" "$WORK/ek.pem"
tpm2_nvread -C o 0x01c00002 2>/dev/null | OPENSSL_CONF=/dev/null openssl x509 -inform DER -out "$WORK/nv.pem"
cmp "$WORK/nv.pem" "$WORK/ek.pem"
expect_error "is not one of the owner's" hsmux remove -y hsm:tpm/cert/ek-cert

step "the PIN is sealed, and no other file or output has it"
printf '%s\n' "$PIN" >"$WORK/pin" # as it was in its PIN file
quiet hsmux import --data "$WORK/pin" --label edge-pin --token tpm
expect hsm:tpm/data/edge-pin "$WORK/out"
expect_error "--replace" hsmux import --data "$WORK/pin" --label edge-pin --token tpm
rm "$WORK/pin"
[ "$(stat -c %a "$WORK/tpm/edge-pin.sealed")" = 600 ] || fail "others may read what is sealed"
! grep -rqF "$PIN" "$WORK/tpm" "$HSMUX_CONF" || fail "the PIN lies about"
head -c 129 /dev/zero >"$WORK/long"
expect_error "a TPM seals 1 to 128 bytes, not 129" hsmux import --data "$WORK/long" --token tpm

step "the other token signs with it, and its key is the credential"
quiet hsmux key generate device --token edge
quiet hsmux csr hsm:edge/key/device --subject /CN=device --out "$WORK/device.csr"
issue "$WORK/device.csr" "$WORK/device.pem"
quiet hsmux cert import "$WORK/device.pem" --token edge
quiet hsmux status
expect "hsm:edge/key/device" <(grep -i credential "$WORK/out")
! grep -i 'candidate.*ek' "$WORK/out" || fail "an endorsement key is a candidate"
quiet hsmux ref --out "$WORK/device.ref"
quiet openssl dgst -sha256 -sign "$WORK/device.ref" -out "$WORK/signature" "$WORK/device.csr"
OPENSSL_CONF=/dev/null openssl x509 -in "$WORK/device.pem" -noout -pubkey >"$WORK/device.pub"
openssl dgst -sha256 -verify "$WORK/device.pub" -signature "$WORK/signature" "$WORK/device.csr"
[ -z "$(tpm_left)" ] || fail "left in the TPM: $(tpm_left)"

step "a TPM that has lost its power gives it out again"
restart_swtpm
quiet openssl dgst -sha256 -sign "$WORK/device.ref" -out "$WORK/signature" "$WORK/device.csr"

step "with a PIN of its own the TPM gives it out for that one only"
two_tokens "pin-file = $(pin_file "$PASSPHRASE")"
printf %s "$PIN" | quiet hsmux import --data - --label edge-pin --token tpm --replace
quiet hsmux sign hsm:edge/key/device --out "$WORK/signature" <"$WORK/device.csr"
tpm_key 0x81010003 ecc256 theirs
rm -rf "$STATE_DIRECTORY"
quiet hsmux sign hsm:edge/key/device --out "$WORK/signature" <"$WORK/device.csr"
[ "$(wrong_auths)" = 0 ] || fail "it was tried on another program's key"
for _ in 1 2 3; do
    TSS2_LOG=all+none tpm2_sign -Q -c 0x81010003 -p guess -o "$WORK/sig" "$WORK/device.csr" 2>/dev/null || true
done
quiet hsmux sign hsm:edge/key/device --out "$WORK/signature" <"$WORK/device.csr" # in lockout, which it does not mind
tpm2_evictcontrol -Q -C o -c 0x81010003 >/dev/null
tpm2_dictionarylockout -Q --clear-lockout
tpm_pin=$(sed -n 's/^pin-file = //p' "$HSMUX_CONF")
printf '%s\n' "$WRONG_PIN" >"$tpm_pin"
expect_fail "auth value" hsmux sign hsm:edge/key/device <"$WORK/device.csr"
! grep -qF -e "$PIN" -e "$WRONG_PIN" "$WORK/said" || fail "a PIN was shown"
[ "$(wrong_auths)" = 0 ] || fail "the TPM counts wrong auth values"
[ "$(softhsm2-util --show-slots | grep -c edge)" = 1 ] || fail "the token is gone"

step "PINs that wait for each other are refused"
two_tokens "pin-credential = hsm:edge/data/tpm-pin"
expect_error "leads back to itself" hsmux sign hsm:edge/key/device <"$WORK/device.csr"

step "without the TPM's data the other token's PIN is missing, which is said"
two_tokens
hsmux remove -y hsm:tpm/data/edge-pin
expect_error "hsm:tpm/data/edge-pin" hsmux sign hsm:edge/key/device <"$WORK/device.csr"
