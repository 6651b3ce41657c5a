# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A TPM of swtpm's behind a resource manager, for stories: source it after story.sh and call start_tpm.

# start_tpm: from here on tpm2-tools use it.  Programs that fork must reach it through $TPM_BRIDGE: D-Bus does not
# outlive fork(), and this way each process has a helper with a connection of its own.
start_tpm() {
    local program port try
    for program in swtpm dbus-daemon tpm2-abrmd tpm2_send; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
    port=$(free_port)
    mkdir "$WORK/tpm"
    start swtpm swtpm socket --tpm2 --tpmstate "dir=$WORK/tpm" --flags not-need-init,startup-clear \
        --server "type=tcp,port=$port,bindaddr=127.0.0.1" --ctrl "type=tcp,port=$((port + 1)),bindaddr=127.0.0.1"
    printf '%s\n' '<busconfig>' "<type>session</type><listen>unix:path=$WORK/bus</listen><auth>EXTERNAL</auth>" \
        '<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>' '</busconfig>' \
        >"$WORK/bus.conf"
    start dbus dbus-daemon --nofork --config-file="$WORK/bus.conf"
    export DBUS_SESSION_BUS_ADDRESS=unix:path=$WORK/bus TPM2TOOLS_TCTI=tabrmd:bus_type=session
    for try in $(seq 50); do
        [ -S "$WORK/bus" ] && break
        sleep 0.1
    done
    wait_port "$port"
    start abrmd tpm2-abrmd --session --allow-root --flush-all "--tcti=swtpm:host=127.0.0.1,port=$port"
    for try in $(seq 50); do
        timeout 5 tpm2_getcap properties-fixed >/dev/null 2>&1 && break
        sleep 0.1
    done
    [ "$try" -lt 50 ] || fail "no TPM after 5 s: $(tail -n 20 "$WORK"/{swtpm,dbus,abrmd}.log)"
    # shellcheck disable=SC2034
    TPM_BRIDGE="cmd:tpm2_send -T $TPM2TOOLS_TCTI"
}

# wrong_auths: how many wrong authorisations the TPM has counted; at 3 it locks.
wrong_auths() {
    echo $(($(tpm2_getcap properties-variable | sed -n 's/^TPM2_PT_LOCKOUT_COUNTER: //p')))
}
