#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 60
# stunnel: a server and a client, each with but the reference of a key in a token, check each other's certificate, TLS 1.2
# and 1.3, after they have become nobody; in the foreground and as a daemon, which forks; and behind a chroot, where they
# need `open = load` and no fork, or the token in there.
. "$(dirname "$0")/../lib/story.sh"

[ "$(id -u)" = 0 ] || skip "giving up root's rights wants root"
command -v stunnel4 >/dev/null || skip "stunnel4 is not installed"

# A path in the jail is the same within and without.  stunnel writes its log and its PID there, as nobody.
JAIL=$WORK/jail
RUN=$JAIL/run
mkdir -p "$JAIL$WORK" "$RUN"
ln -s / "$JAIL$JAIL"
chown nobody "$RUN"

# stunnel_with TLS LINE...: with these lines in its global section.  $PORT is the client's door, which is plain; behind
# it TLS leads to the server, whose backend answers.
stunnel_with() {
    local tls
    tls=$(free_port)
    PORT=$(free_port)
    rm -f "$RUN"/*
    cat >"$WORK/stunnel.conf" <<EOT
$(printf '%s\n' "${@:2}")
setuid = nobody
setgid = nogroup
pid = $RUN/pid
output = $RUN/log
CAfile = $WORK/ca.pem
verifyChain = yes
sessionResume = no
sslVersion = TLSv1.$1
[server]
accept = 127.0.0.1:$tls
connect = 127.0.0.1:$BACKEND
cert = $WORK/$TOKEN-server.pem
key = $WORK/$TOKEN-server.ref
[client]
client = yes
accept = 127.0.0.1:$PORT
connect = 127.0.0.1:$tls
checkIP = 127.0.0.1
cert = $WORK/$TOKEN-client.pem
key = $WORK/$TOKEN-client.ref
EOT
    start stunnel stunnel4 "$WORK/stunnel.conf"
    wait_port "$PORT"
    until [ -s "$RUN/pid" ]; do sleep 0.1; done
    pids[-1]=$(cat "$RUN/pid")
    [ "$(ps -o user= -p "${pids[-1]}")" = nobody ] || fail "stunnel is still root"
}

# ask COUNT: how many of so many calls were answered.
ask() {
    local i
    for ((i = 0; i < $1; i++)); do
        curl -sS -m 10 "http://127.0.0.1:$PORT/" 2>>"$WORK/ask.err" || true
    done | grep -c '^signed$' || true
}

answers() {
    [ "$(ask 10)" = 10 ] || fail "not each of 10 calls answered: $(tail -n 9 "$RUN/log" "$WORK/stunnel.log")"
}

# serves TLS LINE...: two signatures for each call.
serves() {
    stunnel_with "$@"
    signed 20 answers
    stop
}

# refused TLS LINE...
refused() {
    stunnel_with "$@"
    [ "$(ask 1)" = 0 ] || fail "answered, and should not have been able to sign"
    expect "SSL_accept: hsmux" "$RUN/log"
    stop
}

# as_nobody: the token is nobody's.
as_nobody() {
    step "$TOKEN: in the foreground, TLS 1.2"
    serves 2 "foreground = yes"
    step "$TOKEN: a daemon, TLS 1.3"
    serves 3
}

BACKEND=$(free_port)
mkdir "$WORK/pages"
echo signed >"$WORK/pages/index.html"
start backend python3 -m http.server --bind 127.0.0.1 -d "$WORK/pages" "$BACKEND"
wait_port "$BACKEND"
make_ca
use_provider
private_counter
CHROOT="chroot = $JAIL"

TOKEN=soft
file_ini soft
make_referenced soft soft-server
make_referenced soft soft-client
chown -R nobody "$WORK/soft"
as_nobody

step "soft is root's: with open = load in the foreground, also behind a chroot, but not where a daemon forks"
chown -R root "$WORK/soft"
refused 3 "foreground = yes"
echo "open = load" >>"$HSMUX_CONF"
serves 3 "foreground = yes"
serves 3 "foreground = yes" "$CHROOT"
refused 3
refused 3 "$CHROOT"

step "soft: a daemon behind a chroot, and the token lies in there"
mv "$WORK/soft" "$JAIL/soft"
chown -R nobody "$JAIL/soft"
ini "[token soft]" "plugin = file" "directory = $JAIL/soft"
serves 3 "$CHROOT"

TOKEN=edge
softhsm_token edge
softhsm_ini edge edge counted
make_referenced edge edge-server
make_referenced edge edge-client
give_softhsm nobody
as_nobody
