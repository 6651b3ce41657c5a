#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An existing device.key and device.pem dropped into the file token's directory just work, also when the key is
# encrypted; a key that others may read is an error that says what to do.
. "$(dirname "$0")/../lib/story.sh"

make_ca
make_server
start_server
use_provider
directory=$XDG_DATA_HOME/hsmux
[ "$(id -u)" != 0 ] || directory=$STATEDIR
mkdir -p "$(dirname "$directory")"
mkdir -m 700 "$directory"

# call NAME: TLS with the one credential.
call() {
    hsmux cert --out "$WORK/chain.pem"
    hsmux ref --out "$WORK/key.ref"
    curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/chain.pem" --key "$WORK/key.ref" "https://127.0.0.1:$PORT/" \
        >"$WORK/answer"
    expect "Subject: CN=$1" "$WORK/answer"
}

step "a key and its certificate, and no configuration"
OPENSSL_CONF=/dev/null openssl req -newkey rsa:2048 -nodes -subj /CN=old-device -keyout "$WORK/old.key" \
    -out "$WORK/old.csr" 2>/dev/null
issue "$WORK/old.csr" "$WORK/old.pem"
install -m 600 "$WORK/old.key" "$directory/device.key"
install -m 644 "$WORK/old.pem" "$directory/device.pem"
hsmux status
call old-device

step "the key readable by others"
chmod 644 "$directory/device.key"
expect_fail "chmod" hsmux ref
chmod 600 "$directory/device.key"

step "the directory readable by others"
chmod 755 "$directory"
expect_fail "chmod" hsmux ref
chmod 700 "$directory"

step "an encrypted key, its passphrase in a file"
OPENSSL_CONF=/dev/null openssl pkcs8 -topk8 -in "$WORK/old.key" -passout "pass:$PASSPHRASE" -out "$directory/device.key"
chmod 600 "$directory/device.key"
ini "[token soft]" "plugin = file" "directory = $directory" "pin-file = $(pin_file "$PASSPHRASE")"
hsmux status
call old-device
