#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# tpm2-pkcs11 on a software TPM: token by tpm2_ptool, key pairs and CSRs on it, certificates, mutual TLS with curl and
# Node; a wrong PIN is sent once; 4 and 8 forked children sign while the parent does, and the TPM counts nothing wrong;
# 32 threads sign while programs start; where there is no TPM, or no store, nobody hears of the module.
. "$(dirname "$0")/../lib/story.sh"
. "$ROOT/tests/lib/tpm.sh"

TPM2_PKCS11=$(find /usr/lib -name libtpm2_pkcs11.so -print -quit)
[ -n "$TPM2_PKCS11" ] || skip "tpm2-pkcs11 is not installed"
command -v tpm2_ptool >/dev/null || skip "tpm2_ptool is not installed"
# silently COMMAND...: it succeeds, and it writes nothing to stderr, nor do the module's libraries.
silently() {
    "$@" 2>"$WORK/err" || fail "$*: $(cat "$WORK/err")"
    [ ! -s "$WORK/err" ] || fail "it is not silent: $*: $(cat "$WORK/err")"
}

step "without a store, or without a TPM, the registered module is not even started"
silently hsmux list
[ ! -e "$HOME/.tpm2_pkcs11" ] || fail "a listing made a store"
export TPM2_PKCS11_STORE=$WORK/store
mkdir "$TPM2_PKCS11_STORE"
: >"$TPM2_PKCS11_STORE/tpm2_pkcs11.sqlite3"
silently hsmux list
rm "$TPM2_PKCS11_STORE/tpm2_pkcs11.sqlite3"

step "a token"
start_tpm
tpm2_ptool init --path "$TPM2_PKCS11_STORE" >/dev/null
tpm2_ptool addtoken --pid=1 --label=edge "--userpin=$PIN" "--sopin=$SO_PIN" --path "$TPM2_PKCS11_STORE" >/dev/null
export TPM2_PKCS11_TCTI=$TPM_BRIDGE

step "with no INI: without its PIN it is passed over, with the PIN it is the only token that has a key"
expect_fail "there is no systemd credential 'hsmux.edge'" hsmux status
mkdir -m 700 "$WORK/credentials"
(umask 077 && echo "$PIN" >"$WORK/credentials/hsmux.edge")
export CREDENTIALS_DIRECTORY=$WORK/credentials
silently hsmux key generate first --token edge
silently hsmux csr --subject /CN=first --out "$WORK/first.csr"
openssl req -in "$WORK/first.csr" -noout -verify
silently hsmux remove hsm:edge/key/first --yes
unset CREDENTIALS_DIRECTORY

ini "[token edge]" "plugin = pkcs11" "module = $TPM2_PKCS11" "token = edge" "pin-file = $(pin_file "$PIN")"
make_ca
make_server
start_server
use_provider

call() {
    curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/$1.pem" --key "$WORK/$1.ref" "https://127.0.0.1:$PORT/" >"$WORK/answer"
    expect "Subject: CN=$1" "$WORK/answer"
}

for type in rsa:2048 p256 p384; do
    label=${type%:*}
    step "$type: key pair, CSR, certificate, curl"
    silently make_referenced edge "$label" "$type"
    OPENSSL_CONF=/dev/null openssl verify -CAfile "$WORK/ca.pem" "$WORK/$label.pem"
    openssl verify -CAfile "$WORK/ca.pem" <(hsmux cert "hsm:edge/cert/$label")
    silently call "$label"
done
hsmux list
printf '%s\n' "[credential]" "key = hsm:edge/key/p256" >>"$HSMUX_CONF"

step "status"
silently hsmux status >"$WORK/said"
grep -q "^ok signature .*hsm:edge/key/p256: a test signature was made and verified" "$WORK/said" ||
    fail "$(cat "$WORK/said")"

step "openssl signs with it, RSA with PSS too"
echo hello >"$WORK/hello"
for label in rsa p256; do
    openssl dgst -sha256 -sign "$WORK/$label.ref" -out "$WORK/signature" "$WORK/hello"
    openssl dgst -sha256 -verify <(openssl x509 -in "$WORK/$label.pem" -noout -pubkey) -signature "$WORK/signature" \
        "$WORK/hello"
done
openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sign "$WORK/rsa.ref" \
    -out "$WORK/signature" "$WORK/hello"
openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 \
    -verify <(openssl x509 -in "$WORK/rsa.pem" -noout -pubkey) -signature "$WORK/signature" "$WORK/hello"

if command -v node >/dev/null; then
    step "Node"
    cat >"$WORK/get.js" <<'EOT'
const fs = require("fs"), [port, ca, cert, key] = process.argv.slice(2);
for (let i = 0; i < 5; i++)
    require("https").get({ host: "127.0.0.1", port, ca: fs.readFileSync(ca), cert: fs.readFileSync(cert),
        key: fs.readFileSync(key), agent: false }, (answer) => answer.on("data", (data) => process.stdout.write(data)));
EOT
    for label in rsa p256; do
        node "$WORK/get.js" "$PORT" "$WORK/ca.pem" "$WORK/$label.pem" "$WORK/$label.ref" >"$WORK/answer"
        [ "$(grep -c "Subject: CN=$label" "$WORK/answer")" = 5 ] || fail "Node as $label: $(cat "$WORK/answer")"
    done
fi

step "32 threads, and programs that start meanwhile"
"$BUILD/tests/lib/crowd" hsm:edge/key/p256 32 20
for children in 4 8; do
    step "$children children at once"
    "$BUILD/tests/lib/forks" hsm:edge/key/p256 $children 20 5 open
    "$BUILD/tests/lib/forks" hsm:edge/key/p256 $children 20 5 reference
done
[ "$(wrong_auths)" = 0 ] || fail "the TPM counted $(wrong_auths) wrong authorisations"

step "a wrong PIN is sent once, and with the right one all is well at once"
sed -i "s|^pin-file = .*|pin-file = $(pin_file "$WRONG_PIN")|" "$HSMUX_CONF"
for _ in 1 2 3 4 5; do
    expect_fail "PIN" hsmux list
done
[ "$(wrong_auths)" = 1 ] || fail "the TPM counted $(wrong_auths) wrong authorisations, not 1"
sed -i "s|^pin-file = .*|pin-file = $(pin_file "$PIN")|" "$HSMUX_CONF"
silently call p256
