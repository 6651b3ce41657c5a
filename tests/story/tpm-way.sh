#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ways that lead to no TPM, and a TPM that is of no use: one line says what is wrong.
. "$(dirname "$0")/../lib/story.sh"
. "$ROOT/tests/lib/tpm.sh"

# leads_nowhere TCTI WORDS [COMMAND...]
leads_nowhere() {
    ini "[token tpm]" "plugin = tpm2" "tcti = $1" "directory = $WORK/tpm"
    expect_error "$2" "${@:3}" hsmux list
}

step "no such way"
leads_nowhere nonsense "no TPM answers at TCTI 'nonsense'"
leads_nowhere nonsense "(TSS2_LOG=all+error says more)"
leads_nowhere "swtpm:host=127.0.0.1,port=$(free_port)" "no TPM answers"
leads_nowhere device:/dev/none "there is no TPM at '/dev/none'"
leads_nowhere "swtpm:path=$WORK/none" "there is no TPM's socket '$WORK/none': No such file or directory"

step "a socket that is not everybody's"
start_swtpm crowded
ini "[token tpm]" "plugin = tpm2" "tcti = $TPM2TOOLS_TCTI" "directory = $WORK/tpm"
hsmux list
if [ "$(id -u)" = 0 ]; then
    public_copy
    for socket in "$WORK/swtpm.ctrl" "$WORK/swtpm"; do
        chmod 600 "$socket"
        expect_error "no permission on the TPM's socket '$socket': user 65534 may not write to it" \
            setpriv --reuid=65534 --regid=65534 --clear-groups hsmux list
    done
fi

step "a TPM that has failed its self-test is not locked: it wants a reset"
mv "$WORK/tpm-state" "$WORK/away" # it cannot keep what it is told
tpm2_changeauth -Q -c owner "$PASSPHRASE" 2>/dev/null || true
expect_error "it wants a reset" hsmux list
hsmux status >"$WORK/status" 2>&1 || true
expect "it wants a reset" "$WORK/status"
! grep -q "PIN LOCKED" "$WORK/status" || fail "it is said to be locked: $(cat "$WORK/status")"
