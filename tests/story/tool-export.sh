#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hsmux export: a directory with the files that programs want, which a second run leaves alone, and a server believes.
. "$(dirname "$0")/../lib/story.sh"

make_ca
make_server
file_ini soft

step "a credential below an authority of its own"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=below" -keyout "$WORK/below.key" \
    -out "$WORK/below.csr" 2>/dev/null
openssl x509 -req -in "$WORK/below.csr" -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" -CAcreateserial -days 30 \
    -extfile <(echo basicConstraints=critical,CA:TRUE) -out "$WORK/below.pem" 2>/dev/null
hsmux key generate device
hsmux csr hsm:soft/key/device --subject /CN=device --out "$WORK/device.csr"
openssl x509 -req -in "$WORK/device.csr" -CA "$WORK/below.pem" -CAkey "$WORK/below.key" -CAcreateserial -days 30 \
    -out "$WORK/device.pem" 2>/dev/null
expect_error "no certificate" hsmux export --dir "$WORK/files"
[ ! -e "$WORK/files" ] || fail "something was written"
cat "$WORK/device.pem" "$WORK/below.pem" "$WORK/ca.pem" >"$WORK/all.pem"
hsmux cert import "$WORK/all.pem"

# is FILE...: the exported file holds these certificates and no others.
is() {
    local name=$1
    shift
    diff <(cat "$@" | grep -v '^#') "$WORK/files/$name" || fail "$name"
}

