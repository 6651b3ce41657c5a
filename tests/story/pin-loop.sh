#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# A wrong PIN in the configuration, and a service manager that starts the program again and again, on a token that locks
# after three wrong ones: it is sent once, whoever the workers have become by then; and corrected, it works at once.
. "$(dirname "$0")/../lib/story.sh"

WORKERS=$BUILD/tests/lib/workers
[ -x "$WORKERS" ] || skip "the tests' programs are not built"
public_copy
cp "$WORKERS" "$WORK/prefix/workers"
WORKERS=$WORK/prefix/workers
make_ca
softhsm_token edge
softhsm_ini edge edge counted
make_referenced edge edge
use_provider
touch "$WORK/calls" "$WORK/wrong"
chmod 666 "$WORK/calls" "$WORK/wrong"
right=$(sed -n 's/^pin-file = //p' "$HSMUX_CONF")
wrong=$(pin_file "$WRONG_PIN")
export P11_COUNTER_LOCK=$WORK/wrong STATE_DIRECTORY=$WORK/state

configure() {
    sed -i "s|^pin-file = .*|pin-file = $1|" "$HSMUX_CONF"
}

# begin WORDS: a token that nobody has tried, and no memory of what was refused.
begin() {
    step "$*"
    rm -rf "$WORK/state"
    : >"$WORK/wrong"
    : >"$WORK/calls"
    configure "$wrong"
}

logins() {
    grep -c 'C_Login\b' "$WORK/calls" || true
}

# starts COUNT [USER]: a server with four workers that cannot sign.
starts() {
    local start status
    for start in $(seq "$1"); do
        status=0
        "$WORKERS" "$WORK/edge.ref" 4 2 1 "${@:2}" >"$WORK/out" 2>&1 || status=$?
        [ "$status" = 4 ] || fail "start $start: $status of 4 workers failed: $(cat "$WORK/out")"
        ! grep -qF -e "$PIN" -e "$WRONG_PIN" "$WORK/out" || fail "a PIN was shown: $(cat "$WORK/out")"
    done
}

works() {
    configure "$right"
    "$WORKERS" "$WORK/edge.ref" 4 2 1 "$@" || fail "the right PIN does not heal"
    [ "$(cat "$WORK/wrong")" = 0 ] || fail "$(cat "$WORK/wrong") wrong PINs"
}

# sent COUNT
sent() {
    [ "$(logins)" = "$1" ] || fail "$(logins) logins, not $1"
}

begin "20 starts with 4 workers each"
starts 20
sent 1
expect ": token 'edge': sign: login: this PIN was refused before and is not sent again: correct it in '$wrong'" "$WORK/out"
works

begin "the same on a token that tells nothing of its tries"
export P11_COUNTER_MUTE=1
starts 20
sent 1
works
unset P11_COUNTER_MUTE

begin "somebody else mistyped it once: that does not stop us"
expect_error "PIN" hsmux login edge <"$(pin_file 99999999)"
[ "$(cat "$WORK/wrong")" = 1 ] || fail "the token did not count that"
works

begin "another wrong PIN is sent once; then one try is left, and that is a person's"
starts 2
configure "$(pin_file 88888888)"
starts 3
sent 2
expect "one more wrong PIN would lock it, so none is sent: say \`hsmux login edge\`" "$WORK/out"
configure "$right"
starts 3
sent 2
hsmux login edge <"$right"
works

begin "a locked token says so, and works as soon as it is unblocked"
echo 3 >"$WORK/wrong"
starts 3
sent 0
expect "the PIN is locked: unblock it with the vendor's tool" "$WORK/out"
echo 0 >"$WORK/wrong"
works

begin "nowhere to remember: the token's own word is what is left, and a warning says so"
STATE_DIRECTORY=/dev/null/state starts 1
expect "set STATE_DIRECTORY" "$WORK/out"
expect "token 'edge'" "$WORK/out"
STATE_DIRECTORY=/dev/null/state starts 19
sent 2
configure "$right"
hsmux login edge <"$right"
works

