#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad configurations, PIN files, addresses and certificates: each one clear error, under ASan and UBSan where that
# build is there.
. "$(dirname "$0")/../lib/story.sh"

ASAN=$ROOT/build/asan
if [ -x "$ASAN/tools/hsmux" ]; then
    export PATH=$ASAN/tools:$PATH LD_LIBRARY_PATH=$ASAN/core
    mkdir "$WORK/plugins"
    cp "$ASAN"/plugins/*/*.so "$WORK/plugins"
    export HSMUX_PLUGINS=$WORK/plugins ASAN_OPTIONS=detect_leaks=1:exitcode=99 UBSAN_OPTIONS=halt_on_error=1:exitcode=99
fi

# wrong TEXT COMMAND...: one line of error that holds TEXT; a sanitizer's report is none.
wrong() {
    expect_error "$@"
    if grep -qE 'Sanitizer|runtime error' "$WORK/err"; then
        fail "a sanitizer complains"
    fi
}

# bad_ini TEXT LINE...
bad_ini() {
    local text=$1
    shift
    step "INI: $(head -c 70 <<<"$*")"
    ini "$@"
    wrong "$text" hsmux list
}

mkdir -m 700 "$WORK/soft"
soft=("[token soft]" "plugin = file" "directory = $WORK/soft")
long=$(printf 'x%.0s' $(seq 10000))
fifty=$(printf 'n%.0s' $(seq 50))
bad_ini "hsmux.conf:1: " "[toke"
bad_ini "hsmux.conf:1: " "[tokens soft]"
bad_ini "hsmux.conf:1: " "plugin = file"
bad_ini "hsmux.conf:4: " "${soft[@]}" "direktory = x"
bad_ini "hsmux.conf:4: " "${soft[@]}" "directory = $WORK/soft"
bad_ini "hsmux.conf:4: " "${soft[@]}" "[token soft]"
bad_ini "hsmux.conf:4: " "${soft[@]}" "no equals sign"
bad_ini "hsmux.conf:4: " "${soft[@]}" "    indented = x"
bad_ini "hsmux.conf:4: " "${soft[@]}" "open = sometimes"
bad_ini "hsmux.conf:4: " "${soft[@]}" "pin = 12 ;34"
bad_ini "hsmux.conf" "[token soft]" "plugin = file" "directory = $long"
bad_ini "hsmux.conf" "[token $long]" "plugin = file"
bad_ini "hsmux.conf:2: " "[token soft]" "plugin = $WORK/soft"
bad_ini "hsmux.conf:2: " "[hsmux]" "references = maybe"

bad_ini "hsmux.conf:1: a section name of 57 bytes" "[token ${fifty}1]" "plugin = file" "[token ${fifty}2]" "plugin = file"

step "INI: NUL, junk, and one of many megabytes"
printf '[token soft]\nplugin = file\0x\n' >"$HSMUX_CONF"
wrong "hsmux.conf:2: " hsmux list
head -c 5000 /dev/urandom >"$HSMUX_CONF"
wrong "hsmux.conf:" hsmux list
{ yes '; a comment' || true; } | head -c 20000000 >"$HSMUX_CONF"
hsmux list >"$WORK/out" 2>&1 || expect "hsmux.conf" "$WORK/out"

step "every way to cut an INI short"
ini "[token soft]" "plugin = file" "directory = $WORK/soft" "[credential]" "key = hsm:soft/key/some"
cp "$HSMUX_CONF" "$WORK/whole"
size=$(stat -c %s "$WORK/whole")
for at in $(seq 0 5 "$size"); do
    head -c "$at" "$WORK/whole" >"$HSMUX_CONF"
    status=0
    hsmux list >"$WORK/out" 2>&1 || status=$?
    [ $status -le 1 ] || fail "exit status $status when cut at $at: $(cat "$WORK/out")"
done

step "PIN files: CRLF and no newline are understood, 0644 is not"
ini "${soft[@]}" "pin-file = $WORK/pin"
OPENSSL_CONF=/dev/null openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass "pass:$PASSPHRASE" \
    -out "$WORK/soft/shut.key"
chmod 600 "$WORK/soft/shut.key"
for ending in '\n' '\r\n' ''; do
    # shellcheck disable=SC2059
    (umask 077 && printf "$PASSPHRASE$ending" >"$WORK/pin")
    hsmux csr hsm:soft/key/shut --subject /CN=shut --out "$WORK/shut.csr"
done
chmod 644 "$WORK/pin"
wrong "chmod" hsmux csr hsm:soft/key/shut --subject /CN=shut
chmod 600 "$WORK/pin"
echo "$WRONG_PIN" >"$WORK/pin"
wrong "PIN" hsmux csr hsm:soft/key/shut --subject /CN=shut
rm "$WORK/soft/shut.key"

step "a configuration with a secret that others may read"
ini "${soft[@]}" "pin = $PIN"
chmod 644 "$HSMUX_CONF"
wrong "chmod" hsmux list

step "addresses"
ini "${soft[@]}"
hsmux key generate good --token soft
for address in hsm:soft/key/go%00od hsm:soft/key/go%0 hsm:soft/kee/good hsm:nosuch/key/good hsm://good \
    "hsm:soft/key?id=0" "hsm:soft/key?name=good" "pkcs11:objekt=good;type=private" "pkcs11:object=good;object=good" \
    "pkcs11:object=go%00od" "$long" "hsm:soft/key/$long" ""; do
    step "address: ${address:0:60}"
    wrong "" hsmux ref "$address"
done
wrong "" hsmux ref "pkcs11:object=absent;type=private?pin-value=$PIN"
if grep -q "$PIN" "$WORK/said"; then
    fail "the error shows a PIN"
fi

step "a certificate that belongs to another key"
OPENSSL_CONF=/dev/null openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=stranger \
    -keyout "$WORK/stranger.key" -out "$WORK/stranger.pem" 2>/dev/null
wrong "" hsmux cert import "$WORK/stranger.pem" --token soft
install -m 600 "$WORK/stranger.pem" "$WORK/soft/good.pem"
hsmux status | tee "$WORK/said" || true
hsmux cert >"$WORK/out" 2>"$WORK/err" && fail "the stranger's certificate was taken for ours"
cat "$WORK/err"
