#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mosquitto: broker, publisher and subscriber each have but the reference of a key in a token, TLS 1.2 and 1.3.  The
# broker becomes mosquitto before it reads the reference, so all that hsmux reads must be open to that user.  It knows
# its clients by their certificates, and a message comes through.
. "$(dirname "$0")/../lib/story.sh"

[ "$(id -u)" = 0 ] || skip "a broker that gives up root's rights wants root"
[ -x /usr/sbin/mosquitto ] || skip "mosquitto is not installed"
command -v mosquitto_pub >/dev/null || skip "mosquitto-clients is not installed"

# broker LABEL: on $PORT; only the client 'device' may use the topic, and it is the certificate that says who a client is.
broker() {
    PORT=$(free_port)
    printf '%s\n' "user device" "topic readwrite story" >"$WORK/acl"
    cat >"$WORK/mosquitto.conf" <<EOT
listener $PORT 127.0.0.1
user mosquitto
cafile $WORK/ca.pem
certfile $WORK/$1.pem
keyfile $WORK/$1.ref
require_certificate true
use_identity_as_username true
acl_file $WORK/acl
log_dest stderr
log_type all
EOT
    start mosquitto mosquitto -c "$WORK/mosquitto.conf"
    wait_port "$PORT"
    [ "$(ps -o user:20= -p $!)" = mosquitto ] || fail "the broker is still root"
}

# client PROGRAM TLS LABEL OPTION...
client() {
    "$1" -h 127.0.0.1 -p "$PORT" --tls-version "tlsv1.$2" --cafile "$WORK/ca.pem" --cert "$WORK/$3.pem" \
        --key "$WORK/$3.ref" -t story "${@:4}"
}

# message TLS: published by one, kept by the broker, read by the next.
message() {
    client mosquitto_pub "$1" device -r -q 1 -m "by TLS 1.$1" || fail "$(tail -n 20 "$WORK/mosquitto.log")"
    client mosquitto_sub "$1" device -C 1 -W 10 >"$WORK/message" || fail "$(tail -n 20 "$WORK/mosquitto.log")"
    expect "by TLS 1.$1" "$WORK/message"
}

# messages: two clients, each with the broker's signature and its own in the handshake.
messages() {
    local version
    for version in 2 3; do
        step "$1, TLS 1.$version"
        signed 4 message $version
        expect "u'device'" "$WORK/mosquitto.log"
    done
    stop
}

public_copy
make_ca
use_provider

file_ini broker
make_referenced broker broker-soft
chown -R mosquitto "$WORK/broker"
broker broker-soft
file_ini clients
make_referenced clients device
messages "file tokens"

softhsm_token edge
softhsm_ini edge edge counted
make_referenced edge broker-edge
make_referenced edge device
give_softhsm mosquitto


step "SoftHSM: the PIN file must be open to the broker's group"
broker broker-edge
! greeted || fail "the broker read root's PIN"
expect "chmod 640" "$WORK/mosquitto.log"
stop
share_pin mosquitto
broker broker-edge
messages "SoftHSM"

step "a certificate of another name may connect, but not read"
make_referenced edge stranger
broker broker-edge
client mosquitto_pub 3 device -r -q 1 -m secret
if client mosquitto_sub 3 stranger -C 1 -W 2 >"$WORK/message" || [ -s "$WORK/message" ]; then
    fail "the broker took one client for another"
fi
expect "u'stranger'" "$WORK/mosquitto.log"
