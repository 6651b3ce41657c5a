#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# nginx with the key's reference: started as root with 4 workers as nobody, the master touches no token, 80 parallel
# requests of 80 succeed, and so do those during reloads.  The counting module proves that the token signed.
. "$(dirname "$0")/../lib/story.sh"

[ "$(id -u)" = 0 ] || skip "nginx with workers as nobody wants root"
[ -x /usr/sbin/nginx ] || skip "nginx is not installed"

# The master has it mapped for its workers.
private_counter
make_ca
softhsm_token web
softhsm_ini edge web counted
step "a key on the token, its certificate signed by the CA"
make_referenced edge web
use_provider

# The workers' user may use the token; the PIN file and the configuration stay root's.
give_softhsm nobody
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
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $WORK/t1;
    proxy_temp_path $WORK/t2;
    fastcgi_temp_path $WORK/t3;
    uwsgi_temp_path $WORK/t4;
    scgi_temp_path $WORK/t5;
    server {
        listen 127.0.0.1:$PORT ssl;
        ssl_certificate $WORK/web.pem;
        ssl_certificate_key $WORK/web.ref;
        ssl_session_tickets off;
        location / { return 200 "signed\n"; }
    }
}
EOT

step "the master reads the key and opens no token"
start nginx nginx -c "$WORK/nginx.conf" -e stderr
master=$!
wait_port "$PORT"
# The master listens before its workers are there and have become nobody.
for _ in $(seq 100); do
    [ "$(pgrep -c -P "$master" -u nobody)" != 4 ] || break
    sleep 0.1
done
[ "$(pgrep -c -P "$master" -u nobody)" = 4 ] || fail "not 4 workers as nobody: $(tail -n 20 "$WORK/nginx.log")"
if grep -E 'C_(OpenSession|Login|Sign)\b' "$WORK/calls"; then
    fail "the token was touched before the first request"
fi

step "80 parallel requests"
answered=$(load 80 80)
[ "$answered" = 80 ] || fail "$answered of 80 requests answered: $(tail -n 5 "$WORK/load.err" "$WORK/nginx.log")"
[ "$(signatures)" -ge 80 ] || fail "80 handshakes and only $(signatures) signatures of the token"

step "400 requests, and 3 reloads meanwhile"
load 400 20 >"$WORK/answered" &
loader=$!
for _ in 1 2 3; do
    sleep 0.7
    kill -HUP "$master"
done
wait "$loader"
[ "$(cat "$WORK/answered")" = 400 ] ||
    fail "$(cat "$WORK/answered") of 400 requests answered: $(tail -n 5 "$WORK/load.err" "$WORK/nginx.log")"
[ "$(signatures)" -ge 480 ] || fail "480 handshakes and only $(signatures) signatures of the token"
if grep -E '\[(alert|emerg|crit)\]' "$WORK/nginx.log"; then
    fail "nginx complains"
fi
