#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A file token and programs that give up root's rights: nginx signs where the directory belongs to the workers' user;
# `open = load` helps a program that signs in the process that loaded the key, and none that forks after that.
. "$(dirname "$0")/../lib/story.sh"

[ "$(id -u)" = 0 ] || skip "giving up root's rights wants root"
[ -x /usr/sbin/nginx ] || skip "nginx is not installed"
command -v python3 >/dev/null || skip "python3 is not installed"

public_copy
make_ca
file_ini soft
make_credential soft server
hsmux ref --out "$WORK/server.ref"
use_provider

# nginx_as_nobody: its port in $PORT.
nginx_as_nobody() {
    PORT=$(free_port)
    printf '%s\n' "user nobody nogroup;" "daemon off;" "pid $WORK/nginx.pid;" "error_log stderr;" "events { }" "http {" \
        "access_log off;" "client_body_temp_path $WORK/t1; proxy_temp_path $WORK/t2; fastcgi_temp_path $WORK/t3;" \
        "uwsgi_temp_path $WORK/t4; scgi_temp_path $WORK/t5;" \
        "server { listen 127.0.0.1:$PORT ssl; ssl_certificate $WORK/server.pem; ssl_certificate_key $WORK/server.ref; }" \
        "}" >"$WORK/nginx.conf"
    start nginx nginx -c "$WORK/nginx.conf" -e stderr
    wait_port "$PORT"
}

step "nginx: the directory is root's, and the workers cannot read it"
nginx_as_nobody
! greeted || fail "a worker read root's keys"
expect "Permission denied" "$WORK/nginx.log"

step "nginx: the directory and what is in it belong to the workers' user"
chown -R nobody "$WORK/soft"
nginx_as_nobody
greeted || fail "$(cat "$WORK/answer" "$WORK/nginx.log")"
expect_error "belongs to user" hsmux list
HOME=/nonexistent setpriv --reuid nobody --clear-groups hsmux list | tee "$WORK/said"
expect "hsm:soft/key/server" "$WORK/said"
chown -R root "$WORK/soft"

cat >"$WORK/server.py" <<'EOT'
import os, socket, ssl, sys
port, chain, reference, mode = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(chain, reference)
if mode == "fork" and os.fork():
    os.wait()
    sys.exit()
if mode == "chroot":
    os.chroot("/var/lib")
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
listener = socket.create_server(("127.0.0.1", int(port)))
for _ in range(2): # the one of wait_port, and the one that counts
    connection, _ = listener.accept()
    try:
        context.wrap_socket(connection, server_side=True).recv(1)
    except OSError as error:
        print(error, flush=True)
EOT

# serves MODE LABEL: a program that loads the key as root and signs as nobody.
serves() {
    PORT=$(free_port)
    start "server-$1" python3 "$WORK/server.py" "$PORT" "$WORK/$2.pem" "$WORK/$2.ref" "$1"
    wait_port "$PORT"
}

step "open = use: rights are gone before the token is opened"
serves plain server
! greeted || fail "nobody read root's keys"

step "open = load: the process that loaded the key goes on using it, also behind a chroot, but no child does"
echo "open = load" >>"$HSMUX_CONF"
for mode in plain chroot; do
    serves $mode server
    greeted || fail "$mode: $(cat "$WORK/answer" "$WORK/server-$mode.log")"
done
serves fork server
! greeted || fail "a child used what its parent opened"

step "open = load: SoftHSM reads its files again"
softhsm_token edge
softhsm_ini edge edge
make_credential edge edge
hsmux ref --out "$WORK/edge.ref"
echo "open = load" >>"$HSMUX_CONF"
serves plain edge
! greeted || fail "SoftHSM has learnt to keep its objects: say so in hsmux.conf(5)"

step "a PIN file that is root's and a group's"
softhsm_ini edge edge
chown -R nobody "$WORK/tokens"
HOME=/nonexistent expect_error "Permission denied" setpriv --reuid nobody --regid nogroup --clear-groups hsmux list
share_pin nogroup
HOME=/nonexistent setpriv --reuid nobody --regid nogroup --clear-groups hsmux ref hsm:edge/key/edge
chmod 644 "$WORK"/pin-*
expect_error "chmod" hsmux ref hsm:edge/key/edge

step "without a configuration: who has no directory of his own has the system's, if it is his"
unset HSMUX_CONF
rm -rf "$STATEDIR"
hsmux key generate found --token file
# as_nobody HOME COMMAND...: as daemons run.
as_nobody() {
    local home=$1
    shift
    env -u XDG_DATA_HOME HOME="$home" setpriv --reuid nobody --clear-groups "$@"
}
if as_nobody / test -x "$(dirname "$STATEDIR")"; then
    as_nobody /nonexistent hsmux list --token file >"$WORK/said" 2>&1 || true
    ! grep -q hsm:file/key/found "$WORK/said" || fail "nobody reads root's keys"
    mkdir -m 700 "$WORK/closed"
    expect_fail "$STATEDIR" as_nobody "$WORK/closed" hsmux key generate other --token file
    chown -R nobody "$STATEDIR"
    as_nobody /nonexistent hsmux list --token file | tee "$WORK/said"
    expect "hsm:file/key/found" "$WORK/said"
    as_nobody "$WORK/closed" hsmux list --token file | tee "$WORK/said"
    expect "hsm:file/key/found" "$WORK/said"
else
    echo "not tried: another user cannot enter $(dirname "$STATEDIR")"
fi
rm -rf "$STATEDIR"
