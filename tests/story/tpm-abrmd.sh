#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 60
# A TPM behind tpm2-abrmd, reached over D-Bus: threads, processes, children that come before the first signature.  After
# it D-Bus does not outlive a fork: a child's signature is an error and no hang, what it frees does not harm its parent,
# and through a command children sign as well.  The daemon is restarted under a live server.
. "$(dirname "$0")/../lib/story.sh"
. "$(dirname "$0")/../lib/tpm.sh"

for program in crowd forks heirs workers; do
    [ -x "$BUILD/tests/lib/$program" ] || skip "the tests' programs are not built"
done
need_programs tpm2_encodeobject
start_tpm
tpm_key 0x81010003 ecc256
tpm_key_file filed ecc256
tpm_ini tpm
echo "key-files = $WORK/keys" >>"$HSMUX_CONF"
held="hsm:tpm/key?id=81010003" filed=hsm:tpm/key/filed
hsmux ref "$held" --out "$WORK/held.ref"
hsmux ref "$filed" --out "$WORK/filed.ref"

behind() {
    TPM2TOOLS_TCTI=$TPM_BEHIND "$@"
}

for key in held filed; do
    step "$key: 8 threads x 50 signatures"
    "$BUILD/tests/lib/crowd" "${!key}" 8 50
    step "$key: a server's 4 workers x 50, 4 servers at once"
    servers=()
    for _ in 1 2 3 4; do
        "$BUILD/tests/lib/workers" "$WORK/$key.ref" 4 50 1 &
        servers+=($!)
    done
    for server in "${servers[@]}"; do
        wait "$server" || fail "a server with $? workers that could not sign"
    done
    behind nothing_left

    step "$key: a child of who has signed: an error at once, and its parent goes on"
    "$BUILD/tests/lib/heirs" "${!key}" -14 2>"$WORK/err" || fail "$(cat "$WORK/err")"
    expect "tpm2-abrmd cannot be reached once a process that has used it forks: use tcti = device:/dev/tpmrm0, or cmd:tpm2_send -T $TPM2TOOLS_TCTI" "$WORK/err"
done
if command -v valgrind >/dev/null; then
    step "valgrind sees nothing wrong in that"
    valgrind -q --error-exitcode=99 "$BUILD/tests/lib/heirs" "$held" -14 >"$WORK/out" 2>&1 || fail "$(cat "$WORK/out")"
    ! grep -q '^==' "$WORK/out" || fail "$(cat "$WORK/out")"
fi

step "through a command, children sign too"
sed -i "s|^tcti = .*|tcti = $TPM_BRIDGE|" "$HSMUX_CONF"
"$BUILD/tests/lib/heirs" "$held" 0
"$BUILD/tests/lib/forks" "$held" 4 50 1 open
"$BUILD/tests/lib/forks" "$filed" 4 50 1 reference

step "tpm2-abrmd is restarted under a live server"
sed -i "s|^tcti = .*|tcti = $TPM2TOOLS_TCTI|" "$HSMUX_CONF"
make_ca
use_provider
openssl req -new -key "$WORK/filed.ref" -subj /CN=filed -out "$WORK/filed.csr"
issue "$WORK/filed.csr" "$WORK/filed.pem" subjectAltName=IP:127.0.0.1
abrmd=${pids[-1]}
PORT=$(free_port)
start server openssl s_server -accept "127.0.0.1:$PORT" -cert "$WORK/filed.pem" -key "$WORK/filed.ref" -www
wait_port "$PORT"
greeted || fail "$(cat "$WORK/answer" "$WORK/server.log")"
kill "$abrmd"
wait "$abrmd" 2>/dev/null || true
! greeted || fail "signed without the daemon"
expect "tpm2-abrmd gives no connection" "$WORK/server.log"
run_abrmd "$TPM_BEHIND"
greeted || fail "$(cat "$WORK/answer" "$WORK/server.log")"

step "parameters encrypted"
echo "parameter-encryption = yes" >>"$HSMUX_CONF"
"$BUILD/tests/lib/crowd" "$held" 4 50
"$BUILD/tests/lib/crowd" "$filed" 4 50
"$BUILD/tests/lib/workers" "$WORK/filed.ref" 4 20 1
behind nothing_left
