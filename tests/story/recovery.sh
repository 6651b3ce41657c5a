#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 120
# A token that goes away under servers that live on, and comes back: nginx with workers as nobody, and openssl s_server.
# While SoftHSM's directory is moved away, or closed to the workers' user, handshakes fail; once it is back they succeed
# again, without a reload, and again the second time.  So does a server that was started while the token was away.
. "$(dirname "$0")/../lib/story.sh"

# now greeted, or after a moment: how long, in seconds, is told.
recovers() {
    local start=$SECONDS
    until greeted; do
        [ $((SECONDS - start)) -lt 5 ] || fail "no handshake 5 s after $1: $(tail -n 5 "$WORK"/*.log)"
        sleep 0.2
    done
    greeted || fail "the second handshake fails after $1"
}

# For so long that a server tries to mend it, and fails.
stays_away() {
    local try
    for try in 1 2 3 4; do
        ! greeted || fail "a handshake without the token ($1, $try)"
        sleep 0.4
    done
}

goes_and_comes() {
    local round
    for round in 1 2; do
        mv "$WORK/tokens" "$WORK/away"
        stays_away "$1: the directory was moved"
        mv "$WORK/away" "$WORK/tokens"
        recovers "$1: the directory was moved back, round $round"
    done
    step "$1: what is in the directory is moved away and back"
    mkdir "$WORK/away"
    mv "$WORK/tokens/"* "$WORK/away/"
    stays_away "$1: the token was moved"
    mv "$WORK/away/"* "$WORK/tokens/"
    rmdir "$WORK/away"
    recovers "$1: the token was moved back"
}

make_ca
softhsm_token web
private_counter
softhsm_ini edge web counted
make_referenced edge web
use_provider

step "openssl s_server: the token's directory is moved away and back, twice"
PORT=$(free_port)
start s_server openssl s_server -accept "127.0.0.1:$PORT" -cert "$WORK/web.pem" -key "$WORK/web.ref" -www
wait_port "$PORT"
greeted || fail "no handshake: $(cat "$WORK/s_server.log")"
goes_and_comes s_server
stop

step "a server that starts while the token is away"
mv "$WORK/tokens" "$WORK/away"
start s_server openssl s_server -accept "127.0.0.1:$PORT" -cert "$WORK/web.pem" -key "$WORK/web.ref" -www
wait_port "$PORT"
stays_away "from the start"
mv "$WORK/away" "$WORK/tokens"
recovers "the token came for the first time"
stop

if [ "$(id -u)" != 0 ] || [ ! -x /usr/sbin/nginx ]; then
    echo "not tried: nginx, which is not installed, or wants root"
    exit 0
fi
give_softhsm nobody
cat >"$WORK/nginx.conf" <<EOT
user nobody nogroup;
worker_processes 2;
daemon off;
pid $WORK/nginx.pid;
error_log stderr notice;
env SOFTHSM2_CONF;
env P11_COUNTER_MODULE;
env P11_COUNTER_LOG;
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
        ssl_certificate $WORK/web.pem;
        ssl_certificate_key $WORK/web.ref;
        location / { return 200 "signed\n"; }
    }
}
EOT

step "nginx: the token's directory is moved away and back, twice"
start nginx nginx -c "$WORK/nginx.conf" -e stderr
wait_port "$PORT"
recovers "the start"
goes_and_comes nginx

step "nginx: its user loses the rights to the token and gets them back"
chown -R root "$WORK/tokens"
chmod -R go-rwx "$WORK/tokens"
stays_away "the rights were lost"
chown -R nobody "$WORK/tokens"
recovers "the rights were given back"

step "80 parallel requests"
answered=$(load 80 40)
[ "$answered" = 80 ] || fail "$answered of 80 requests answered: $(tail -n 5 "$WORK/load.err" "$WORK/nginx.log")"
if grep -E '\[(alert|emerg)\]' "$WORK/nginx.log"; then
    fail "nginx complains"
fi
