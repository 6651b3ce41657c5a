#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What hsmux.conf(5) promises of a file token's directory: which files it may hold, what becomes of labels, where the
# passphrase comes from; and of certificates that lie elsewhere or are a CA's.
. "$(dirname "$0")/../lib/story.sh"

make_ca
file_ini soft
directory=$WORK/soft

# made NAME: $WORK/NAME.key and NAME.pem, from the CA.
made() {
    OPENSSL_CONF=/dev/null openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
        -keyout "$WORK/$1.key" -out "$WORK/$1.csr" 2>/dev/null
    issue "$WORK/$1.csr" "$WORK/$1.pem"
}

# lists LINE...: hsmux lists just these.
lists() {
    printf '%s\n' "$@" | sort | diff - <(hsmux list | sort) || fail "not what was to be listed"
}

# is_credential NAME: the key that signs has this certificate.
is_credential() {
    hsmux status >"$WORK/said"
    expect "CN=$1" <(hsmux cert | openssl x509 -noout -subject -nameopt RFC2253)
}

# put FILE NAME: into the directory.
put() {
    install -m 600 "$1" "$directory/$2"
}

made device
step "key, certificate and chain in one .pem"
cat "$WORK/device.key" "$WORK/device.pem" "$WORK/ca.pem" >"$WORK/all.pem"
put "$WORK/all.pem" all.pem
lists "hsm:soft/key/all  p256 sign derive" "hsm:soft/cert/all  p256" "hsm:soft/cert/all%231  p256"
is_credential device
chmod 644 "$directory/all.pem"
expect_error "chmod 600" hsmux ref hsm:soft/key/all
rm "$directory/all.pem"

step "a certificate below the key in .key, and one in DER in .crt"
cat "$WORK/device.key" "$WORK/device.pem" >"$WORK/both.key"
put "$WORK/both.key" both.key
is_credential device
rm "$directory/both.key"
openssl x509 -in "$WORK/device.pem" -outform DER -out "$directory/device.crt"
put "$WORK/device.key" device.key
is_credential device
hsmux cert hsm:soft/key/device | cmp - <(openssl x509 -in "$WORK/device.pem")
step "a key in two files is two"
put "$WORK/device.key" device.pem
expect_error "more than one" hsmux ref hsm:soft/key/device
rm "$directory/device.pem"
step "a key in DER is none"
openssl pkey -in "$WORK/device.key" -outform DER -out "$WORK/der.key"
put "$WORK/der.key" der.key
hsmux list 2>&1 | tee "$WORK/said"
expect "der.key' holds no private key in PEM" "$WORK/said"
rm "$directory"/*

step "secrets, data and labels"
printf 0123456789abcdef >"$WORK/secret"
put "$WORK/secret" "a b.secret"
put "$WORK/secret" note.data
lists "hsm:soft/secret/a%20b  generic sign-message" "hsm:soft/data/note"
hsmux key generate "b/c d"
[ -f "$directory/b%2Fc%20d.key" ] || fail "the label's file: $(ls "$directory")"
rm "$directory"/*

step "a certificate in the directory beside the configuration, in PEM and in DER"
put "$WORK/device.key" device.key
mkdir "$WORK/certs"
cp "$WORK/device.pem" "$WORK/certs/any.pem"
is_credential device
rm "$WORK/certs/any.pem"
openssl x509 -in "$WORK/device.pem" -outform DER -out "$WORK/certs/any.der"
is_credential device

step "a CA's certificate counts below all others, and above none"
OPENSSL_CONF=/etc/ssl/openssl.cnf openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=self \
    -keyout "$WORK/self.key" -out "$WORK/self.pem" 2>/dev/null
openssl x509 -in "$WORK/self.pem" -noout -text | grep -q CA:TRUE || fail "openssl req -x509 makes others now"
put "$WORK/self.key" self.key
put "$WORK/self.pem" self.pem
is_credential device
rm "$WORK/certs/any.der"
is_credential self
rm "$directory"/*

step "encrypted keys: the passphrase in a file; a new one tells its public half"
openssl pkcs8 -topk8 -in "$WORK/device.key" -passout "pass:$PASSPHRASE" -out "$WORK/sealed.key"
put "$WORK/sealed.key" device.key
put "$WORK/device.pem" device.pem
expect_fail "set pin-file" hsmux ref
lists "hsm:soft/key/device  p256 sign derive" "hsm:soft/cert/device  p256"
ini "[token soft]" "plugin = file" "directory = $directory" "pin-file = $(pin_file "$PASSPHRASE")"
is_credential device
hsmux key generate new
expect "BEGIN ENCRYPTED PRIVATE KEY" "$directory/new.key"
expect "BEGIN PUBLIC KEY" "$directory/new.key"
hsmux import --secret "$WORK/secret"
expect "BEGIN HSMUX ENCRYPTED SECRET" "$directory/secret.secret"

step "and with no configuration, in the systemd credential hsmux.file"
unset HSMUX_CONF
usual=$XDG_DATA_HOME/hsmux
[ "$(id -u)" != 0 ] || usual=$STATEDIR
mkdir -p "$(dirname "$usual")"
rm -rf "$usual"
mv "$directory" "$usual"
expect_fail "hsmux.file" hsmux status
mkdir -m 700 "$WORK/credentials"
mv "$(pin_file "$PASSPHRASE")" "$WORK/credentials/hsmux.file"
export CREDENTIALS_DIRECTORY=$WORK/credentials
is_credential device
rm -rf "$usual"
