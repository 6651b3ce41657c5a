#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 32 threads sign with one key while programs are started beside them, by posix_spawn() and by fork() and exec: every
# signature is right and every program starts, on a file token and on SoftHSM.
. "$(dirname "$0")/../lib/story.sh"

CROWD=$BUILD/tests/lib/crowd
[ -x "$CROWD" ] || skip "the program of many threads is not built"

crowd() {
    step "$1"
    hsmux key generate shared --token "$1" --type p256
    "$CROWD" "hsm:$1/key/shared" 32 200
}

file_ini soft
crowd soft
softhsm_token edge
softhsm_ini edge edge
crowd edge
