#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Node, client and server, TLS 1.2 and 1.3: both sides show certificates of keys in tokens, and all they get of a key is
# its reference.  Then 20 requests at once, and worker threads.  Every node in $PATH is tried: nodejs.org's has an
# OpenSSL of its own inside, Debian's uses the system's.
. "$(dirname "$0")/../lib/story.sh"

mapfile -t nodes < <(each_program node nodejs)
[ ${#nodes[@]} -gt 0 ] || skip "node is not installed"

# tls.js serve|call PORT VERSION CA [CERTIFICATE KEY [WORKERS REQUESTS]]: the server says what it saw of its client.
cat >"$WORK/tls.js" <<'EOT'
const fs = require("fs"), https = require("https"), { Worker, isMainThread } = require("worker_threads");
const [what, port, version, ca, cert, key, workers, requests] = process.argv.slice(2);
const read = (name) => name && fs.readFileSync(name);
const tls = { ca: read(ca), cert: read(cert), key: read(key), minVersion: version, maxVersion: version };

function fail(error) {
    console.error(error);
    process.exit(1);
}

function serve() {
    https.createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, (request, answer) =>
        answer.end(`${request.socket.getProtocol()} ${request.socket.getPeerCertificate().subject.CN}\n`))
        .listen(port, "127.0.0.1");
}

function call() {
    https.get({ ...tls, host: "127.0.0.1", port, agent: false }, (answer) =>
        answer.on("data", (data) => process.stdout.write(data))).on("error", fail);
}

if (what === "serve") {
    serve();
} else if (isMainThread && workers > 0) {
    for (let i = 0; i < workers; i++)
        new Worker(__filename, { argv: process.argv.slice(2) }).on("error", fail);
} else {
    for (let i = 0; i < (requests || 1); i++)
        call();
}
EOT

# calls NODE VERSION LABEL [WORKERS REQUESTS]: the server saw this client so many times.
calls() {
    local node=$1 version=$2 label=$3 expected=$((${5-1} * (${4-0} ? ${4-0} : 1)))
    shift 3
    "$node" "${options[@]}" "$WORK/tls.js" call "$PORT" "$version" "$WORK/ca.pem" "$WORK/$label.pem" \
        "$WORK/$label.ref" "$@" >"$WORK/answer" || fail "$node as $label: $(cat "$WORK/answer")"
    [ "$(grep -c "^$version $label\$" "$WORK/answer")" = $expected ] ||
        fail "$node as $label: not $expected answers: $(cat "$WORK/answer")"
}

# serves NODE VERSION LABEL: its port in $PORT.
serves() {
    PORT=$(free_port)
    start "server-$3-$2" "$1" "${options[@]}" "$WORK/tls.js" serve "$PORT" "$2" "$WORK/ca.pem" "$WORK/$3.pem" \
        "$WORK/$3.ref"
    wait_port "$PORT"
}

# tries NODE TOKEN
tries() {
    local version
    for version in TLSv1.2 TLSv1.3; do
        serves "$1" $version "$2-rsa"
        signed 2 calls "$1" $version "$2-p256"
        serves "$1" $version "$2-p256"
        signed 2 calls "$1" $version "$2-rsa"
    done
    signed 40 calls "$1" TLSv1.3 "$2-p256" 0 20
    signed 40 calls "$1" TLSv1.3 "$2-p256" 4 5
}

# story TOKEN
story() {
    local node type options
    for type in rsa:2048 p256; do
        make_referenced "$1" "$1-${type%:*}" "$type"
    done
    for node in "${nodes[@]}"; do
        step "$1: $node $("$node" -p "process.version + ', its OpenSSL ' + process.versions.openssl +
            (process.config.variables.node_shared_openssl ? ' is the system\'s' : ' is its own')")"
        options=()
        OPENSSL_CONF=$WORK/node.cnf tries "$node" "$1"
        step "$1: $node --openssl-shared-config"
        options=(--openssl-shared-config)
        OPENSSL_CONF=$WORK/shared.cnf tries "$node" "$1"
    done
}

make_ca
use_provider
# Either way is seen to work without the line of the other.
grep -v "^openssl_conf = " "$WORK/openssl.cnf" >"$WORK/node.cnf"
grep -v "^nodejs_conf = " "$WORK/openssl.cnf" >"$WORK/shared.cnf"
! cmp -s "$WORK/openssl.cnf" "$WORK/node.cnf" || fail "no openssl_conf in $WORK/openssl.cnf"
! cmp -s "$WORK/openssl.cnf" "$WORK/shared.cnf" || fail "no nodejs_conf in $WORK/openssl.cnf"
on_both_tokens story
options=()
node=${nodes[0]}

step "the server wants a client's certificate"
expect_fail "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED" "$node" "$WORK/tls.js" call "$PORT" TLSv1.3 "$WORK/ca.pem"

step "without the provider, the reference is no key"
expect_fail "ERR_OSSL_UNSUPPORTED" env OPENSSL_CONF=/dev/null "$node" "$WORK/tls.js" call "$PORT" TLSv1.3 \
    "$WORK/ca.pem" "$WORK/soft-p256.pem" "$WORK/soft-p256.ref"

step "the key is gone"
file_ini soft
hsmux remove hsm:soft/key/soft-p256 --yes
expect_fail "no object 'hsm:soft/key/soft-p256'" "$node" "$WORK/tls.js" call "$PORT" TLSv1.3 "$WORK/ca.pem" \
    "$WORK/soft-p256.pem" "$WORK/soft-p256.ref"