# unchanged COMMAND...: prints nothing, and no file is touched.
unchanged() {
    (cd "$WORK/files" && stat -c '%n %y %z %i %a' . ./*) >"$WORK/before"
    "$@" >"$WORK/said"
    [ ! -s "$WORK/said" ] || fail "changed: $(cat "$WORK/said")"
    (cd "$WORK/files" && stat -c '%n %y %z %i %a' . ./*) | diff "$WORK/before" -
}

step "the files; the root is left out"
hsmux export --dir "$WORK/files" | tee "$WORK/said"
diff <(printf "$WORK/files/%s\n" README cert.pem chain.pem fullchain.pem key.pem combined.pem) "$WORK/said"
[ "$(stat -c %a "$WORK/files")" = 755 ] || fail "mode $(stat -c %a "$WORK/files")"
[ "$(stat -c %a "$WORK/files/key.pem")" = 644 ] || fail "mode $(stat -c %a "$WORK/files/key.pem")"
hsmux ref >"$WORK/ref.pem"
is cert.pem "$WORK/device.pem"
is chain.pem "$WORK/below.pem"
is fullchain.pem "$WORK/device.pem" "$WORK/below.pem"
is key.pem "$WORK/ref.pem"
is combined.pem "$WORK/device.pem" "$WORK/below.pem" "$WORK/ref.pem"
for name in cert.pem chain.pem fullchain.pem key.pem combined.pem; do
    expect "$name " "$WORK/files/README"
done
expect "ssl_certificate_key $WORK/files/key.pem;" "$WORK/files/README"

step "again: nothing changes, not even a time; nor for the same key by its address"
unchanged hsmux export --dir "$WORK/files"
unchanged hsmux export --dir "$WORK/files" hsm:soft/key/device
(cd "$WORK" && unchanged hsmux export --dir files/)

step "curl with what the README says, in two files and in one"
use_provider
start_server
eval "curl -sS --cacert '$WORK/ca.pem' $(sed -n 's/^curl *//p' "$WORK/files/README") https://127.0.0.1:$PORT/" >"$WORK/page"
expect "Subject: CN=device" "$WORK/page"
curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/files/combined.pem" "https://127.0.0.1:$PORT/" >"$WORK/page"
expect "Subject: CN=device" "$WORK/page"
unset OPENSSL_CONF

step "--default for an image; --mode for psql; a file keeps its mode"
hsmux export --dir "$WORK/files" --default | tee "$WORK/said"
diff <(printf "$WORK/files/%s\n" key.pem combined.pem) "$WORK/said"
hsmux ref --default | cmp - "$WORK/files/key.pem"
hsmux export --dir "$WORK/files" --default --mode 600 | diff "$WORK/said" -
[ "$(stat -c %a "$WORK/files"/{cert,key,combined}.pem | tr '\n' ' ')" = "644 600 600 " ] || fail "modes"
unchanged hsmux export --dir "$WORK/files" --default --mode 0600
hsmux export --dir "$WORK/files"
[ "$(stat -c %a "$WORK/files"/{cert,key,combined}.pem | tr '\n' ' ')" = "644 600 600 " ] || fail "modes"

step "a renewed certificate without a chain: what changed is written, what is of no use any more goes"
issue "$WORK/device.csr" "$WORK/device.pem"
hsmux remove -y hsm:soft/cert/below
hsmux cert import --replace "$WORK/device.pem"
hsmux export --dir "$WORK/files" | tee "$WORK/said"
diff <(printf "$WORK/files/%s\n" cert.pem chain.pem fullchain.pem combined.pem) "$WORK/said"
is fullchain.pem "$WORK/device.pem"
[ ! -e "$WORK/files/chain.pem" ] || fail "the old chain is there"
[ "$(cd "$WORK/files" && find . -type f -printf '%P\n' | LC_ALL=C sort | tr '\n' ' ')" = "README cert.pem combined.pem fullchain.pem key.pem " ] || fail "left: $(ls -A "$WORK/files")"

step "a certificate of the same key that begins later: by the key's address it is found as well"
sleep 1
issue "$WORK/device.csr" "$WORK/later.pem"
hsmux cert import "$WORK/later.pem" --label later
hsmux export --dir "$WORK/files" hsm:soft/key/device
is cert.pem "$WORK/later.pem"
unchanged hsmux export --dir "$WORK/files"
hsmux remove -y hsm:soft/cert/later
hsmux export --dir "$WORK/files"

step "a run that was cut short is completed by the next"
rm "$WORK/files"/*.pem
: >"$WORK/files/cert.pem"
hsmux export --dir "$WORK/files" | wc -l | grep -qx 4
is cert.pem "$WORK/device.pem"

step "what others put there is not touched"
for name in key.pem README; do
    rm -rf "$WORK/theirs"
    mkdir "$WORK/theirs"
    echo theirs >"$WORK/theirs/$name"
    expect_error "was not written by hsmux export" hsmux export --dir "$WORK/theirs"
    [ "$(cat "$WORK/theirs"/*)" = theirs ] || fail "$(ls "$WORK/theirs")"
done
rm "$WORK/theirs/README"
ln -s "$WORK/ca.pem" "$WORK/theirs/cert.pem"
expect_error "no regular file" hsmux export --dir "$WORK/theirs"
rm "$WORK/theirs/cert.pem"
for mode in 777 775 1777; do
    chmod $mode "$WORK/theirs"
    expect_error "others than you and root" hsmux export --dir "$WORK/theirs"
done
[ -z "$(ls "$WORK/theirs")" ] || fail "$(ls "$WORK/theirs")"

step "nor is one written that others can put another in the place of"
mkdir "$WORK/theirs/below"
chmod 777 "$WORK/theirs"
expect_error "others than you and root" hsmux export --dir "$WORK/theirs/below"
if [ "$(id -u)" = 0 ]; then
    chmod 755 "$WORK/theirs"
    chown nobody "$WORK/theirs"
    expect_error "others than you and root" hsmux export --dir "$WORK/theirs/below"
    chown root "$WORK/theirs"
fi
rmdir "$WORK/theirs/below"
chmod 777 "$WORK/theirs"
expect_error "others than you and root" hsmux export --dir "$WORK/theirs/below"
[ -z "$(ls "$WORK/theirs")" ] || fail "$(ls "$WORK/theirs")"
chmod 1777 "$WORK/theirs"
hsmux export --dir "$WORK/theirs/below" | wc -l | grep -qx 5

step "what is wrong is said in one line"
expect_error "where to? --dir DIR" hsmux export
expect_error "either an address" hsmux export --dir "$WORK/new" --default hsm:
expect_error "octal" hsmux export --dir "$WORK/new" --mode 8
expect_error "octal" hsmux export --dir "$WORK/new" --mode 1777
expect_error "No such file" hsmux export --dir "$WORK/lost/new"
expect_error "no directory" hsmux export --dir "$WORK/device.pem"
expect_error "is no key" hsmux export --dir "$WORK/new" hsm:soft/cert/device
hsmux key generate bare
expect_error "no certificate on its token belongs to it" hsmux export --dir "$WORK/new" hsm:soft/key/bare
expect_error "lost" hsmux export --dir "$WORK/new" hsm:lost
[ ! -e "$WORK/new" ] || fail "something was written"
