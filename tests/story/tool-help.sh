#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every command explains itself, and the manual page knows the same commands, arguments and options.
. "$(dirname "$0")/../lib/story.sh"

manual=$ROOT/tools/man/hsmux.1

# of_manual COMMAND: the options in the command's own section.
of_manual() {
    awk -v name="$1" '/^\.S[sh]/ { on = ($0 == ".Ss " name || index($0, ".Ss " name " Ar ") == 1 ||
            index($0, ".Ss " name " Op ") == 1) } on' "$manual" |
        sed -n 's/^\.It.* Fl -\([a-z0-9-]*\).*/--\1/p' | sort
}

hsmux help >"$WORK/help"
hsmux --help | diff "$WORK/help" -
sed -n 's/^  \([a-z-]*\( [a-z-]*\)\?\)  .*/\1/p' "$WORK/help" | sed 's/ *$//' >"$WORK/commands"
[ "$(wc -l <"$WORK/commands")" -ge 16 ] || fail "commands are missing: $(cat "$WORK/help")"

while read -r command; do
    step "$command"
    # shellcheck disable=SC2086
    hsmux $command --help >"$WORK/said" </dev/null
    # shellcheck disable=SC2086
    hsmux help $command | diff "$WORK/said" -
    expect "usage: hsmux $command" "$WORK/said"
    grep -o -- '--[a-z][a-z0-9-]* ' "$WORK/said" | tr -d ' ' | sort -u | grep -vx -e --config -e --help >"$WORK/options" ||
        true
    of_manual "$command" | diff "$WORK/options" - || fail "hsmux(1) and --help differ on the options of '$command'"
done <"$WORK/commands"

step "the manual has no command that the tool lacks"
sed -n 's/^\.Ss //p' "$manual" | sed 's/ Op .*//; s/ Ar .*//' | sort | diff - <(sort "$WORK/commands")

step "all that is installed is there"
for page in man1/hsmux.1 man5/hsmux.conf.5 man7/hsmux-provider.7; do
    [ -s "$PREFIX/share/man/$page" ] || fail "no $page"
done
[ "$(hsmux version)" = "hsmux $(sed -n "s/^  version: '\(.*\)',/\1/p" "$ROOT/meson.build")" ] || fail "$(hsmux version)"
