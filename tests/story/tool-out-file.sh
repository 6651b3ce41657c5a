#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --out FILE: the file is the old one or the new one, never a piece; its mode stays; nothing else is left behind.
. "$(dirname "$0")/../lib/story.sh"

file_ini soft
hsmux key generate device
mkdir "$WORK/out.d"
file=$WORK/out.d/device.ref

step "a new file has what the umask leaves, and an old one keeps its mode"
hsmux ref hsm:soft/key/device --out "$file"
hsmux ref hsm:soft/key/device | cmp - "$file"
(cd "$WORK/out.d" && hsmux ref hsm:soft/key/device --out - | cmp - "$file")
[ "$(stat -c %a "$file")" = 644 ] || fail "mode $(stat -c %a "$file")"
chmod 640 "$file"
before=$(stat -c %i "$file")
hsmux ref --default --out "$file"
hsmux ref --default | cmp - "$file"
[ "$(stat -c %a "$file")" = 640 ] || fail "mode $(stat -c %a "$file")"
[ "$(stat -c %i "$file")" != "$before" ] || fail "the file was written in place"

step "a symbolic link goes on pointing, and a pipe is written as it is"
ln -s device.ref "$WORK/out.d/link"
hsmux ref hsm:soft/key/device --out "$WORK/out.d/link"
[ -L "$WORK/out.d/link" ] || fail "the link is gone"
hsmux ref hsm:soft/key/device | cmp - "$file"
ln -s /proc/self/fd/1 "$WORK/stdout"
hsmux ref hsm:soft/key/device --out "$WORK/stdout" | cmp - "$file"
[ -L "$WORK/stdout" ] || fail "the link to a pipe was replaced"
mkfifo "$WORK/fifo"
hsmux ref hsm:soft/key/device --out "$WORK/fifo" &
cmp "$WORK/fifo" "$file"
wait $!
[ -p "$WORK/fifo" ] || fail "the pipe was replaced"
ln -s nowhere "$WORK/dangling"
expect_error "No such file" hsmux ref --default --out "$WORK/dangling"

step "a failure leaves the old file"
cp "$file" "$WORK/old"
expect_error "lost" hsmux ref hsm:soft/key/lost --out "$file"
cmp "$file" "$WORK/old"
! (ulimit -f 0 && hsmux ref --default --out "$file") 2>&1 | cat >"$WORK/said" || fail "no error at the limit of file sizes"
expect "File too large" "$WORK/said"
cmp "$file" "$WORK/old"
[ "$(ls -A "$WORK/out.d" | sort | tr '\n' ' ')" = "device.ref link " ] || fail "left behind: $(ls -A "$WORK/out.d")"

step "who reads meanwhile sees a whole file"
hsmux ref hsm:soft/key/device >"$WORK/one"
hsmux ref --default >"$WORK/two"
for _ in $(seq 40); do
    hsmux ref hsm:soft/key/device --out "$file"
    hsmux ref --default --out "$file"
done &
writer=$!
while kill -0 $writer 2>/dev/null; do
    cat "$file" >"$WORK/seen"
    cmp -s "$WORK/seen" "$WORK/one" || cmp -s "$WORK/seen" "$WORK/two" || fail "a piece: $(cat "$WORK/seen")"
done
wait $writer
