#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 600
# The Debian packages are built from these sources and installed in a fresh Debian 12 that holds no more than they
# depend on.  There `hsmux status` runs, a key is made, and the system's own openssl signs with its reference.
. "$(dirname "$0")/../lib/story.sh"

[ "$(id -u)" = 0 ] || skip "a folder with a Debian of its own wants root"
for command in debootstrap dpkg-buildpackage; do
    command -v $command >/dev/null || skip "$command is not installed"
done
MIRROR=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 || true)
MIRROR=${MIRROR:-http://deb.debian.org/debian}
curl -sfI -m 20 "${MIRROR%% *}/dists/bookworm/Release" >/dev/null || skip "no answer from ${MIRROR%% *}"
FOLDER=$WORK/debian

# inside COMMAND...: in the fresh Debian, with nothing of our environment.
inside() {
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C chroot "$FOLDER" "$@"
}

step "the packages, from the sources alone"
mkdir "$WORK/source"
tar -C "$ROOT" --exclude=./build --exclude=./.git -c . | tar -C "$WORK/source" -x
(cd "$WORK/source" && unset LD_LIBRARY_PATH && dpkg-buildpackage -b -us -uc -j2) >"$WORK/build.log" 2>&1 ||
    fail "no packages: $(tail -n 20 "$WORK/build.log")"
for package in libhsmux0 libhsmux-dev hsmux hsmux-plugins hsmux-plugin-tpm2; do
    [ -f "$(echo "$WORK/${package}"_*.deb)" ] || fail "no package '$package'"
done
dpkg-deb -e "$(echo "$WORK"/hsmux_*.deb)" "$WORK/scripts"
! grep -E 'deb-systemd-invoke +[^ ]*stop' "$WORK"/scripts/p* || fail "an upgrade would stop what nothing starts again"

step "a fresh Debian with what they depend on"
depends=$(dpkg-deb -f "$(echo "$WORK"/hsmux_*.deb)" Depends Recommends
    dpkg-deb -f "$(echo "$WORK"/libhsmux0_*.deb)" Depends
    dpkg-deb -f "$(echo "$WORK"/hsmux-plugins_*.deb)" Depends
    dpkg-deb -f "$(echo "$WORK"/hsmux-plugin-tpm2_*.deb)" Depends)
needed=$(echo "$depends" | sed 's/^[A-Za-z-]*: //; s/([^)]*)//g' | tr -d ' ' | tr ',' '\n' | grep -v hsmux | sort -u | paste -sd,)
debootstrap --variant=minbase --include="$needed" bookworm "$FOLDER" "${MIRROR%% *}" >"$WORK/debootstrap.log" 2>&1 ||
    fail "debootstrap: $(tail -n 5 "$WORK/debootstrap.log")"

step "installed there"
cp "$WORK"/{libhsmux0,libhsmux-dev,hsmux,hsmux-plugins,hsmux-plugin-tpm2}_*.deb "$FOLDER/root/"
inside sh -c 'dpkg -i /root/*.deb' >"$WORK/dpkg.log" 2>&1 || fail "dpkg: $(tail -n 20 "$WORK/dpkg.log")"
(cd "$WORK" && inside hsmux version)

step "status: nothing there yet, and what to do"
inside hsmux status >"$WORK/status" 2>&1 && fail "a credential on an empty device: $(cat "$WORK/status")"
cat "$WORK/status"
expect "hsmux key generate" "$WORK/status"

step "the TPM plugin is there, and says nothing where there is no TPM"
inside hsmux plugins >"$WORK/plugins"
expect "tpm2" "$WORK/plugins"
! grep -i tpm "$WORK/status" | grep -v plugin || fail "a TPM is missed: $(cat "$WORK/status")"

step "a key and its certificate: status is content, and openssl signs by the reference"
inside sh -ec 'hsmux key generate device-1 --type p256
    hsmux csr --subject /CN=device-1 --out /root/device.csr
    openssl req -verify -noout -in /root/device.csr
    hsmux openssl-conf --out /root/openssl.cnf
    export OPENSSL_CONF=/root/openssl.cnf
    hsmux ref --out /root/device.ref
    openssl req -x509 -key /root/device.ref -subj /CN=device-1 -days 30 -out /root/device.pem
    hsmux cert import /root/device.pem
    hsmux status
    echo hello >/root/message
    openssl dgst -sha256 -sign /root/device.ref -out /root/signature /root/message
    openssl x509 -in /root/device.pem -noout -pubkey >/root/device.pub
    openssl dgst -sha256 -verify /root/device.pub -signature /root/signature /root/message' >"$WORK/inside" 2>&1 ||
    fail "$(cat "$WORK/inside")"
cat "$WORK/inside"
expect "hsm:file/key/device-1" "$WORK/inside"
expect "Verified OK" "$WORK/inside"

step "purged, nothing but the device's own keys stays"
inside dpkg --purge hsmux libhsmux-dev hsmux-plugins hsmux-plugin-tpm2 libhsmux0 >"$WORK/dpkg.log" 2>&1 ||
    fail "dpkg --purge: $(cat "$WORK/dpkg.log")"
find "$FOLDER/etc" "$FOLDER/usr" -name '*hsmux*' -not -path '*/dpkg/*' >"$WORK/left"
[ ! -s "$WORK/left" ] || fail "left behind: $(cat "$WORK/left")"
[ -f "$FOLDER/var/lib/hsmux/device-1.key" ] || fail "the device's key is gone: $(ls -R "$FOLDER/var/lib/hsmux")"
