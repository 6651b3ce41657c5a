#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A token as the generator of everything that uses OpenSSL, or as its seed; and no numbers at all where it fails.
. "$(dirname "$0")/../lib/story.sh"

# random_conf TOKEN LINE: openssl.cnf with the token's random numbers, used as the line says.
random_conf() {
    hsmux openssl-conf | sed "s|^module = .*/hsmux.so|&\nrandom-token = $1|
        s|^providers = .*|random = hsmux_random\n&|" >"$WORK/openssl.cnf"
    printf '\n[ hsmux_random ]\n%s\n' "$2" >>"$WORK/openssl.cnf"
    expect "random-token = $1" "$WORK/openssl.cnf"
    expect "random = hsmux_random" "$WORK/openssl.cnf"
    export OPENSSL_CONF=$WORK/openssl.cnf
}

# drawn: how often the counted token was asked.
drawn() {
    grep -c 'C_GenerateRandom\b' "$WORK/calls" || true
}

# works: numbers, keys, a certificate and a TLS handshake.
works() {
    local lines
    for _ in 1 2 3; do
        openssl rand -hex 32
    done >"$WORK/numbers"
    lines=$(sort -u "$WORK/numbers" | grep -cE '^[0-9a-f]{64}$')
    [ "$lines" = 3 ] || fail "not three numbers: $(cat "$WORK/numbers")"
    openssl rand -out "$WORK/long" 300000
    [ "$(gzip -9c "$WORK/long" | wc -c)" -gt 300000 ] || fail "300000 random bytes can be compressed"
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$WORK/rsa.key" 2>"$WORK/err"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 -days 2 \
        -keyout "$WORK/ec.key" -out "$WORK/ec.pem" 2>"$WORK/err"
    openssl verify -CAfile "$WORK/ec.pem" "$WORK/ec.pem" >"$WORK/out"
    openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$WORK/ca.pem" -cert "$WORK/device.pem" -key "$1" \
        -verify_return_error </dev/null >"$WORK/out" 2>&1 || fail "s_client: $(cat "$WORK/out")"
    expect "Verify return code: 0" "$WORK/out"
}

make_ca
make_server
start_server
file_ini soft
make_credential soft device

step "the file token is the generator"
random_conf soft "random = HSMUX-RAND"
works hsm:soft/key/device

step "the file token is the seed of OpenSSL's own generator"
random_conf soft "seed = HSMUX-RAND"
works hsm:soft/key/device

step "a token that is not there gives no numbers"
for use in "random = HSMUX-RAND" "seed = HSMUX-RAND"; do
    random_conf nowhere "$use"
    expect_fail "nowhere" openssl rand -hex 32
    expect_fail "nowhere" openssl genpkey -algorithm EC -pkeyopt group:P-256
done

step "a generator that was asked for, but is not offered"
random_conf soft "random = HSMUX-RAND"
sed -i '/^random-token/d' "$WORK/openssl.cnf"
expect_fail "rand" openssl rand -hex 32

step "a provider that cannot be loaded gives no numbers"
random_conf soft "random = HSMUX-RAND"
sed -i 's|^module = .*|module = /nowhere/hsmux.so|' "$WORK/openssl.cnf"
expect_fail "rand" openssl rand -hex 32

[ -n "$SOFTHSM" ] && [ -f "$COUNTER" ] || exit 0
unset OPENSSL_CONF
softhsm_token edge
softhsm_ini edge edge counted
make_credential edge device

step "SoftHSM is the generator, though it takes its numbers from the same OpenSSL"
random_conf edge "random = HSMUX-RAND"
before=$(drawn)
openssl rand -hex 32 >"$WORK/numbers"
[ "$(drawn)" -gt "$before" ] || fail "the token was not asked: $(cat "$WORK/calls")"
works hsm:edge/key/device

step "SoftHSM cannot be the seed of the OpenSSL that it takes its numbers from, and nothing hangs"
random_conf edge "seed = HSMUX-RAND"
expect_fail "C_GenerateRandom" timeout 20 openssl rand -hex 32
random_conf edge "random = HSMUX-RAND"

step "a token that breaks down gives no numbers"
expect_fail "C_GenerateRandom" env P11_COUNTER_FAIL=C_GenerateRandom:0:0x30 openssl rand -hex 32
! grep -qE '^[0-9a-f]{64}$' "$WORK/out" || fail "numbers came from elsewhere"
