#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 60
# Keys of a TPM with auth values, protected against guessing: after three wrong ones the whole TPM is in lockout.  A wrong
# PIN, or none, in a restart loop with forked workers costs one try; corrected, it works at once; a TPM that another
# program has put in lockout gets no try of ours, and one line says until when.
. "$(dirname "$0")/../lib/story.sh"
. "$(dirname "$0")/../lib/tpm.sh"

WORKERS=$BUILD/tests/lib/workers
[ -x "$WORKERS" ] || skip "the tests' programs are not built"
public_copy
cp "$WORKERS" "$WORK/prefix/workers"
WORKERS=$WORK/prefix/workers
start_swtpm crowded
tpm_key 0x81010003 ecc256 "$PIN"
tpm_key 0x81010004 ecc256 "" sign
tpm_key 0x81010005 ecc256 "$PIN" "sign|noda"
tpm_ini tpm
plain=$(cat "$HSMUX_CONF")
export STATE_DIRECTORY=$WORK/state TSS2_LOG=all+none
right=$(pin_file "$PIN") wrong=$(pin_file "$WRONG_PIN")
for id in 81010003 81010004 81010005; do
    hsmux ref "hsm:tpm/key?id=$id" --out "$WORK/$id.ref"
done

# configure [PINFILE]
configure() {
    ini "$plain" "${1+pin-file = $1}"
}

# begin WORDS: no wrong auth value counts, and nothing is remembered.
begin() {
    step "$*"
    rm -rf "$WORK/state"
    tpm2_dictionarylockout -Q --clear-lockout
}

# starts COUNT ID [USER]: a server with four workers that cannot sign.
starts() {
    local start status
    for start in $(seq "$1"); do
        status=0
        "$WORKERS" "$WORK/$2.ref" 4 2 1 "${@:3}" >"$WORK/out" 2>&1 || status=$?
        [ "$status" = 4 ] || fail "start $start: $status of 4 workers failed: $(cat "$WORK/out")"
        [ "$(grep -c '^process' "$WORK/out")" = 4 ] || fail "not one line of each: $(cat "$WORK/out")"
    done
}

# works ID [USER]
works() {
    "$WORKERS" "$WORK/$1.ref" 4 2 1 "${@:2}" || fail "the workers cannot sign with $1"
}

# counts NUMBER: wrong auth values in the TPM's eyes.
counts() {
    [ "$(wrong_auths)" = "$1" ] || fail "$(wrong_auths) wrong auth values, not $1"
}

begin "no PIN: 20 starts, 4 workers each"
configure
starts 20 81010003
counts 1
expect "token 'tpm': sign: the key wants a PIN (its auth value): set pin-file = in [token tpm]" "$WORK/out"
works 81010004
configure "$right"
works 81010003
counts 1

begin "a wrong PIN: 20 starts, 4 workers each"
configure "$wrong"
starts 20 81010003
counts 1
expect "this PIN was refused before and is not sent again: correct it in '$wrong'" "$WORK/out"
cp "$right" "$wrong"
works 81010003
counts 1

if [ "$(id -u)" = 0 ]; then
    begin "started by root, and the workers become nobody, who may write nowhere"
    configure
    starts 20 81010003 nobody
    counts 1
    begin "the same with a wrong PIN"
    wrong=$(pin_file "$WRONG_PIN")
    configure "$wrong"
    starts 20 81010003 nobody
    counts 1
    configure "$right"
    works 81010003 nobody
    counts 1
fi

begin "the same where nothing can be written: the last try is nobody's"
wrong=$(pin_file "$WRONG_PIN")
configure "$wrong"
STATE_DIRECTORY=/dev/null/state starts 5 81010003
counts 2
expect "the TPM has counted 2 wrong auth values, and one more would lock it, so none is sent" "$WORK/out"

begin "a PIN for some keys is no PIN for others: each is tried once"
configure "$right"
works 81010003
starts 3 81010004
counts 1
works 81010003
works 81010005

begin "a wrong PIN that does not count is tried once too"
configure "$wrong"
starts 3 81010005
expect "this PIN was refused before" "$WORK/out"
configure
starts 3 81010005
expect "set pin-file = in [token tpm]" "$WORK/out"
counts 0

begin "in lockout, by another program"
for _ in 1 2 3; do
    tpm2_sign -Q -c 0x81010003 -p guess -o "$WORK/sig" "$WORK/81010003.ref" 2>/dev/null || true
done
configure "$right"
expect_error "the TPM is in lockout after 3 wrong auth values: it takes the next one in 1000 s at most, or at once after \`tpm2_dictionarylockout --clear-lockout\`" \
    "$WORKERS" "$WORK/81010003.ref" 1 1 1
works 81010005
hsmux status >"$WORK/said" 2>&1 || true # more than one key
expect "PIN LOCKED" "$WORK/said"
tpm2_dictionarylockout -Q --clear-lockout
works 81010003

begin "hsmux login says whether a PIN is right, and that it may be tried again"
configure "$wrong"
starts 1 81010003
tpm_key 0x81010002 ecc256
expect_error "PIN" hsmux login tpm <"$(pin_file 99999999)"
counts 2
hsmux login tpm <"$right"
configure "$right"
tpm2_dictionarylockout -Q --clear-lockout
works 81010003
counts 0

begin "the last try is not ours to spend, but a key that is made counts none"
wrong=$(pin_file "$WRONG_PIN")
for _ in 1 2; do
    tpm2_sign -Q -c 0x81010003 -p guess -o "$WORK/sig" "$WORK/81010003.ref" 2>/dev/null || true
done
counts 2
configure "$right"
hsmux key generate late
hsmux remove -y hsm:tpm/key/late
counts 2
expect_error "one more would lock it" "$WORKERS" "$WORK/81010003.ref" 1 1 1
counts 2

begin "hsmux login: a key that has no PIN says nothing of one, and one key that takes it is enough"
tpm2_evictcontrol -Q -C o -c 0x81010003 >/dev/null
tpm_key 0x81000201 ecc256 "" "sign|noda"
tpm_key 0x81000202 ecc256 "$PIN" "sign|noda"
tpm_key 0x81000203 ecc256 "$PASSPHRASE" "sign|noda"
configure
expect_error "the auth value (PIN) of the keys is another" hsmux login tpm <"$wrong"
hsmux login tpm <"$right"
hsmux login tpm <"$(pin_file "$PASSPHRASE")"
counts 1 # by the wrong one: one key at most that counts is asked, on a person's word
