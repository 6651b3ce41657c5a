#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Work that takes longer than a second says so on a terminal, and is silent elsewhere.  The token is made slow by
# somebody who holds the file token's lock.
. "$(dirname "$0")/../lib/story.sh"

file_ini soft
hsmux key generate first

# slowly COMMAND: on a terminal, while the token's directory is locked for a second and a half; what the terminal
# showed is in $WORK/shown.
slowly() {
    flock "$WORK/soft" sleep 1.5 &
    sleep 0.1
    timeout -k 1 20 script -qefc "$1" /dev/null >"$WORK/shown" <"$WORK/keyboard" || fail "$1: $(cat "$WORK/shown")"
    wait $!
    tr '\r' '\n' <"$WORK/shown" | cat -v
}
mkfifo "$WORK/keyboard"
exec 9<>"$WORK/keyboard" # nobody types, but the keyboard is there

step "a slow key: a line comes and goes"
export TERM=xterm
slowly "hsmux key generate slow --token soft"
expect "making a p256 key on token 'soft' ..." "$WORK/shown"
expect "$(printf '...\r\033[K')" "$WORK/shown"
expect "hsm:soft/key/slow" "$WORK/shown"
[ "$(tr -d '\r' <"$WORK/shown" | tail -n 1)" = "$(printf '%s\033[Khsm:soft/key/slow' "hsmux: making a p256 key on token 'soft' ...")" ] ||
    fail "$(cat -v "$WORK/shown")"

step "on a terminal that cannot erase, the line stays"
TERM=dumb slowly "hsmux key generate dumb"
diff <(printf '%s\n' "hsmux: making a p256 key ..." hsm:soft/key/dumb) <(tr -d '\r' <"$WORK/shown")

step "the size of an RSA key is told"
TERM=dumb slowly "hsmux key generate first --type rsa:4096 --replace --token soft"
expect "hsmux: making an RSA key of 4096 bits on token 'soft' ..." "$WORK/shown"

step "importing"
openssl genpkey -algorithm ED25519 -out "$WORK/other.key"
slowly "hsmux import '$WORK/other.key'"
expect "storing the object ..." "$WORK/shown"

step "work that is quickly done shows nothing"
timeout -k 1 20 script -qefc "hsmux key generate quick" /dev/null >"$WORK/shown" <"$WORK/keyboard"
[ "$(tr -d '\r' <"$WORK/shown")" = hsm:soft/key/quick ] || fail "$(cat -v "$WORK/shown")"

step "no terminal: nothing, however long it takes"
flock "$WORK/soft" sleep 1.5 &
sleep 0.1
hsmux key generate silent >"$WORK/out" 2>"$WORK/err"
wait $!
[ ! -s "$WORK/err" ] || fail "$(cat "$WORK/err")"
[ "$(cat "$WORK/out")" = hsm:soft/key/silent ] || fail "$(cat "$WORK/out")"
