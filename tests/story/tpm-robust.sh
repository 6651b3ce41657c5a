#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 60
# A TPM without a resource manager, and keys in it at a handle and in a key file: threads, forked children, children that
# free what they inherited, processes that know nothing of each other, slots that others have filled, a TPM that is
# restarted under a live server.  Every signature is right, and nothing of ours is left in the TPM.
. "$(dirname "$0")/../lib/story.sh"
. "$(dirname "$0")/../lib/tpm.sh"

for program in crowd forks workers; do
    [ -x "$BUILD/tests/lib/$program" ] || skip "the tests' programs are not built"
done
need_programs tpm2_encodeobject
start_swtpm crowded
tpm_key 0x81010003 ecc256
tpm_key_file filed ecc256
tpm_key_file other ecc256
tpm_ini tpm
echo "key-files = $WORK/keys" >>"$HSMUX_CONF"
export TSS2_LOG=all+none
held="hsm:tpm/key?id=81010003" filed=hsm:tpm/key/filed
hsmux ref "$held" --out "$WORK/held.ref"
hsmux ref "$filed" --out "$WORK/filed.ref"
hsmux ref hsm:tpm/key/other --out "$WORK/other.ref"

for key in "$held" "$filed"; do
    step "$key: 8 threads x 50 signatures"
    "$BUILD/tests/lib/crowd" "$key" 8 50
    step "$key: 4 children x 50, who free what they inherited, while the parent signs; twice"
    "$BUILD/tests/lib/forks" "$key" 4 50 2 open
    step "$key: the same, by its reference"
    "$BUILD/tests/lib/forks" "$key" 4 50 2 reference
    nothing_left
done

# at_once REFERENCE...: a process of each, at once.
at_once() {
    local reference processes=() bad=0
    for reference in "$@"; do
        "$BUILD/tests/lib/workers" "$WORK/$reference.ref" 1 50 1 &
        processes+=($!)
    done
    for reference in "${processes[@]}"; do
        wait "$reference" || bad=$((bad + 1))
    done
    [ $bad = 0 ] || fail "$bad of $# processes could not sign"
}

step "4 processes at once, and 8 with three keys"
at_once held held held held
at_once filed other held filed other held filed other
nothing_left

step "1,000 signatures of each key in a process that ends as it likes"
"$BUILD/tests/lib/workers" "$WORK/held.ref" 1 250 4
"$BUILD/tests/lib/workers" "$WORK/filed.ref" 1 250 4
nothing_left

step "others have filled all slots"
for _ in 1 2 3; do
    tpm2_createprimary -Q -C n -c "$WORK/theirs"
done
before=$(tpm_left)
at_once held filed other held
[ "$(tpm_left)" = "$before" ] || fail "what others had in the TPM is not as it was: $(tpm_left)"
tpm2_flushcontext -t

# The TPM goes under live servers.
make_ca
use_provider
for key in held filed; do
    openssl req -new -key "$WORK/$key.ref" -subj "/CN=$key" -out "$WORK/$key.csr"
    issue "$WORK/$key.csr" "$WORK/$key.pem" subjectAltName=IP:127.0.0.1
done

# serve NAME: its port in $PORT.
serve() {
    PORT=$(free_port)
    start "$1" openssl s_server -accept "127.0.0.1:$PORT" -cert "$WORK/$1.pem" -key "$WORK/$1.ref" -www
    wait_port "$PORT"
}
serve held
held_port=$PORT
serve filed
filed_port=$PORT

# both WORDS
both() {
    for PORT in "$held_port" "$filed_port"; do
        greeted || fail "$1: $(cat "$WORK/answer" "$WORK"/{held,filed}.log)"
    done
}
both "before"
for how in "" unstarted; do
    step "the TPM lost its power${how:+, and nobody has started it up}: the next signature works"
    restart_swtpm $how
    both "after a restart"
    both "after the first signature"
done
step "another program flushes all that it finds: the next signature works"
tpm2_flushcontext -t
tpm2_flushcontext -l
both "after a flush"
step "the TPM is away for a while: an error, and as soon as it is back, signatures"
stop_swtpm
for PORT in "$held_port" "$filed_port"; do
    ! greeted || fail "signed without a TPM"
done
run_swtpm "$SWTPM_PORT"
both "after it came back"
nothing_left

step "its parameters encrypted: threads, children, processes, a restart"
echo "parameter-encryption = yes" >>"$HSMUX_CONF"
"$BUILD/tests/lib/crowd" "$held" 4 20
"$BUILD/tests/lib/forks" "$filed" 2 20 1 open
at_once held filed other held
nothing_left
serve held
held_port=$PORT
serve filed
filed_port=$PORT
both "encrypted"
restart_swtpm
both "encrypted, after a restart"
nothing_left
