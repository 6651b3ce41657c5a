#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 200
# Through p11-kit: with no INI at all, a SoftHSM token that p11-kit knows of, and its PIN from the systemd credential
# hsmux.LABEL; then by p11-kit-proxy as the configured module.  Key, CSR, certificate, curl, and forks.
. "$(dirname "$0")/../lib/story.sh"

PROXY=$(find /usr/lib -name p11-kit-proxy.so -print -quit)
[ -n "$SOFTHSM" ] || skip "SoftHSM is not installed"
[ -n "$PROXY" ] || skip "p11-kit-proxy is not installed"
p11-kit list-modules 2>/dev/null | grep -q softhsm || skip "SoftHSM is not registered with p11-kit"
softhsm_token edge
make_ca
make_server
start_server
use_provider

# quietly COMMAND...: and nothing of the other modules that are registered is heard.
silent=yes
quietly() {
    "$@" 2>"$WORK/err" || fail "$*: $(cat "$WORK/err")"
    [ $silent = no ] || [ ! -s "$WORK/err" ] || fail "it is not silent: $*: $(cat "$WORK/err")"
}

# tries LABEL: a new credential of the token edge, and the only one.
tries() {
    quietly make_referenced edge "$1"
    quietly hsmux status >"$WORK/said"
    grep -q "^ok credential .*hsm:edge/key/$1: the only" "$WORK/said" || fail "$(cat "$WORK/said")"
    quietly curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/$1.pem" --key "$WORK/$1.ref" "https://127.0.0.1:$PORT/" \
        >"$WORK/answer"
    expect "Subject: CN=$1" "$WORK/answer"
    "$BUILD/tests/lib/forks" "hsm:edge/key/$1" 4 20 3 open
    "$BUILD/tests/lib/forks" "hsm:edge/key/$1" 8 20 3 reference
    "$BUILD/tests/lib/crowd" "hsm:edge/key/$1" 32 50
    quietly hsmux remove "hsm:edge/key/$1" --yes
    quietly hsmux remove "hsm:edge/cert/$1" --yes
}

step "no INI, no PIN: the token is passed over, and the reason names the credential to give"
expect_fail "there is no systemd credential 'hsmux.edge'" hsmux status

step "no INI, the PIN from systemd"
mkdir -m 700 "$WORK/credentials"
(umask 077 && echo "$PIN" >"$WORK/credentials/hsmux.edge")
export CREDENTIALS_DIRECTORY=$WORK/credentials
tries device

step "a wrong one is named, and sent once"
echo "$WRONG_PIN" >"$WORK/credentials/hsmux.edge"
for _ in 1 2 3; do
    expect_fail "PIN" hsmux list
    expect "hsmux.edge" "$WORK/said"
done
echo "$PIN" >"$WORK/credentials/hsmux.edge"
quietly hsmux list

# The proxy itself starts all that is registered, and tpm2-pkcs11 complains where there is no TPM.
silent=no

step "p11-kit-proxy as the module"
ini "[token edge]" "plugin = pkcs11" "module = $PROXY" "token = edge" "pin-file = $(pin_file "$PIN")"
tries proxied
