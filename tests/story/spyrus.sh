#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The spyrus plugin, with SoftHSM under a vendor's module name in the device's place: nothing without its module, a
# clear line for a missing or wrong one, then key, CSR, certificate, and mutual TLS that the counting module proves; two
# credentials and the INI choosing one; and a pkcs11 token beside it in one process, in both orders, with forks.
. "$(dirname "$0")/../lib/story.sh"

[ -f "$PLUGINDIR/spyrus.so" ] || skip "the plugin spyrus is not built"
[ -f "$COUNTER" ] || skip "the counting module is not built"
softhsm_token rosetta
softhsm_token edge
mkdir "$WORK/vendor"
cp "$COUNTER" "$WORK/vendor/libvendorpk11.so"
VENDOR=$WORK/vendor/libvendorpk11.so
export P11_COUNTER_MODULE=$SOFTHSM P11_COUNTER_LOG=$WORK/calls
pin=$(pin_file "$PIN")
make_ca
make_server
start_server

# rosetta LINE...: the token's section, and more.
rosetta() {
    ini "[token rosetta]" "plugin = spyrus" "module = $VENDOR" "token = rosetta" "pin-file = $pin" "$@"
}

step "with no INI it takes no part"
hsmux list >"$WORK/said" 2>&1 || true
hsmux status >>"$WORK/said" 2>&1 || true
expect "ok plugin           spyrus: " "$WORK/said"
if grep -v '^ok plugin' "$WORK/said" | grep -e "[ ']spyrus" -e "$VENDOR"; then
    fail "something was looked for"
fi
[ ! -e "$WORK/calls" ] || fail "the vendor's module was called: $(cat "$WORK/calls")"
hsmux plugins >"$WORK/said"
expect "spyrus $(sed -n "s/^  version: '\(.*\)',/\1/p" "$ROOT/meson.build"): " "$WORK/said"
grep -A1 '^spyrus' "$WORK/said" | grep -q '  module .* (required)$' || fail "$(cat "$WORK/said")"

step "no module, and none of that name, and one that is none, and one that others could change"
ini "[token rosetta]" "plugin = spyrus" "pin-file = $pin"
expect_error "hsmux.conf:1: [token rosetta] lacks 'module'" hsmux status
expect "in a line 'module = /path/of/the/vendors/module.so'" "$WORK/said"
ini "[token rosetta]" "plugin = spyrus" "module = /opt/vendor/lost.so"
expect_error "hsmux.conf:3: module: '/opt/vendor/lost.so' does not exist" hsmux status
ini "[token rosetta]" "plugin = spyrus" "module = $PLUGINDIR/file.so"
expect_fail "is not a PKCS#11 module" hsmux status
cp "$COUNTER" "$WORK/vendor/open.so"
chmod 666 "$WORK/vendor/open.so"
ini "[token rosetta]" "plugin = spyrus" "module = $WORK/vendor/open.so"
expect_error "chmod" hsmux status
ini "[token rosetta]" "plugin = spyrus" "module = $VENDOR" "slot = 1"
expect_error "hsmux.conf:4: plugin 'spyrus' has no option 'slot'" hsmux status

step "two tokens of the module: one must be named"
ini "[token rosetta]" "plugin = spyrus" "module = $VENDOR" "pin-file = $pin"
expect_fail "choose one with a line like 'token = " hsmux list
rosetta
expect_fail "make one with" hsmux status

step "key, CSR and certificate: the credential is found by itself"
make_credential rosetta device-1
hsmux status | tee "$WORK/said"
expect "ok credential       hsm:rosetta/key/device-1" "$WORK/said"
expect "unreadable" <(hsmux list)

# connect NAME: mutual TLS with the credential; the token signs, and the server sees CN=NAME.
connect() {
    hsmux ref --out "$WORK/credential.ref"
    hsmux cert --out "$WORK/credential.pem"
    signed 1 curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/credential.pem" --key "$WORK/credential.ref" \
        "https://127.0.0.1:$PORT/" >"$WORK/answer"
    expect "Subject: CN=$1" "$WORK/answer"
}

step "curl does mutual TLS with it"
use_provider
connect device-1

step "two credentials: an error that shows the lines, and the lines choose"
make_credential rosetta device-2 rsa:2048
expect_fail "hsm:rosetta/key/device-2" hsmux status
expect "key = hsm:rosetta/key/device-1" "$WORK/said"
rosetta "[credential]" "key = hsm:rosetta/key/device-2"
connect device-2
rosetta "[credential]" "key = hsm:rosetta/key/device-1" "certificate = hsm:rosetta/cert/device-1"
connect device-1
rosetta "[credential]" "key = hsm:rosetta/key/device-1" "certificate = hsm:rosetta/cert/device-2"
expect_error "belongs to another key" hsmux cert
rosetta "[credential]" "key = hsm:rosetta/key/device-1" "certificate = hsm:rosetta/cert/device-1" \
    "common-name = unit-7"
expect "CN = unit-7" <(hsmux csr | openssl req -noout -subject)

step "the example in etc/, with this module"
(umask 077 && sed "s|/path/of/the/vendors/module.so|$VENDOR|; s|^;token = LABEL|token = rosetta|
    s|/etc/hsmux/rosetta.pin|$pin|; s|^;\(.* = .*\)|\1|; s|^;\(\[.*\)|\1|; /^serial\|^pin-credential/d" \
    "$ROOT/etc/spyrus.conf" >"$WORK/example.conf")
hsmux -c "$WORK/example.conf" cert | openssl x509 -noout -subject >"$WORK/said"
expect "CN = device-1" "$WORK/said"

# side_by_side MODULE: a token of either plugin in one process, signing at once and forking meanwhile.
side_by_side() {
    local first second
    rosetta "[credential]" "key = hsm:rosetta/key/device-1" "[token edge]" "plugin = pkcs11" "module = $1" \
        "token = edge" "pin-file = $pin"
    : >"$WORK/calls"
    hsmux list | cut -d' ' -f1 >"$WORK/said"
    expect hsm:rosetta/key/device-1 "$WORK/said"
    expect hsm:edge/key/beside "$WORK/said"
    connect device-1
    for first in rosetta/key/device-1 edge/key/beside; do
        [ $first = edge/key/beside ] && second=rosetta/key/device-1 || second=edge/key/beside
        "$BUILD/tests/lib/forks" "hsm:$first" 4 5 5 open "hsm:$second"
        "$BUILD/tests/lib/forks" "hsm:$first" 4 5 5 reference "hsm:$second"
    done
    if grep C_Finalize "$WORK/calls"; then
        fail "C_Finalize under the feet of the other token"
    fi
}

ini "[token edge]" "plugin = pkcs11" "module = $SOFTHSM" "token = edge" "pin-file = $pin"
hsmux key generate beside
step "a pkcs11 token beside it, of the same module"
side_by_side "$VENDOR"
step "the same library by another path"
side_by_side "$SOFTHSM"
step "another library"
cp "$SOFTHSM" "$WORK/vendor/another.so"
side_by_side "$WORK/vendor/another.so"

step "without the pkcs11 plugin beside it"
mkdir "$WORK/alone"
cp "$PLUGINDIR/spyrus.so" "$WORK/alone/"
rosetta
HSMUX_PLUGINS=$WORK/alone expect_error "/alone/pkcs11.so: cannot open shared object file" hsmux list
