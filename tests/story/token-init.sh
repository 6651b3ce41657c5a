#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A blank PKCS#11 token becomes a device's credential in three commands: initialise it, import a PKCS#12 file, done.
# What is not blank is erased only when asked for, and an SO PIN that was refused is not sent twice.
. "$(dirname "$0")/../lib/story.sh"

[ -n "$SOFTHSM" ] || skip "SoftHSM is not installed"
[ -f "$COUNTER" ] || skip "the counting module is not built"
export P11_COUNTER_MODULE=$SOFTHSM P11_COUNTER_LOG=$WORK/calls
export STATE_DIRECTORY=$WORK/state
mkdir -m 700 "$WORK/state"
so=$(pin_file "$SO_PIN")
user=$(pin_file "$PIN")
wrong=$(pin_file "$WRONG_PIN")

# called FUNCTION: how often, since the last time it was asked.
called() {
    grep -c "$1\$" "$WORK/calls" || true
    : >"$WORK/calls"
}

# terminal COMMAND LINE...: on a terminal, each line typed when something is asked.
terminal() {
    local command=$1 line asked=0 job
    shift
    rm -f "$WORK/keyboard"
    mkfifo "$WORK/keyboard"
    timeout 20 script -qefc "$command" /dev/null <"$WORK/keyboard" >"$WORK/terminal" &
    job=$!
    exec 9>"$WORK/keyboard"
    for line in "$@"; do
        asked=$((asked + 1))
        for _ in $(seq 100); do
            [ "$(grep -o "PIN[a-z ]*: " "$WORK/terminal" | wc -l)" -lt $asked ] || break
            sleep 0.1
        done
        echo "$line" >&9
    done
    exec 9>&-
    wait $job
}

make_ca
make_server
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=device-1 -keyout "$WORK/device.key" \
    -out "$WORK/device.csr" 2>/dev/null
issue "$WORK/device.csr" "$WORK/device.pem"
openssl pkcs12 -export -inkey "$WORK/device.key" -in "$WORK/device.pem" -passout pass: -out "$WORK/device.p12"

step "four lines of INI and a blank token: status says what to do"
ini "[token edge]" "plugin = pkcs11" "module = $SOFTHSM" "pin-file = $user"
expect_fail "\`hsmux token init\` makes it usable" hsmux status

step "initialise, import, done; a server believes the device"
hsmux token init --so-pin-file "$so"
hsmux import --p12 "$WORK/device.p12"
hsmux status | tee "$WORK/said"
expect "ok credential       hsm:edge/key/device-1" "$WORK/said"
expect "label 'edge'" "$WORK/said"
use_provider
hsmux ref --out "$WORK/ref.pem"
start_server
curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/device.pem" --key "$WORK/ref.pem" "https://127.0.0.1:$PORT/" >"$WORK/page"
expect "Subject: CN=device-1" "$WORK/page"
unset OPENSSL_CONF

step "what is not blank stays as it is; nobody is asked for a PIN"
expect_error "initialised already; --erase destroys all that it holds" setsid hsmux token init
hsmux status >/dev/null

step "a wrong SO PIN is sent once, whoever starts it again"
ini "[token edge]" "plugin = pkcs11" "module = $COUNTER" "token = edge" "pin-file = $user"
expect_error "the SO PIN was refused" hsmux token init --erase --so-pin-file "$wrong"
[ "$(called C_InitToken)" = 1 ] || fail "it was not sent"
for _ in 1 2 3; do
    expect_error "was refused before and is not sent again" hsmux token init --erase --so-pin-file "$wrong"
done
[ "$(called C_InitToken)" = 0 ] || fail "it was sent again"
hsmux status >/dev/null

step "erased when asked for, with the right one"
hsmux token init --erase --so-pin-file "$so"
hsmux list | tee "$WORK/said"
[ ! -s "$WORK/said" ] || fail "something is left"

step "a second token of the module: the section names it before it exists; the label is the section's word"
ini "[token line]" "plugin = pkcs11" "module = $COUNTER" "token = line 7"
expect_error "there: 'edge'" hsmux list
expect_error "its section says token = line 7" hsmux token init --label line --so-pin-file "$so" --pin-file "$user"
expect_error "the label is empty" hsmux token init --label ""
hsmux token init --token line --so-pin-file "$so" --pin-file - <"$user"
echo "pin-file = $user" >>"$HSMUX_CONF"
hsmux key generate device | tee "$WORK/said"
expect "hsm:line/key/device" "$WORK/said"
softhsm2-util --show-slots | grep -q "Label: *line 7" || fail "another label"

step "with no label to go by, a module that has a token is left alone"
ini "[token any]" "plugin = pkcs11" "module = $COUNTER"
expect_error "2 tokens fit" hsmux token init --so-pin-file "$so" --pin-file "$user"

step "both PINs from systemd credentials"
ini "[token box]" "plugin = pkcs11" "module = $COUNTER" "token = box" "pin-credential = box.pin"
mkdir -m 700 "$WORK/credentials"
cp "$so" "$WORK/credentials/hsmux.box.so-pin"
cp "$user" "$WORK/credentials/box.pin"
CREDENTIALS_DIRECTORY=$WORK/credentials hsmux token init
CREDENTIALS_DIRECTORY=$WORK/credentials hsmux key generate device

step "typed on a terminal, the new ones twice"
ini "[token typed]" "plugin = pkcs11" "module = $COUNTER" "token = typed"
expect_error "give --so-pin-file" setsid hsmux token init
expect_error "give --pin-file" setsid hsmux token init --so-pin-file "$so"
! terminal "hsmux token init" "$SO_PIN" "$WRONG_PIN" || fail "the two differ"
expect "the two are not the same" "$WORK/terminal"
terminal "hsmux token init" "$SO_PIN" "$SO_PIN" "$PIN" "$PIN" || fail "not initialised: $(cat "$WORK/terminal")"
expect "initialised the token" "$WORK/terminal"
! grep -e "$PIN" -e "$SO_PIN" "$WORK/terminal" || fail "a PIN was shown"
hsmux login typed <"$user"

step "killed, or refused, in the middle: the same command completes it"
ini "[token half]" "plugin = pkcs11" "module = $COUNTER" "token = half" "pin-file = $user"
for function in C_InitToken C_Login C_InitPIN C_Logout; do
    rm -rf "${WORK:?}"/tokens/*
    status=0
    { (P11_COUNTER_FAIL=$function:1:0xdead hsmux token init --so-pin-file "$so") || status=$?; } 2>/dev/null
    [ $status = 137 ] || fail "exit status $status, killed at $function"
    [ $function = C_Logout ] || hsmux token init --so-pin-file "$so"
    hsmux key generate device
done
rm -rf "${WORK:?}"/tokens/*
P11_COUNTER_FAIL=C_InitPIN:1:0xa2 expect_error "takes no such user PIN" hsmux token init --so-pin-file "$so"
hsmux token init --so-pin-file "$so"
hsmux key generate device

step "a PIN that was refused when the token did not have it yet is none that was refused"
ini "[token half]" "plugin = pkcs11" "module = $COUNTER" "token = half" "pin-file = $(pin_file "$WRONG_PIN")"
expect_fail "PIN was refused" hsmux list
hsmux token init --erase --so-pin-file "$so"
hsmux key generate device

step "what has nothing to initialise says so"
file_ini soft
expect_error "plugin 'file' has nothing to initialise" hsmux token init --token soft --so-pin-file "$so"
expect_error "no token can do that" hsmux token init --so-pin-file "$so"
expect_error "standard input holds one PIN" hsmux token init --so-pin-file - --pin-file -
