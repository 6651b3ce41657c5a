#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 60
# haproxy with the key's reference, on a file token and on SoftHSM: 80 parallel requests at 4 threads, alone and under a
# master; as a client of its backend; as nobody; and behind a chroot, where it needs `open = load` and no fork, or the
# token in there.
. "$(dirname "$0")/../lib/story.sh"

[ "$(id -u)" = 0 ] || skip "haproxy with workers as nobody wants root"
[ -x /usr/sbin/haproxy ] || skip "haproxy is not installed"

NOBODY=$'user nobody\ngroup nogroup'
JAIL=$WORK/jail
CHROOT="$NOBODY"$'\nchroot '"$JAIL"

# haproxy_with LINES OPTION...: with these lines in its global section; its port in $PORT.
haproxy_with() {
    PORT=$(free_port)
    cat >"$WORK/haproxy.conf" <<EOT
global
nbthread 4
log stdout format raw local0
$1
defaults
mode http
log global
timeout connect 10s
timeout client 60s
timeout server 60s
frontend web
bind 127.0.0.1:$PORT ssl crt $WORK/served.pem
http-request return status 200 content-type text/plain string "signed\n" unless { path /backend }
default_backend device
backend device
server device 127.0.0.1:$BACKEND ssl ca-file $WORK/ca.pem crt $WORK/served.pem
EOT
    start haproxy haproxy -f "$WORK/haproxy.conf" "${@:2}"
    wait_port "$PORT"
}

# answers COUNT: so many of as many parallel requests.
answers() {
    local answered
    answered=$(load "$1" "$1")
    [ "$answered" = "$1" ] || fail "$answered of $1 requests answered: $(tail -n 9 "$WORK/load.err" "$WORK/haproxy.log")"
}

# refuses TEXT: no answer, and haproxy's output says why.
refuses() {
    [ "$(load 2 1)" = 0 ] || fail "answered, and should not have been able to sign"
    expect "$1" "$WORK/haproxy.log"
}

# certificate KEY: what haproxy is given, with the reference in the same file or beside it.
certificate() {
    rm -f "$WORK"/served.pem*
    cp "$WORK/$TOKEN-web.pem" "$WORK/served.pem"
    if [ "$1" = combined ]; then
        cat "$WORK/$TOKEN-web.ref" >>"$WORK/served.pem"
    else
        cp "$WORK/$TOKEN-web.ref" "$WORK/served.pem.key"
    fi
}

# give USER: who may use the token.
give() {
    if [ "$TOKEN" = soft ]; then chown -R "$1" "$WORK/soft"; else give_softhsm "$1"; fi
}

without_chroot() {
    local key mode
    for key in combined separate; do
        certificate $key
        step "$TOKEN: 80 parallel requests, certificate and reference $key"
        haproxy_with "" -db
        signed 80 answers 80
        stop
    done
    step "$TOKEN: haproxy as a client shows the certificate to its backend"
    haproxy_with "" -db
    signed 2 curl -sS --cacert "$WORK/ca.pem" "https://127.0.0.1:$PORT/backend" >"$WORK/answer"
    expect "Subject: CN=$TOKEN-web" "$WORK/answer"
    stop
    give nobody
    for mode in -db -W; do
        step "$TOKEN: as nobody, haproxy $mode"
        haproxy_with "$NOBODY" $mode
        signed 20 answers 20
        stop
    done
}

make_ca
make_server
start_server
BACKEND=$PORT
use_provider
private_counter
mkdir -p "$JAIL$WORK"

TOKEN=soft
file_ini soft
make_referenced soft soft-web
without_chroot
give root

step "soft, behind a chroot: not with open = use, nor with open = load and a fork"
for mode in -db -W; do
    haproxy_with "$CHROOT" $mode
    refuses "no object 'hsm:soft/key/soft-web' in '$WORK/soft' (no /proc here: behind a chroot"
    stop
done
echo "open = load" >>"$HSMUX_CONF"
haproxy_with "$CHROOT" -W
refuses "no object 'hsm:soft/key/soft-web'"
stop

step "soft, behind a chroot: with open = load and no fork"
haproxy_with "$CHROOT" -db
answers 80
stop

step "soft, behind a chroot: the token lies in it, and its path is the same within and without"
ln -s / "$JAIL$JAIL"
mv "$WORK/soft" "$JAIL/soft"
chown -R nobody "$JAIL/soft"
ini "[token soft]" "plugin = file" "directory = $JAIL/soft"
for mode in -db -W; do
    haproxy_with "$CHROOT" $mode
    answers 20
    stop
done

TOKEN=edge
softhsm_token edge
softhsm_ini edge edge counted
make_referenced edge edge-web
without_chroot

step "edge, behind a chroot: SoftHSM reads its files again, so open = load does not help"
echo "open = load" >>"$HSMUX_CONF"
for mode in -db -W; do
    haproxy_with "$CHROOT" $mode
    refuses "no /proc here: behind a chroot"
    stop
done

step "edge, behind a chroot: its configuration and its files lie in it"
mv "$WORK/tokens" "$WORK/softhsm2.conf" "$WORK/calls" "$JAIL/"
export SOFTHSM2_CONF=$JAIL/softhsm2.conf P11_COUNTER_LOG=$JAIL/calls
sed -i "s|$WORK/tokens|$JAIL/tokens|" "$SOFTHSM2_CONF"
ln -s "$JAIL/calls" "$WORK/calls"
for mode in -db -W; do
    haproxy_with "$CHROOT" $mode
    signed 20 answers 20
    stop
done

step "edge, behind a chroot: the same without open = load, and without the counting module, which looks for SoftHSM late"
softhsm_ini edge edge
for mode in -db -W; do
    haproxy_with "$CHROOT" $mode
    answers 20
    stop
done
