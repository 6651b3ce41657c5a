#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Python's ssl and Node as TLS 1.3 clients: the certificate they show belongs to a key in a token, a P-256 or an RSA
# one, and all they get of it is its reference.
. "$(dirname "$0")/../lib/story.sh"

clients=()
for client in python3 node; do
    if command -v $client >/dev/null; then
        clients+=($client)
    else
        missing="${missing-}${missing+ and }$client"
    fi
done
[ ${#clients[@]} -gt 0 ] || skip "$missing are not installed"

cat >"$WORK/python3.script" <<'EOT'
import socket, ssl, sys
port, ca, chain, reference = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(chain, reference)
with context.wrap_socket(socket.create_connection(("127.0.0.1", int(port))), server_hostname="127.0.0.1") as tls:
    tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
    while data := tls.recv(65536):
        sys.stdout.write(data.decode())
EOT
cat >"$WORK/node.script" <<'EOT'
const fs = require("fs"), https = require("https");
const [port, ca, chain, reference] = process.argv.slice(2);
const read = (name) => fs.readFileSync(name);
https.get({ host: "127.0.0.1", port, ca: read(ca), cert: read(chain), key: read(reference), agent: false }, (answer) =>
    answer.pipe(process.stdout)).on("error", (error) => { console.error(error); process.exit(1); });
EOT

# calls CLIENT LABEL: the server's page, which shows the session, the client's certificate included.
calls() {
    "$1" "$WORK/$1.script" "$PORT" "$WORK/ca.pem" "$WORK/$2.pem" "$WORK/$2.ref" >"$WORK/answer" ||
        fail "$1 with $2: $(cat "$WORK/answer")"
    expect "TLSv1.3" "$WORK/answer"
    expect "Subject: CN=$2" "$WORK/answer"
}

# story TOKEN
story() {
    local type label client
    for type in p256 rsa:2048; do
        label=$1-${type%:*}
        make_credential "$1" "$label" "$type"
        hsmux ref "hsm:$1/key/$label" --out "$WORK/$label.ref"
        for client in "${clients[@]}"; do
            step "$client with $label"
            calls "$client" "$label"
        done
    done
}

make_ca
make_server
start_server -tls1_3
use_provider
file_ini soft
story soft
if [ -n "$SOFTHSM" ]; then
    softhsm_token edge
    softhsm_ini edge edge
    story edge
fi

step "without the provider, the reference is no key"
for client in "${clients[@]}"; do
    expect_fail "" env OPENSSL_CONF=/dev/null "$client" "$WORK/$client.script" "$PORT" "$WORK/ca.pem" \
        "$WORK/soft-p256.pem" "$WORK/soft-p256.ref"
done

[ -z "${missing-}" ] || echo "not tried: $missing, not installed"
