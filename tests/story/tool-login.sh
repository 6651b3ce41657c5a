#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A PIN that was refused is not sent again until a person logs in; and no PIN is ever shown.
. "$(dirname "$0")/../lib/story.sh"

softhsm_token edge
softhsm_ini edge edge
export STATE_DIRECTORY=$WORK/state
mkdir -m 700 "$STATE_DIRECTORY"

step "the right PIN, from standard input and from a file"
hsmux login edge <"$(pin_file "$PIN")" | tee "$WORK/said"
expect "edge" "$WORK/said"
hsmux login edge --pin-file "$(pin_file "$PIN")"
printf '%s' "$PIN" | hsmux login edge --pin-file -
hsmux key generate device

step "a token that is not there: before a PIN is asked for"
expect_error "there are: 'edge'" setsid hsmux login nix </dev/null
! grep -q "PIN" "$WORK/err" || fail "asked for a PIN"

step "a wrong one"
expect_error "PIN" hsmux login edge --pin-file "$(pin_file "$WRONG_PIN")"
expect_error "PIN" hsmux login edge <"$(pin_file "$WRONG_PIN")"
ini "[token edge]" "plugin = pkcs11" "module = $SOFTHSM" "token = edge" "pin-file = $(pin_file "$WRONG_PIN")"
expect_error "PIN" hsmux ref hsm:edge/key/device
softhsm_ini edge edge
hsmux login edge --pin-file "$(pin_file "$PIN")"
hsmux ref hsm:edge/key/device

step "files that hold no PIN, or that others can read"
: >"$WORK/empty"
expect_error "PIN" hsmux login edge --pin-file "$WORK/empty"
expect_error "PIN" hsmux login edge </dev/null
file=$(pin_file "$PIN")
chmod 644 "$file"
expect_error "chmod" hsmux login edge --pin-file "$file"
expect_error "either" hsmux login edge --pinpad --pin-file "$file"
