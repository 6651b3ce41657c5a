#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# A key of the parent goes on working in children that are forked while another thread holds the token busy: 4 and 8 at
# once, 20 signatures each, 100 runs; every child works, none hangs.
. "$(dirname "$0")/../lib/story.sh"

FORKS=$BUILD/tests/lib/forks
[ -x "$FORKS" ] || skip "the forking program is not built"

try_forks() {
    local how children
    for how in open reference; do
        for children in 4 8; do
            step "$1: $children children, the key by $how"
            "$FORKS" "$1" $children 20 25 $how
        done
    done
}

file_ini soft
hsmux key generate forked --type p256
try_forks hsm:soft/key/forked
softhsm_token fork
softhsm_ini edge fork
hsmux key generate forked --type p256
try_forks hsm:edge/key/forked
