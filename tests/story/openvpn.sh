#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# openvpn, both ends on the loopback and with keys of a token, to "Initialization Sequence Completed", TLS 1.2 and 1.3;
# and a server that has become nobody, which signs anew for each renegotiation and each client that comes again.
. "$(dirname "$0")/../lib/story.sh"

openvpn=$(PATH=$PATH:/usr/sbin type -P openvpn) || skip "openvpn is not installed"
completed="Initialization Sequence Completed"

# peers NAME LABEL server|client [openvpn option...]: one end of a tunnel without a device.
peers() {
    local name=$1 label=$2 role=$3
    shift 3
    start "$name" "$openvpn" --dev null --proto "tcp4-$role" --tls-"$role" --ca "$WORK/ca.pem" \
        --cert "$WORK/$label.pem" --key "$WORK/$label.ref" --connect-retry 1 1 --verb 3 "$@"
}

# awaits TEXT NAME [TIMES]: the log of NAME comes to hold the text.
awaits() {
    local try
    for try in $(seq 150); do
        [ "$(grep -cF -- "$1" "$WORK/$2.log")" -lt "${3-1}" ] || return 0
        sleep 0.1
    done
    fail "no '$1' after $((try / 10)) s: $(tail -n 30 "$WORK/$2.log")"
}

# tunnel TLS SERVER CLIENT
tunnel() {
    local name=$1-$2-$3
    PORT=$(free_port)
    peers "server-$name" "$2" server --local 127.0.0.1 --lport "$PORT" --dh none --tls-version-max "$1"
    awaits "Listening for incoming TCP connection" "server-$name"
    peers "client-$name" "$3" client --remote 127.0.0.1 "$PORT" --tls-version-min "$1"
    awaits "$completed" "server-$name"
    awaits "$completed" "client-$name"
    expect "VERIFY OK: depth=0, CN=$3" "$WORK/server-$name.log"
    expect "VERIFY OK: depth=0, CN=$2" "$WORK/client-$name.log"
    expect "TLSv$1, cipher" "$WORK/client-$name.log"
    stop
    stop
}

# story TOKEN
story() {
    local type
    for type in rsa:2048 p256 ed25519; do
        make_referenced "$1" "$1-${type%:*}" "$type"
    done
    step "$1: TLS 1.2"
    signed 2 tunnel 1.2 "$1-p256" "$1-rsa"
    step "$1: TLS 1.3"
    signed 2 tunnel 1.3 "$1-rsa" "$1-ed25519"
}

make_ca
use_provider
on_both_tokens story

[ "$(id -u)" = 0 ] && [ -n "$SOFTHSM" ] || exit 0
private_counter
softhsm_ini edge edge counted

# server_of_nobody NAME [openvpn option...]: its port in $PORT.
server_of_nobody() {
    local name=$1
    shift
    PORT=$(free_port)
    peers "$name" edge-p256 server --local 127.0.0.1 --lport "$PORT" --dh none --user nobody --group nogroup \
        --persist-tun "$@"
    awaits "Listening for incoming TCP connection" "$name"
}

# The client stays root, with a key of the file token.
client() {
    HSMUX_CONF=$WORK/soft.conf peers "$1" soft-rsa client --remote 127.0.0.1 "$PORT"
}

printf '%s\n' "[token soft]" "plugin = file" "directory = $WORK/soft" >"$WORK/soft.conf"

step "user nobody, who may not reach the token"
server_of_nobody refused --persist-key
client early
awaits "UID set to nobody" refused
awaits "is this user let at the device" refused
grep -F "hsmux:" "$WORK/refused.log" | head -n 1
stop
stop

step "user nobody, who may, and persist-key: renegotiations, and a client that comes again"
give_softhsm nobody
server_of_nobody nobody --persist-key --reneg-sec 2
client first
awaits "VERIFY OK: depth=0, CN=soft-rsa" nobody 3
stop
client second
awaits "VERIFY OK: depth=0, CN=soft-rsa" nobody 4
expect "UID set to nobody" "$WORK/nobody.log"
[ "$(signatures)" -ge 4 ] || fail "4 handshakes and only $(signatures) signatures of the token"
stop
stop

step "without persist-key nobody reads the reference again; what it leads to is still there from before"
server_of_nobody forgetful
client once
awaits "$completed" forgetful
stop
client again
awaits "VERIFY OK: depth=0, CN=soft-rsa" forgetful 2
