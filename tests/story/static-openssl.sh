#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs with an OpenSSL of their own, linked in statically.  One exports it, as Node of nodejs.org does: the provider
# uses it too.  The other does not: then two OpenSSLs are in the process.  Each loads the provider by openssl.cnf, reads
# the PEM reference, signs, decrypts or agrees, shakes hands and verifies; and says why where it cannot.
. "$(dirname "$0")/../lib/story.sh"

[ -x "$BUILD/tests/lib/static-host" ] || skip "no libcrypto.a and libssl.a"

# runs HOST LABEL: it signs once by itself, and twice in a handshake of which it is both ends.
runs() {
    signed 3 "$BUILD/tests/lib/$1" "$WORK/$2.ref" "$WORK/$2.pem" "$WORK/ca.pem" >"$WORK/out" 2>"$WORK/err" ||
        fail "$1: $(cat "$WORK/out" "$WORK/err")"
    expect "provider: hsmux" "$WORK/out"
    expect "signed" "$WORK/out"
    expect "Key in a token: hsm:" "$WORK/out"
    expect "BEGIN HSMUX KEY REFERENCE" "$WORK/out"
    expect "TLSv1.3" "$WORK/out"
}

# explains HOST LABEL: a reason reaches the error queue of the program's own OpenSSL.
explains() {
    sed 's/^\(plugin = \).*/\1nosuch/' "$HSMUX_CONF" >"$WORK/broken.conf"
    HSMUX_CONF=$WORK/broken.conf expect_fail ":hsmux:" "$BUILD/tests/lib/$1" "$WORK/$2.ref" "$WORK/$2.pem" "$WORK/ca.pem"
    expect "no plugin 'nosuch'" "$WORK/err"
}

# binds HOST LABEL LIBRARY: whose EVP_PKEY_verify the provider calls.
binds() {
    rm -f "$WORK"/bindings.*
    LD_DEBUG=bindings LD_DEBUG_OUTPUT=$WORK/bindings "$BUILD/tests/lib/$1" "$WORK/$2.ref" "$WORK/$2.pem" "$WORK/ca.pem" \
        >"$WORK/out"
    grep -h "binding file .*/ossl-modules/hsmux.so .*EVP_PKEY_verify'" "$WORK"/bindings.* >"$WORK/bound"
    expect "/$3 " "$WORK/bound"
}

story() {
    local type host label
    for type in rsa:2048 p256 ed25519; do
        label=$1-${type%%:*}
        make_credential "$1" "$label" "$type"
        hsmux ref "hsm:$1/key/$label" --out "$WORK/$label.ref"
        for host in static-host static-host-exports; do
            step "$label: $host"
            runs $host "$label"
            explains $host "$label"
        done
    done
    step "$1: the one's OpenSSL, and the other's two"
    binds static-host-exports "$label" static-host-exports
    binds static-host "$label" libcrypto.so.3
}

make_ca
use_provider
on_both_tokens story
