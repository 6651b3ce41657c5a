#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 120
# curl, nginx, mosquitto, Python and Node with references to keys of a TPM: RSA-2048, P-256 and P-384, TLS 1.2 and 1.3.
# Each handshake costs the TPM one command that signs, which are counted.
. "$(dirname "$0")/../lib/story.sh"
. "$(dirname "$0")/../lib/tpm.sh"

start_swtpm crowded
tpm_ini tpm pcap
make_ca
make_server
start_server
use_provider
for type in rsa:2048 p256 p384; do
    step "a key and its certificate: $type"
    make_referenced tpm "${type%:*}" "$type"
done

# one_signature WORDS COMMAND...: it succeeds, and the TPM signed once.
one_signature() {
    local words=$1
    shift
    : >"$WORK/tpm.pcap"
    "$@" || fail "$words: $*: $(tail -n 20 "$WORK"/*.log)"
    [ "$(signatures)" = 1 ] || fail "$words: $(signatures) signatures of the TPM"
}

# saw LABEL VERSION: what the server answered.
saw() {
    expect "Subject: CN=$1" "$WORK/answer"
    grep -qE "Protocol *: TLSv1\.$2" "$WORK/answer" || fail "not TLS 1.$2: $(cat "$WORK/answer")"
}

call_curl() {
    curl -sS --tlsv1."$2" --tls-max 1."$2" --cacert "$WORK/ca.pem" --cert "$WORK/$1.pem" --key "$WORK/$1.ref" \
        "https://127.0.0.1:$PORT/" >"$WORK/answer"
    saw "$@"
}

cat >"$WORK/call.py" <<'EOT'
import ssl, sys, urllib.request
port, version, directory, label = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{directory}/ca.pem")
context.minimum_version = context.maximum_version = ssl.TLSVersion["TLSv1_" + version]
context.load_cert_chain(f"{directory}/{label}.pem", f"{directory}/{label}.ref")
sys.stdout.write(urllib.request.urlopen(f"https://127.0.0.1:{port}/", context=context).read().decode())
EOT

call_python3() {
    python3 "$WORK/call.py" "$PORT" "$2" "$WORK" "$1" >"$WORK/answer"
    saw "$@"
}

cat >"$WORK/call.js" <<'EOT'
const fs = require("fs"), https = require("https");
const [port, version, directory, label] = process.argv.slice(2);
const read = (name) => fs.readFileSync(`${directory}/${name}`), tls = `TLSv1.${version}`;
https.get({ host: "127.0.0.1", port, ca: read("ca.pem"), cert: read(`${label}.pem`), key: read(`${label}.ref`),
    minVersion: tls, maxVersion: tls }, (answer) => answer.on("data", (data) => process.stdout.write(data)));
EOT

call_node() {
    node "$WORK/call.js" "$PORT" "$2" "$WORK" "$1" >"$WORK/answer"
    saw "$@"
}

for program in curl python3 node; do
    if ! command -v $program >/dev/null; then
        echo "not tried: $program, which is not installed"
        continue
    fi
    for label in rsa p256 p384; do
        for version in 2 3; do
            step "$program, $label, TLS 1.$version"
            one_signature "$program" "call_$program" $label $version
        done
    done
done

if [ -x /usr/sbin/nginx ]; then
    # serve LABEL: nginx on $PORT, its own key in the TPM.
    serve() {
        PORT=$(free_port)
        cat >"$WORK/nginx.conf" <<EOT
daemon off;
master_process off;
pid $WORK/nginx.pid;
error_log stderr notice;
env TCTI_PCAP_FILE;
events { }
http {
    access_log off;
    client_body_temp_path $WORK/t1;
    proxy_temp_path $WORK/t2;
    fastcgi_temp_path $WORK/t3;
    uwsgi_temp_path $WORK/t4;
    scgi_temp_path $WORK/t5;
    ssl_session_tickets off;
    server {
        listen 127.0.0.1:$PORT ssl;
        ssl_certificate $WORK/$1.pem;
        ssl_certificate_key $WORK/$1.ref;
        ssl_protocols TLSv1.2 TLSv1.3;
        location / { return 200 "\$ssl_protocol\n"; }
    }
}
EOT
        start nginx nginx -c "$WORK/nginx.conf" -e stderr
        wait_port "$PORT"
    }

    ask_nginx() {
        OPENSSL_CONF=/dev/null curl -sS --tlsv1."$1" --tls-max 1."$1" --cacert "$WORK/ca.pem" \
            "https://127.0.0.1:$PORT/" >"$WORK/answer"
        expect "TLSv1.$1" "$WORK/answer"
    }

    for label in rsa p256 p384; do
        step "nginx, $label"
        serve $label
        for version in 2 3; do
            one_signature "nginx, TLS 1.$version" ask_nginx $version
        done
        stop
    done
fi

if [ -x /usr/sbin/mosquitto ] && command -v mosquitto_pub >/dev/null; then
    PORT=$(free_port)
    cat >"$WORK/mosquitto.conf" <<EOT
listener $PORT 127.0.0.1
user root
cafile $WORK/ca.pem
certfile $WORK/server.pem
keyfile $WORK/server.key
require_certificate true
use_identity_as_username true
log_dest stderr
log_type all
EOT
    start mosquitto env OPENSSL_CONF=/dev/null mosquitto -c "$WORK/mosquitto.conf"
    wait_port "$PORT"
    for label in rsa p256 p384; do
        for version in 2 3; do
            step "mosquitto_pub, $label, TLS 1.$version"
            one_signature "mosquitto" mosquitto_pub -h 127.0.0.1 -p "$PORT" --tls-version "tlsv1.$version" \
                --cafile "$WORK/ca.pem" --cert "$WORK/$label.pem" --key "$WORK/$label.ref" -t story -q 1 -m "$version"
            expect "u'$label'" "$WORK/mosquitto.log"
        done
    done
    stop
    step "a broker with its key in the TPM"
    sed -i "s/server\.pem/p256.pem/; s/server\.key/p256.ref/" "$WORK/mosquitto.conf"
    start mosquitto mosquitto -c "$WORK/mosquitto.conf"
    wait_port "$PORT"
    : >"$WORK/tpm.pcap"
    mosquitto_pub -h 127.0.0.1 -p "$PORT" --cafile "$WORK/ca.pem" --cert "$WORK/p384.pem" --key "$WORK/p384.ref" \
        -t story -q 1 -m both || fail "$(tail -n 20 "$WORK/mosquitto.log")"
    [ "$(signatures)" = 2 ] || fail "$(signatures) signatures of broker and client"
    stop
fi
nothing_left
