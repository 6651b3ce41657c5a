#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 400
# The quickstart on its tokens: it ends with the client's subject and leaves nothing behind.
. "$(dirname "$0")/../lib/story.sh"

quickstart() {
    env -u SOFTHSM2_CONF -u LD_LIBRARY_PATH "$ROOT/examples/quickstart/run" -y "$@" 2>&1 | tee "$WORK/told"
}

# What lies outside the build directory: in the checkout, the temporary directories, and the user's own.
outside() {
    find "$ROOT" \( -path "$ROOT/build" -o -name .git -o -name '.nfs*' \) -prune -o -type f -print | sort
    ls -d /tmp/hsmux-quickstart.* 2>/dev/null || true
    find "$HOME" "$XDG_DATA_HOME" "$WORK/tokens"
}

outside >"$WORK/before"
step "on the file token"
quickstart
tail -n 6 "$WORK/told" >"$WORK/end"
expect "Subject: CN=device-1" "$WORK/end"
expect "BEGIN HSMUX KEY REFERENCE" "$WORK/told"

step "on SoftHSM, and then with two credentials"
quickstart --token softhsm
tail -n 6 "$WORK/told" >"$WORK/end"
expect "Subject: CN=device-1" "$WORK/told"
expect "Subject: CN=device-2" "$WORK/end"
expect "hsm:edge/key/device-key" "$WORK/told"
expect "hsm:edge/key/second-key" "$WORK/told"

step "on a TPM"
quickstart --token tpm
tail -n 6 "$WORK/told" >"$WORK/end"
expect "Subject: CN=device-1" "$WORK/told"
expect "Subject: CN=device-2" "$WORK/end"
expect "hsm:tpm/key/device-key" "$WORK/told"
expect "hsm:tpm/key/second-key" "$WORK/told"

step "nothing is left"
outside >"$WORK/after"
diff "$WORK/before" "$WORK/after" || fail "the quickstart left something behind"
