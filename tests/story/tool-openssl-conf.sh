#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The openssl.cnf that hsmux prints: default first, hsmux after it, the system's own settings kept, and software keys
# untouched even where the module is gone; and what status says of one that is wrong.
. "$(dirname "$0")/../lib/story.sh"

file_ini soft
make_ca
make_credential soft device
expect "no providers" <(hsmux status)

step "openssl has both providers, and requests still know the system's sections"
use_provider
openssl list -providers | tee "$WORK/said"
expect hsmux "$WORK/said"
expect "OpenSSL Default Provider" "$WORK/said"
[ "$(grep -n 'default$' "$WORK/said" | cut -d: -f1)" -lt "$(grep -n 'hsmux$' "$WORK/said" | cut -d: -f1)" ] ||
    fail "hsmux is not behind default"
openssl req -new -newkey rsa:2048 -nodes -subj /CN=software -keyout "$WORK/software.key" -out "$WORK/software.csr" \
    2>/dev/null
openssl req -in "$WORK/software.csr" -verify -noout
hsmux status | tee "$WORK/said"
expect "ok openssl          $WORK/openssl.cnf" "$WORK/said"
hsmux openssl-conf --out "$WORK/again.cnf"
cmp "$WORK/openssl.cnf" "$WORK/again.cnf"

step "a module that is gone does not disturb software keys"
hsmux openssl-conf --module /nowhere/hsmux.so >"$WORK/gone.cnf" 2>"$WORK/err"
expect "/nowhere/hsmux.so" "$WORK/err"
OPENSSL_CONF=$WORK/gone.cnf openssl pkey -in "$WORK/software.key" -noout
OPENSSL_CONF=$WORK/gone.cnf openssl dgst -sha256 -sign "$WORK/software.key" -out "$WORK/signature" "$WORK/ca.pem"
expect "cannot be read" <(OPENSSL_CONF=$WORK/gone.cnf hsmux status)
expect_error "absolute" hsmux openssl-conf --module hsmux.so

# wrong TEXT SED-COMMAND: what status says of the configuration so changed; the credential stays usable.
wrong() {
    sed "$2" "$WORK/openssl.cnf" >"$WORK/wrong.cnf"
    OPENSSL_CONF=$WORK/wrong.cnf hsmux status >"$WORK/said"
    expect "!! openssl" "$WORK/said"
    expect "$1" "$WORK/said"
}

step "what is wrong is said"
wrong "stands before default" '/^default = /d; s/^hsmux = .*/&\ndefault = hsmux_default/'
wrong "default is not" '/^default = /d'
wrong "not activated" '/^module/,/^activate/s/^activate.*//'
wrong "does not name hsmux" '/^hsmux = /d'
wrong "no providers" '/^providers = /d'
wrong "no setting 'allow-rsa-pkcs1-decript'" 's/^module = .*/&\nallow-rsa-pkcs1-decript = yes/'
wrong "say yes or no" 's/^module = .*/&\npkcs11-uri = ja/'
wrong "line" 's/^\[ hsmux_provider \]/[ hsmux_provider/'
expect "cannot be read" <(OPENSSL_CONF=$WORK/lost.cnf hsmux status)

step "it is not to include itself"
system=$(openssl version -d | sed 's/.*"\(.*\)"/\1/')/openssl.cnf
if [ -w "$system" ]; then
    cp "$system" "$WORK/system.cnf"
    expect_error "to include" hsmux openssl-conf --out "$system"
    cmp "$system" "$WORK/system.cnf"
fi
