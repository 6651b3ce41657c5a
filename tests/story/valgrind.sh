#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# What the sanitizers cannot see into, SoftHSM and libp11, under valgrind: no invalid access, nothing lost for good.
. "$(dirname "$0")/../lib/story.sh"

command -v valgrind >/dev/null || skip "valgrind is not installed"

checked() {
    valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite "$@" 2>"$WORK/valgrind" ||
        fail "exit status $? of $*: $(cat "$WORK/valgrind")"
}

# works TOKEN: make a key, sign, store a certificate, choose the credential, take the key away.
works() {
    step "token '$1'"
    checked hsmux key generate device --token "$1"
    checked hsmux csr "hsm:$1/key/device" --subject /CN=device --out "$WORK/device.csr"
    issue "$WORK/device.csr" "$WORK/device.pem"
    checked hsmux cert import "$WORK/device.pem" --token "$1"
    checked hsmux ref --out "$WORK/device.ref"
    checked hsmux status
    checked openssl dgst -sha256 -sign "$WORK/device.ref" -out "$WORK/sig" "$WORK/device.pem"
    checked hsmux remove "hsm:$1/key/device" -y
}

make_ca
use_provider
file_ini soft
works soft
softhsm_token edge
softhsm_ini edge edge
works edge
