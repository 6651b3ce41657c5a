#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 60
# nginx with references to keys of a TPM, one at a handle and one in a key file: started as root with 4 workers as
# nobody, the master touches no TPM, 80 parallel requests of 80 succeed, and so do those during reloads and after the TPM
# was restarted under it.  The TPM's commands are counted.
. "$(dirname "$0")/../lib/story.sh"
. "$(dirname "$0")/../lib/tpm.sh"

[ "$(id -u)" = 0 ] || skip "nginx with workers as nobody wants root"
[ -x /usr/sbin/nginx ] || skip "nginx is not installed"
need_programs tpm2_encodeobject
start_swtpm crowded
tpm_key 0x81010003 ecc256
tpm_key_file filed ecc256
tpm_ini tpm pcap
echo "key-files = $WORK/keys" >>"$HSMUX_CONF"
make_ca
use_provider

step "certificates for both keys"
hsmux ref "hsm:tpm/key?id=81010003" --out "$WORK/held.ref"
hsmux ref hsm:tpm/key/filed --out "$WORK/filed.ref"
for key in held filed; do
    openssl req -new -key "$WORK/$key.ref" -subj "/CN=$key" -out "$WORK/$key.csr"
    issue "$WORK/$key.csr" "$WORK/$key.pem" subjectAltName=IP:127.0.0.1
done

HELD=$(free_port)
FILED=$(free_port)
cat >"$WORK/nginx.conf" <<EOT
user nobody nogroup;
worker_processes 4;
daemon off;
pid $WORK/nginx.pid;
error_log stderr notice;
env TCTI_PCAP_FILE;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $WORK/t1;
    proxy_temp_path $WORK/t2;
    fastcgi_temp_path $WORK/t3;
    uwsgi_temp_path $WORK/t4;
    scgi_temp_path $WORK/t5;
    ssl_session_tickets off;
    server {
        listen 127.0.0.1:$HELD ssl;
        ssl_certificate $WORK/held.pem;
        ssl_certificate_key $WORK/held.ref;
        location / { return 200 "signed\n"; }
    }
    server {
        listen 127.0.0.1:$FILED ssl;
        ssl_certificate $WORK/filed.pem;
        ssl_certificate_key $WORK/filed.ref;
        location / { return 200 "signed\n"; }
    }
}
EOT

workers() {
    pgrep -c -P "$master" -u nobody || true
}

step "the master reads the keys and opens no TPM"
: >"$WORK/tpm.pcap"
start nginx nginx -c "$WORK/nginx.conf" -e stderr
master=$!
wait_port "$FILED"
for _ in $(seq 100); do
    [ "$(workers)" != 4 ] || break
    sleep 0.1
done
[ "$(workers)" = 4 ] || fail "not 4 workers as nobody: $(tail -n 20 "$WORK/nginx.log")"
[ "$(tpm_commands)" = 0 ] || fail "the TPM was touched before the first request: $(cat "$WORK/commands")"

# requests COUNT PARALLEL WORDS
requests() {
    local answered
    answered=$(load "$1" "$2")
    [ "$answered" = "$1" ] ||
        fail "$answered of $1 requests answered, $3: $(tail -n 5 "$WORK/load.err" "$WORK/nginx.log")"
}

for PORT in $HELD $FILED; do
    step "80 parallel requests"
    : >"$WORK/tpm.pcap"
    requests 80 80 "at once"
    signed=$(signatures)
    [ "$signed" -ge 80 ] || fail "80 handshakes and only $signed signatures of the TPM"
    [ "$signed" -le 84 ] || fail "80 handshakes and $signed signatures of the TPM"
    step "the TPM is restarted under the workers"
    restart_swtpm
    requests 80 20 "after a restart"
done

step "200 requests, and 2 reloads meanwhile"
load 200 20 >"$WORK/answered" &
loader=$!
for _ in 1 2; do
    sleep 0.5
    kill -HUP "$master"
done
wait "$loader"
[ "$(cat "$WORK/answered")" = 200 ] ||
    fail "$(cat "$WORK/answered") of 200 requests answered: $(tail -n 5 "$WORK/load.err" "$WORK/nginx.log")"
if grep -E '\[(alert|emerg|crit)\]' "$WORK/nginx.log"; then
    fail "nginx complains"
fi
kill "$master"
wait "$master" || true
nothing_left
