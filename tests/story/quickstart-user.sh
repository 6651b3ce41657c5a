#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# The quickstart as a normal user, who may not write into a checkout of root's.
. "$(dirname "$0")/../lib/story.sh"

[ "$(id -u)" = 0 ] || skip "only root can play another user; story/quickstart ran as a normal user"
setpriv --reuid nobody --regid nogroup --clear-groups test -r "$ROOT/meson.build" ||
    skip "nobody cannot read this checkout"
step "as nobody"
chown nobody "$HOME"
setpriv --reuid nobody --regid nogroup --clear-groups env -u SOFTHSM2_CONF -u LD_LIBRARY_PATH -u XDG_DATA_HOME \
    "$ROOT/examples/quickstart/run" -y 2>&1 | tee "$WORK/told"
tail -n 6 "$WORK/told" >"$WORK/end"
expect "Subject: CN=device-1" "$WORK/end"
