#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 180
# Programs that start at once on one SoftHSM token, each of which logs in, all see the whole token: SoftHSM shows others
# an empty file while it writes one.  A second token in the same module changes nothing.
. "$(dirname "$0")/../lib/story.sh"

softhsm_token first
softhsm_token second
softhsm_ini edge first
hsmux key generate device --type p256 >"$WORK/out"
hsmux list >"$WORK/expected"
expect hsm:edge/key/device "$WORK/expected"

# round NUMBER PROCESSES
round() {
    local i running=() failed=
    for i in $(seq "$2"); do
        hsmux list >"$WORK/list$i" 2>"$WORK/err$i" &
        running+=($!)
    done
    for i in $(seq "$2"); do
        wait "${running[i - 1]}" || failed="$failed $(cat "$WORK/err$i")"
        cmp -s "$WORK/list$i" "$WORK/expected" || failed="$failed other objects: $(cat "$WORK/list$i")"
    done
    [ -z "$failed" ] || fail "round $1 of $2 at once:$failed"
}

step "200 pairs"
for number in $(seq 200); do
    round "$number" 2
done
step "20 times 8"
for number in $(seq 20); do
    round "$number" 8
done
