# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A TPM of swtpm's for stories: source it after story.sh, and call start_swtpm for a bare one, or start_tpm for one
# behind a resource manager.

# free_ports: a free port whose next one is free too.
free_ports() {
    local port
    while :; do
        port=$(free_port)
        (exec 3<>"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null || break
    done
    echo "$port"
}

# need_programs NAME...: or the story is skipped.
need_programs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
}

# run_swtpm PORT|SOCKET [unstarted]: its state is in $WORK/tpm-state; unstarted: nobody has sent TPM2_Startup.
run_swtpm() {
    local flags=not-need-init,startup-clear indices where
    [ "${2-}" != unstarted ] || flags=not-need-init
    case $1 in
    /*)
        rm -f "$1" "$1.ctrl"
        where=(--server "type=unixio,path=$1,mode=666" --ctrl "type=unixio,path=$1.ctrl,mode=666")
        ;;
    *) where=(--server "type=tcp,port=$1,bindaddr=127.0.0.1" --ctrl "type=tcp,port=$(($1 + 1)),bindaddr=127.0.0.1") ;;
    esac
    start swtpm swtpm socket --tpm2 --tpmstate "dir=$WORK/tpm-state" --flags "$flags" "${where[@]}"
    indices=("${!pids[@]}")
    SWTPM_PORT=$1 SWTPM_INDEX=${indices[-1]}
    case $1 in
    /*) wait_socket "$1" ;;
    *) wait_port "$1" ;;
    esac
}

wait_socket() {
    local try
    for try in $(seq 50); do
        [ -S "$1" ] && return
        sleep 0.1
    done
    fail "no socket '$1' after $((try / 10)) s: $(tail -n 20 "$WORK"/*.log)"
}

# start_swtpm [provisioned|crowded]: a new TPM without a resource manager; from here on tpm2-tools use it.  provisioned: with
# endorsement keys, their certificates in its NV memory, and the CA of these in $WORK/tpm-ca/issuercert.pem.  crowded:
# for many processes at once, by a socket in $WORK: its TCP port would let some of them wait for a second.
start_swtpm() {
    local where
    need_programs swtpm tpm2_getcap
    rm -rf "$WORK/tpm-state" "$WORK/tpm-ca"
    mkdir "$WORK/tpm-state"
    [ "${1-}" != provisioned ] || provision_swtpm
    if [ "${1-}" = crowded ]; then
        where=$WORK/swtpm
        export TPM2TOOLS_TCTI=swtpm:path=$where
    else
        where=$(free_ports)
        export TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=$where
    fi
    run_swtpm "$where"
}

provision_swtpm() {
    local ca=$WORK/tpm-ca
    need_programs swtpm_setup swtpm_localca certtool
    mkdir "$ca"
    printf '%s\n' "create_certs_tool = $(command -v swtpm_localca)" "create_certs_tool_config = $ca/localca.conf" \
        "create_certs_tool_options = $ca/localca.options" "active_pcr_banks = sha256" >"$ca/setup.conf"
    printf '%s\n' "statedir = $ca" "signingkey = $ca/signkey.pem" "issuercert = $ca/issuercert.pem" \
        "certserial = $ca/certserial" >"$ca/localca.conf"
    printf '%s\n' "--platform-manufacturer Story" "--platform-version 2.1" "--platform-model TPM" >"$ca/localca.options"
    swtpm_setup --tpm2 --tpmstate "$WORK/tpm-state" --create-ek-cert --create-platform-cert --lock-nvram --overwrite \
        --config "$ca/setup.conf" --logfile "$ca/log" >/dev/null || fail "swtpm_setup: $(cat "$ca/log")"
}

# stop_swtpm: as if it had lost power.
stop_swtpm() {
    local pid=${pids[$SWTPM_INDEX]}
    unset "pids[$SWTPM_INDEX]"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
}

# restart_swtpm [unstarted]: the same TPM after it lost power.
restart_swtpm() {
    stop_swtpm
    run_swtpm "$SWTPM_PORT" "$@"
}

# tpm_ini NAME [pcap]: a configuration with the TPM as its only token, and what belongs to it in $WORK/NAME.  pcap: each
# of its commands is counted, from 0.
tpm_ini() {
    local tcti=$TPM2TOOLS_TCTI
    mkdir -p "$WORK/$1"
    if [ "${2-}" = pcap ]; then
        [ -x "$BUILD/tests/lib/tpm-commands" ] || skip "the program that reads the pcap TCTI's file is not built"
        tcti=pcap:$tcti
        export TCTI_PCAP_FILE=$WORK/tpm.pcap
        : >"$TCTI_PCAP_FILE"
        chmod 666 "$TCTI_PCAP_FILE" # for who gave up root's rights
    fi
    ini "[token $1]" "plugin = tpm2" "tcti = $tcti" "directory = $WORK/$1"
}

# tpm_commands [CODE]: how many commands the counted TPM got so far, or how many of one code, as 0x15d: TPM2_Sign.
tpm_commands() {
    "$BUILD/tests/lib/tpm-commands" "$WORK/tpm.pcap" >"$WORK/commands"
    grep -c "^${1:-0x.*}$" "$WORK/commands" || true
}

# tpm_left: the transient objects and the sessions that a TPM without a resource manager holds, a line each; there
# should be none.
tpm_left() {
    local what
    for what in transient loaded-session saved-session; do
        tpm2_getcap "handles-$what" | sed "s/^-/$what/"
    done
}

nothing_left() {
    local left
    tpm2_getcap properties-fixed >/dev/null || fail "the TPM does not answer"
    left=$(tpm_left)
    [ -z "$left" ] || fail "left in the TPM: $left"
}

# start_tpm [provisioned]: a TPM behind tpm2-abrmd; from here on tpm2-tools use it.  Programs that fork must reach it through $TPM_BRIDGE: D-Bus does not
# outlive fork(), and this way each process has a helper with a connection of its own.  The TPM itself is at $TPM_BEHIND.
start_tpm() {
    local tcti
    need_programs dbus-daemon tpm2-abrmd tpm2_send
    start_swtpm "$@"
    tcti=$TPM2TOOLS_TCTI
    printf '%s\n' '<busconfig>' "<type>session</type><listen>unix:path=$WORK/bus</listen><auth>EXTERNAL</auth>" \
        '<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>' '</busconfig>' \
        >"$WORK/bus.conf"
    start dbus dbus-daemon --nofork --config-file="$WORK/bus.conf"
    export DBUS_SESSION_BUS_ADDRESS=unix:path=$WORK/bus TPM2TOOLS_TCTI=tabrmd:bus_type=session
    wait_socket "$WORK/bus"
    run_abrmd "$tcti"
    # shellcheck disable=SC2034
    TPM_BRIDGE="cmd:tpm2_send -T $TPM2TOOLS_TCTI" TPM_BEHIND=$tcti
}

# run_abrmd TCTI
run_abrmd() {
    local try
    start abrmd tpm2-abrmd --session --allow-root --flush-all "--tcti=$1"
    for try in $(seq 50); do
        timeout 5 tpm2_getcap properties-fixed >/dev/null 2>&1 && break
        sleep 0.1
    done
    [ "$try" -lt 50 ] || fail "no TPM after 5 s: $(tail -n 20 "$WORK"/{swtpm,dbus,abrmd}.log)"
}

# tpm_key HANDLE TYPE [AUTH [ATTRIBUTES]]: a key at a persistent handle, made by others than us: for signatures, and
# without noDA if it has an auth value, unless the attributes say otherwise.
tpm_key() {
    local made=$WORK/tpm-key attributes=${4-sign}
    [ -n "${3-}" ] || [ -n "${4-}" ] || attributes="sign|noda"
    tpm2_createprimary -Q -C o -c "$made.primary"
    tpm2_create -Q -C "$made.primary" -G "$2" -u "$made.pub" -r "$made.priv" ${3:+-p "$3"} \
        -a "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|$attributes"
    tpm2_flushcontext -t
    tpm2_load -Q -C "$made.primary" -u "$made.pub" -r "$made.priv" -c "$made.key"
    tpm2_evictcontrol -Q -C o -c "$made.key" "$1" >/dev/null
    tpm2_flushcontext -t
}

# tpm_key_file LABEL TYPE: a key file of others' making in $WORK/keys, below the SRK, which is made if there is none.
tpm_key_file() {
    local made=$WORK/tpm-key srk=0x81000001
    if [[ $(tpm2_getcap handles-persistent) != *$srk* ]]; then
        tpm2_createprimary -Q -C o -G ecc -c "$made.srk" \
            -a "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"
        tpm2_evictcontrol -Q -C o -c "$made.srk" $srk >/dev/null
        tpm2_flushcontext -t
    fi
    mkdir -p "$WORK/keys"
    tpm2_create -Q -C $srk -G "$2" -u "$made.pub" -r "$made.priv" \
        -a "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|noda"
    tpm2_encodeobject -C $srk -u "$made.pub" -r "$made.priv" -o "$WORK/keys/$1.tss"
    chmod 644 "$WORK/keys/$1.tss"
    tpm2_flushcontext -t
    tpm2_flushcontext -l
}

# wrong_auths: how many wrong authorisations the TPM has counted; at 3 it locks.
wrong_auths() {
    echo $(($(tpm2_getcap properties-variable | sed -n 's/^TPM2_PT_LOCKOUT_COUNTER: //p')))
}
