#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Python's ssl, client and server, TLS 1.2 and 1.3: both sides show certificates of keys in tokens, and all they get of
# a key is its reference.  Then 8 threads at once on either side.
. "$(dirname "$0")/../lib/story.sh"

mapfile -t pythons < <(each_program python3)
[ ${#pythons[@]} -gt 0 ] || skip "python3 is not installed"

# tls.py serve|call PORT VERSION CA [CERTIFICATE KEY [THREADS CALLS]]: the server says what it saw of its client.
cat >"$WORK/tls.py" <<'EOT'
import socket, ssl, sys, threading
what, port, version, ca, *own = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if what == "serve" else ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(ca)
context.verify_mode = ssl.CERT_REQUIRED
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
if own:
    context.load_cert_chain(own[0], own[1])
threads, calls = map(int, own[2:] or (1, 1))
failures = []

def answer(connection):
    try:
        with context.wrap_socket(connection, server_side=True) as tls:
            subject = dict(part[0] for part in tls.getpeercert()["subject"])
            tls.sendall(f"{tls.version()} {subject['commonName']}\n".encode())
    except OSError as error:
        print(error, flush=True)

def call():
    try:
        for _ in range(calls):
            connection = socket.create_connection(("127.0.0.1", int(port)), 30)
            with context.wrap_socket(connection, server_hostname="127.0.0.1") as tls:
                sys.stdout.write(tls.recv(1000).decode())
    except OSError as error:
        failures.append(error)

if what == "serve":
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=100)
    while True:
        threading.Thread(target=answer, args=listener.accept()[:1], daemon=True).start()
running = [threading.Thread(target=call) for _ in range(threads)]
for thread in running:
    thread.start()
for thread in running:
    thread.join()
sys.exit("\n".join(map(str, failures)) if failures else 0)
EOT

# calls PYTHON VERSION LABEL [THREADS CALLS]: the server saw this client so many times.
calls() {
    local python=$1 version=$2 label=$3
    shift 3
    "$python" "$WORK/tls.py" call "$PORT" "$version" "$WORK/ca.pem" "$WORK/$label.pem" "$WORK/$label.ref" "$@" \
        >"$WORK/answer" || fail "$python as $label: $(cat "$WORK/answer")"
    [ "$(grep -c "^${version/_/.} $label\$" "$WORK/answer")" = $((${1-1} * ${2-1})) ] ||
        fail "$python as $label: $(cat "$WORK/answer")"
}

# serves PYTHON VERSION LABEL: its port in $PORT.
serves() {
    PORT=$(free_port)
    start "server-$3-$2" "$1" "$WORK/tls.py" serve "$PORT" "$2" "$WORK/ca.pem" "$WORK/$3.pem" "$WORK/$3.ref"
    wait_port "$PORT"
}

# story TOKEN: each type of key serves, and each calls.
story() {
    local python version server
    local -A client=([rsa]=p256 [p256]=ed25519 [ed25519]=rsa)
    for server in "${!client[@]}"; do
        make_referenced "$1" "$1-$server" "${server/rsa/rsa:2048}"
    done
    for python in "${pythons[@]}"; do
        step "$1: $python," \
            "$("$python" -c 'import ssl, sys; print(sys.version.split()[0], "with", ssl.OPENSSL_VERSION)')"
        for version in TLSv1_2 TLSv1_3; do
            for server in "${!client[@]}"; do
                serves "$python" $version "$1-$server"
                signed 2 calls "$python" $version "$1-${client[$server]}"
            done
        done
        step "$1: $python, 8 threads"
        signed 160 calls "$python" TLSv1_3 "$1-p256" 8 10
    done
}

make_ca
use_provider
on_both_tokens story
python=${pythons[0]}

step "the server wants a client's certificate"
expect_fail "certificate required" "$python" "$WORK/tls.py" call "$PORT" TLSv1_3 "$WORK/ca.pem"

step "without the provider, the reference is no key"
expect_fail "ssl.SSLError" env OPENSSL_CONF=/dev/null "$python" "$WORK/tls.py" call "$PORT" TLSv1_3 "$WORK/ca.pem" \
    "$WORK/soft-p256.pem" "$WORK/soft-p256.ref"

step "the key is gone"
file_ini soft
hsmux remove hsm:soft/key/soft-p256 --yes
expect_fail "no object 'hsm:soft/key/soft-p256'" "$python" "$WORK/tls.py" call "$PORT" TLSv1_3 "$WORK/ca.pem" \
    "$WORK/soft-p256.pem" "$WORK/soft-p256.ref"
