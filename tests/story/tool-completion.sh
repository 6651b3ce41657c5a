#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The shell completes every command, and every long option that a command's --help shows, and opens no token for it.
. "$(dirname "$0")/../lib/story.sh"

. "$PREFIX/share/bash-completion/completions/hsmux"

# complete_words WORD...: what is offered for the last word.
complete_words() {
    COMP_WORDS=(hsmux "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _hsmux hsmux "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}" | sed '/^$/d' | sort
}

# offers TEXT WORD...: the words, separated by blanks, are offered and no others.
offers() {
    local wanted=$1
    shift
    complete_words "$@" | diff - <(tr ' ' '\n' <<<"$wanted" | sed '/^$/d' | sort) || fail "completing: hsmux $*"
}

# A configuration that cannot be read, and no plugins: whoever looks at a token would fail.
ini "[token lost]" "plugin = lost"
export HSMUX_PLUGINS=$WORK/nothing
hsmux help | sed -n 's/^  \([a-z][a-z-]*\( [a-z-]*\)\?\)  .*/\1/p' | sed 's/ *$//' >"$WORK/commands"

step "the commands"
complete_words "" | diff - <(awk '{ print $1 }' "$WORK/commands" | sort -u)
offers "import" imp
offers "generate" key ""
offers "import" cert imp
offers "ek ek-cert" tpm ek
offers "registration-id" help tpm r
offers "" cert lost

while read -r -a command; do
    step "${command[*]}"
    hsmux "${command[@]}" --help | awk '$1 ~ /^--/ { print $1 } $1 ~ /^-.,$/ { print $2 }' | sort >"$WORK/options"
    [ "$(wc -l <"$WORK/options")" -ge 2 ]
    complete_words "${command[@]}" -- | diff - "$WORK/options"
    complete_words -c "$HSMUX_CONF" "${command[@]}" --json argument --o | diff - <(grep '^--o' "$WORK/options")
    offers "${command[0]}" "${command[0]}"
done <"$WORK/commands"

step "what takes a value is offered values"
cd "$WORK" || exit
mkdir "a directory"
: >"a file"
for option in -c --config --out --module --pin-file --so-pin-file --passphrase-file; do
    [ "$(complete_words status $option a | tr '\n' ' ')" = "a directory a file " ] || fail "$option: $(complete_words status $option a)"
done
[ "$(complete_words export --dir a)" = "a directory" ] || fail "--dir: $(complete_words export --dir a)"
[ "$(complete_words export --dir = a)" = "a directory" ] || fail "--dir=: $(complete_words export --dir = a)"
offers "sha256 sha384 sha512 sha1" sign hsm: --hash ""
offers "p256 p384 p521" key generate a --type p
offers "p256 p384 p521" key generate a --type = p
offers "4096" key generate a --type rsa : 4
offers "4096" key generate a --type = rsa : 4
offers "" list --token ""

step "files for the commands that read them, and commands for help"
[ "$(complete_words import --p12 "a f")" = "a file" ] || fail "import: $(complete_words import --p12 "a f")"
[ "$(complete_words cert import "a f")" = "a file" ] || fail "cert import: $(complete_words cert import "a f")"
[ "$(complete_words tpm activate "a f")" = "a file" ] || fail "tpm activate: $(complete_words tpm activate "a f")"
complete_words help "" | diff - <(awk '{ print $1 }' "$WORK/commands" | sort -u)
offers "generate" help key ""

step "the values of --type and --hash are those that the tool takes"
unset HSMUX_PLUGINS
file_ini soft
expect_error "no key type" hsmux key generate a --type lost
tr ' ,' '\n\n' <"$WORK/err" | grep -xE 'rsa:[0-9]+|p[0-9]+|ed25519' | sort | diff - <(complete_words key generate a --type "")
expect_error "no hash" hsmux sign hsm: --hash lost
tr ' ,' '\n\n' <"$WORK/err" | grep -xE 'sha[0-9]+' | sort | diff - <(complete_words sign hsm: --hash "")
