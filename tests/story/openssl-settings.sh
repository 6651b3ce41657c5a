#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The provider's own settings in openssl.cnf: config names the INI, pkcs11-uri lets it take PKCS#11 URIs too.
. "$(dirname "$0")/../lib/story.sh"

# setting LINE: openssl.cnf with this line in our section.
setting() {
    hsmux openssl-conf | sed "s|^module = .*/hsmux.so|&\n$1|" >"$WORK/openssl.cnf"
    expect "$1" "$WORK/openssl.cnf"
    export OPENSSL_CONF=$WORK/openssl.cnf
}

echo message >"$WORK/message"
file_ini soft
hsmux key generate device --token soft
hsmux ref hsm:soft/key/device --out "$WORK/device.ref"
openssl genpkey -algorithm EC -pkeyopt group:P-256 -out "$WORK/software.key"

step "the INI that openssl.cnf names"
mv "$WORK/hsmux.conf" "$WORK/elsewhere.conf"
unset HSMUX_CONF
setting "config = $WORK/elsewhere.conf"
openssl dgst -sha256 -sign "$WORK/device.ref" -out "$WORK/sig" "$WORK/message"
openssl dgst -sha256 -prverify hsm:soft/key/device -signature "$WORK/sig" "$WORK/message"

step "an INI that is not there"
setting "config = $WORK/nowhere.conf"
expect_fail "nowhere.conf" openssl dgst -sha256 -sign "$WORK/device.ref" -out "$WORK/sig" "$WORK/message"
openssl dgst -sha256 -sign "$WORK/software.key" -out "$WORK/sig" "$WORK/message"

step "a setting with a value that means nothing"
setting "pkcs11-uri = perhaps"
expect_fail "say yes or no" openssl dgst -sha256 -sign "$WORK/device.ref" -out "$WORK/sig" "$WORK/message"
openssl dgst -sha256 -sign "$WORK/software.key" -out "$WORK/sig" "$WORK/message"

[ -n "$SOFTHSM" ] || exit 0
softhsm_token edge
softhsm_ini edge edge
hsmux key generate device --token edge

step "a PKCS#11 URI, when that is switched on and not before"
setting "pkcs11-uri = no"
expect_fail "unregistered scheme" openssl pkey -in "pkcs11:token=edge;object=device;type=private" -pubout
setting "pkcs11-uri = yes"
openssl pkey -in "pkcs11:token=edge;object=device;type=private" -pubout -out "$WORK/device.pub"
openssl dgst -sha256 -sign "pkcs11:token=edge;object=device;type=private" -out "$WORK/sig" "$WORK/message"
OPENSSL_CONF=/dev/null openssl dgst -sha256 -verify "$WORK/device.pub" -signature "$WORK/sig" "$WORK/message"
expect_fail "no object fits" openssl pkey -in "pkcs11:token=edge;object=nothing;type=private" -pubout
