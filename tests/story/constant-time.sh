#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# valgrind takes decrypted blocks for undefined memory, and complains of any branch or address that depends on one: the
# code that takes PKCS#1 v1.5 padding off has none.
. "$(dirname "$0")/../lib/story.sh"

command -v valgrind >/dev/null || skip "valgrind is not installed"
[ -f /usr/include/valgrind/memcheck.h ] || skip "valgrind's headers were not there for the build"
PROGRAM=$BUILD/tests/unit/test-pkcs1
[ -x "$PROGRAM" ] || skip "the tests are not built"

step "a leak that is there is seen"
expect_fail "depends on uninitialised value" valgrind --quiet --error-exitcode=99 "$PROGRAM" leak

step "the unpadding has none"
valgrind --quiet --error-exitcode=99 "$PROGRAM" >"$WORK/out" 2>"$WORK/err" || fail "$(cat "$WORK/err" "$WORK/out")"
