#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is wrong is said in one line, with exit status 2 for a wrong command line and 1 for all else; nothing is printed
# into the void.
. "$(dirname "$0")/../lib/story.sh"

file_ini soft

# misused TEXT COMMAND...: exit status 2 and one line.
misused() {
    local status=0
    expect_error "$@"
    shift
    "$@" >/dev/null 2>&1 </dev/null || status=$?
    [ $status = 2 ] || fail "exit status $status, not 2: $*"
}

step "the command line"
misused "which command" hsmux
misused "no command 'lost'" hsmux lost
misused "hsmux key generate" hsmux key
misused "no option '--lost'" hsmux list --lost
misused "no option '-x'" hsmux list -x
misused "no option '--json'" hsmux cert --json
misused "unknown option" hsmux --lost list
misused "wants a value" hsmux list --token
misused "wants a value: FILE" hsmux -c
misused "wants a value: FILE" hsmux --config
misused "takes no value" hsmux list --json=yes
misused "given twice" hsmux list --token a --token b
misused "too many" hsmux list hsm:
misused "usage" hsmux remove
misused "no key type" hsmux key generate a --type rsa:1000
misused "no hash" hsmux sign hsm: --hash md5
misused "number" hsmux random 0
misused "number" hsmux random -- -1
misused "number" hsmux random 10x
misused "number" hsmux random 99999999999999999999
misused "either" hsmux ref --default hsm:
misused "either" hsmux import --secret --data x
misused "label" hsmux import -
misused "credential" hsmux remove hsm:
misused "no command" hsmux help lost

step "configurations"
expect_error "lost.conf" hsmux -c "$WORK/lost.conf" list
expect_error "lost.conf" hsmux list --config="$WORK/lost.conf"
printf '[token a]\nplugin = lost\n' >"$WORK/bad.conf"
expect_error "lost" hsmux -c "$WORK/bad.conf" list
expect_fail "lost" hsmux -c "$WORK/bad.conf" status
hsmux -c "$WORK/bad.conf" plugins | tee "$WORK/said"
expect "directory" "$WORK/said"
hsmux -c "$WORK/lost.conf" plugins | cmp - "$WORK/said"

step "files"
hsmux key generate device
expect_error "No such file" hsmux import "$WORK/lost.pem"
expect_error "directory" hsmux import "$WORK"
expect_error "No such file" hsmux cert import "$WORK/lost.pem"
expect_error "directory" hsmux cert import "$WORK"
for junk in "" "junk" "-----BEGIN CERTIFICATE-----" "$(printf -- '-----BEGIN %s-----\nAAAA\n-----END %s-----' \
    CERTIFICATE CERTIFICATE)" "$(printf -- '-----BEGIN %s-----\nAAAA\n-----END %s-----' "PRIVATE KEY" "PRIVATE KEY")"; do
    printf '%s\n' "$junk" >"$WORK/junk.pem"
    expect_error "junk.pem" hsmux import "$WORK/junk.pem"
    expect_error "junk.pem" hsmux cert import "$WORK/junk.pem"
done
head -c 100000 /dev/urandom >"$WORK/junk.pem"
expect_error "junk.pem" hsmux import "$WORK/junk.pem"
expect_error "junk.pem" hsmux cert import "$WORK/junk.pem"
expect_error "No such file" hsmux ref hsm:soft/key/device --out "$WORK/lost/file"
expect_error "directory" hsmux ref hsm:soft/key/device --out "$WORK"

step "tokens: which one, if two could; and what is taken"
printf '[token %s]\nplugin = file\ndirectory = %s\n' a "$WORK/a" b "$WORK/b" >"$WORK/two.conf"
for command in "key generate x" "random 8 --hex" "import $WORK/x.key"; do
    openssl genpkey -algorithm ED25519 -out "$WORK/x.key"
    # shellcheck disable=SC2086
    expect_error "--token NAME names it" hsmux -c "$WORK/two.conf" $command
done
expect_error "--replace replaces it" hsmux key generate device
expect_error "--replace replaces it" hsmux import "$WORK/x.key" --label device

step "what is no certificate"
echo data >"$WORK/note"
hsmux import --data "$WORK/note"
expect_error "hsm:soft/data/note' is no certificate" hsmux cert hsm:soft/data/note
expect_error "no certificate on its token belongs to it" hsmux cert hsm:soft/key/device
hsmux remove -y hsm:soft/data/note

step "one warning for one trouble"
(umask 077 && echo junk >"$WORK/soft/junk.key")
hsmux status >/dev/null 2>"$WORK/err"
[ "$(grep -c junk.key "$WORK/err")" = 1 ] || fail "not one line: $(cat "$WORK/err")"
HSMUX_LOG=error hsmux status >/dev/null 2>"$WORK/err"
! grep junk.key "$WORK/err" || fail "a warning was wanted by nobody"
HSMUX_LOG=none hsmux list 2>"$WORK/err"
[ ! -s "$WORK/err" ] || fail "$(cat "$WORK/err")"
rm "$WORK/soft/junk.key"

step "addresses"
for address in hsm:lost/key/a hsm:soft/key/lost hsm:soft/lost/a "hsm:soft/key?id=0" hsm:soft/key/%00 lost "" \
    "pkcs11:lost=1" hsm:lost; do
    expect_error "" hsmux ref "$address"
    expect_error "" hsmux cert "$address"
    expect_error "" hsmux remove -y "$address"
done
expect_error "lost" hsmux list --token lost
expect_error "lost" hsmux key generate a --token lost
expect_error "lost" hsmux login lost --pin-file <(echo "$PIN")
printf 'a label\nwith two lines \033[31m' >"$WORK/label"
expect_error "label" hsmux ref "hsm:soft/key/$(cat "$WORK/label")"
! grep -q "$(printf '\033')" "$WORK/err" || fail "an escape sequence came through"

step "requests"
misused "subject" hsmux csr hsm:soft/key/device --subject CN=a
misused "subject" hsmux csr hsm:soft/key/device --subject /CN=
misused "subject" hsmux csr hsm:soft/key/device --subject /XY=a
misused "subject" hsmux csr hsm:soft/key/device
misused "san" hsmux csr hsm:soft/key/device --subject /CN=a --san a.example
misused "san" hsmux csr hsm:soft/key/device --subject /CN=a --san "DNS:a,dirName:x"
misused "san" hsmux csr hsm:soft/key/device --subject /CN=a --san IP:300.1.1.1
misused "pss" hsmux sign hsm:soft/key/device --pss
expect_error "digest" hsmux sign hsm:soft/key/device --digest

step "a full disk and a closed pipe"
expect_error "No space left" bash -c 'hsmux list >/dev/full'
expect_error "No space left" bash -c 'hsmux ref >/dev/full'
expect_error "No space left" bash -c 'hsmux help >/dev/full'
expect_error "No space left" bash -c 'hsmux random 1000 >/dev/full'
expect_error "Bad file" bash -c 'hsmux version >&-'
expect_error "Broken pipe" bash -c 'set -o pipefail; (sleep 0.3; hsmux list) | true'
[ -z "$(ls -A "$WORK/soft" | grep -v '^device')" ] || fail "something was left: $(ls -A "$WORK/soft")"