step "a pinpad: asked once in a start, and not again after it was asked in vain"
: >"$WORK/calls"
rm -rf "$WORK/state"
sed -i '/^pin-file/d' "$HSMUX_CONF"
P11_COUNTER_PINPAD="" starts 20
sent 1
expect "asked before, in vain, and is not asked again: say \`hsmux login edge --pinpad\`" "$WORK/out"
P11_COUNTER_PINPAD=$PIN hsmux login edge --pinpad
: >"$WORK/calls"
P11_COUNTER_PINPAD=$PIN "$WORKERS" "$WORK/edge.ref" 4 2 1 || fail "what is typed at the pinpad does not do"
sent 4 # each process logs in for itself
softhsm_ini edge edge counted
right=$(sed -n 's/^pin-file = //p' "$HSMUX_CONF")

step "a key that wants its PIN for each signature: 8 threads"
rm -rf "$WORK/state"
pkcs11-tool --module "$SOFTHSM" --token-label edge --login --pin "$PIN" --keypairgen --key-type EC:prime256v1 \
    --label always --id 07 --always-auth >/dev/null 2>&1
hsmux list | tee "$WORK/said"
hsmux ref hsm:edge/key/always --out "$WORK/always.ref"
: >"$WORK/calls"
"$WORKERS" "$WORK/always.ref" 2 5 8 || fail "8 threads of 2 workers could not sign"
[ "$(signatures)" = 80 ] || fail "$(signatures) signatures"
sent 82
openssl dgst -sha256 -sign "$WORK/always.ref" -out "$WORK/sig" "$HSMUX_CONF"
: >"$WORK/calls"
configure "$wrong"
P11_COUNTER_MUTE=1 starts 5
sent 1
configure "$right"
"$WORKERS" "$WORK/always.ref" 1 1 1
sed -i '/^pin-file/d' "$HSMUX_CONF"
expect_fail "wants a PIN: set pin-file = in [token edge]" "$WORKERS" "$WORK/always.ref" 1 1 1

[ "$(id -u)" = 0 ] || exit 0
softhsm_ini edge edge counted
right=$(sed -n 's/^pin-file = //p' "$HSMUX_CONF")
chmod 755 "$WORK"
chown -R nobody "$WORK/tokens"
export P11_COUNTER_MUTE=1

begin "20 starts as root, 4 workers each that become nobody, who may write nowhere"
starts 20 nobody
sent 1
works nobody

[ -x /usr/sbin/nginx ] || exit 0
PORT=$(free_port)
cat >"$WORK/nginx.conf" <<EOT
user nobody nogroup;
worker_processes 4;
daemon off;
pid $WORK/nginx.pid;
error_log stderr notice;
env SOFTHSM2_CONF;
env P11_COUNTER_MODULE;
env P11_COUNTER_LOG;
env P11_COUNTER_LOCK;
env P11_COUNTER_MUTE;
events { }
http {
    access_log off;
    client_body_temp_path $WORK/t1;
    proxy_temp_path $WORK/t2;
    fastcgi_temp_path $WORK/t3;
    uwsgi_temp_path $WORK/t4;
    scgi_temp_path $WORK/t5;
    server {
        listen 127.0.0.1:$PORT ssl;
        ssl_certificate $WORK/edge.pem;
        ssl_certificate_key $WORK/edge.ref;
    }
}
EOT

serve() {
    start nginx nginx -c "$WORK/nginx.conf" -e stderr
    wait_port "$PORT"
}

begin "nginx: 5 starts, and reloads"
for _ in 1 2 3 4 5; do
    serve
    for _ in 1 2 3; do
        ! greeted || fail "nginx signed with a wrong PIN"
    done
    kill -HUP "${pids[-1]}"
    sleep 0.3
    ! greeted || fail "nginx signed with a wrong PIN"
    stop
done
sent 1
expect "is not sent again: correct it in '$wrong'" "$WORK/nginx.log"
configure "$right"
serve
greeted || fail "the right PIN does not heal: $(tail -n 5 "$WORK/nginx.log")"
stop
[ "$(cat "$WORK/wrong")" = 0 ] || fail "$(cat "$WORK/wrong") wrong PINs"
