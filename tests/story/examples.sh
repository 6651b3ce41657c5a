#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 400
# Each example, run as its README says, on both tokens: the server shows that the device called.  Away from its
# server and without the provider each says what is wrong.
. "$(dirname "$0")/../lib/story.sh"

for client in c node python; do
    for token in file softhsm; do
        step "examples/$client on $token"
        env -u SOFTHSM2_CONF -u LD_LIBRARY_PATH "$ROOT/examples/$client/run" -y --token $token >"$WORK/told" 2>&1 ||
            fail "$(tail -n 30 "$WORK/told")"
        expect "Subject: CN=device-1" "$WORK/told"
    done
done

step "nothing listens there"
make_ca
file_ini soft
make_credential soft device
hsmux ref --out "$WORK/device.ref"
use_provider
url=https://127.0.0.1:$(free_port)/
expect_error "ECONNREFUSED" node "$ROOT/examples/node/client.js" "$url" "$WORK/device.pem" "$WORK/device.ref" "$WORK/ca.pem"
expect_error "Connection refused" python3 "$ROOT/examples/python/client.py" "$url" "$WORK/device.pem" "$WORK/device.ref" \
    "$WORK/ca.pem"

step "a server that does not take the certificate"
cp "$ROOT"/examples/c/{Makefile,client.c} "$WORK"
PKG_CONFIG_PATH=$LIBDIR/pkgconfig make -s -C "$WORK" client
make_server
start_server -CAfile "$WORK/server.pem"
url=https://127.0.0.1:$PORT/
expect_fail "unknown ca" env -u OPENSSL_CONF "$WORK/client" 127.0.0.1 "$PORT" / "$WORK/ca.pem"
expect_fail "unknown ca" node "$ROOT/examples/node/client.js" "$url" "$WORK/device.pem" "$WORK/device.ref" "$WORK/ca.pem"
expect_error "unknown ca" python3 "$ROOT/examples/python/client.py" "$url" "$WORK/device.pem" "$WORK/device.ref" "$WORK/ca.pem"
for bad in https://127.0.0.1:99999/ /lost; do
    expect_error "client.py: " python3 "$ROOT/examples/python/client.py" "$bad" "$WORK/device.pem" "$WORK/device.ref" "$WORK/ca.pem"
done

step "without the provider"
export OPENSSL_CONF=/dev/null
expect_error "ask \`hsmux status\`" node "$ROOT/examples/node/client.js" "$url" "$WORK/device.pem" "$WORK/device.ref"
expect_error "ask \`hsmux status\`" python3 "$ROOT/examples/python/client.py" "$url" "$WORK/device.pem" "$WORK/device.ref"
