#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit that writes the credential's files at boot is well-formed, starts what is installed, and its command does
# what it promises, once and again.
. "$(dirname "$0")/../lib/story.sh"

unit=$PREFIX/lib/systemd/system/hsmux-export.service
[ -f "$unit" ] || fail "no $unit"

step "systemd has nothing to say against it"
command -v systemd-analyze >/dev/null || skip "systemd-analyze is not installed"
systemd-analyze verify --man=no "$unit" >"$WORK/said" 2>&1 || fail "$(cat "$WORK/said")"
[ ! -s "$WORK/said" ] || fail "$(cat "$WORK/said")"
sed 's/^Type=.*/Type=lost/' "$unit" >"$WORK/hsmux-export.service"
systemd-analyze verify --man=no "$WORK/hsmux-export.service" 2>&1 | grep -q lost || fail "a mistake is not found"

step "the device stays in reach"
! grep -E '^(PrivateDevices|ProtectClock|DevicePolicy|DeviceAllow|ProtectKernelTunables|MemoryDenyWriteExecute|User|DynamicUser|StateDirectory)=' \
    "$unit" || fail "that could stand between hsmux and its token"
for line in Type=oneshot RemainAfterExit=yes After=local-fs.target Before=network.target RuntimeDirectoryPreserve=yes \
    NoNewPrivileges=yes WantedBy=multi-user.target; do
    grep -q "^$line" "$unit" || fail "no $line"
done

step "its command, with another directory, as systemd calls it: no HOME, a bare PATH"
read -r -a command < <(sed -n 's/^ExecStart=//p' "$unit")
[ "${command[0]}" = "$PREFIX/bin/hsmux" ] || fail "it starts ${command[0]}"
[ "/${command[3]#/run/}" = "/$(sed -n 's/^RuntimeDirectory=//p' "$unit")" ] || fail "${command[3]} is not its runtime directory"
command[3]=$WORK/run/hsmux
mkdir "$WORK/run" && mkdir -m 755 "$WORK/run/hsmux"
make_ca
make_server
file_ini soft
boot() {
    env -i LANG=C.UTF-8 PATH=/usr/bin:/bin HSMUX_CONF="$HSMUX_CONF" LD_LIBRARY_PATH="$LD_LIBRARY_PATH" "${command[@]}"
}
expect_error "no credential" boot
[ -z "$(ls -A "$WORK/run/hsmux")" ] || fail "files without a credential: $(ls "$WORK/run/hsmux")"
make_credential soft device
boot
stat -c '%n %y %i' "$WORK/run/hsmux"/* >"$WORK/before"
boot | cmp - /dev/null
stat -c '%n %y %i' "$WORK/run/hsmux"/* | diff "$WORK/before" -

step "a program authenticates with the files"
use_provider
start_server
curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/run/hsmux/combined.pem" "https://127.0.0.1:$PORT/" >"$WORK/page"
expect "Subject: CN=device" "$WORK/page"
