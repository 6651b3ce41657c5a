#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# The quickstart as a normal user, who may not write into a checkout of root's.
. "$(dirname "$0")/../lib/story.sh"

[ "$(id -u)" = 0 ] || skip "only root can play another user; story/quickstart ran as a normal user"
step "as nobody, from a copy that everybody can read"
mkdir "$WORK/hsmux"
tar -C "$ROOT" --exclude=./build --exclude=./.git -cf - . | tar -C "$WORK/hsmux" -xf -
chmod -R go=rX "$WORK/hsmux"
chown nobody "$HOME"
setpriv --reuid nobody --regid nogroup --clear-groups env -u SOFTHSM2_CONF -u LD_LIBRARY_PATH -u XDG_DATA_HOME \
    "$WORK/hsmux/examples/quickstart/run" -y 2>&1 | tee "$WORK/told"
tail -n 6 "$WORK/told" >"$WORK/end"
expect "Subject: CN=device-1" "$WORK/end"
