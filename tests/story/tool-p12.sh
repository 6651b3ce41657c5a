#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A PKCS#12 file goes onto a token whole or not at all, whatever fails and whenever it is stopped, and what came with it
# authenticates to a server.
. "$(dirname "$0")/../lib/story.sh"

make_ca
make_server
(umask 077 && echo "$PASSPHRASE" >"$WORK/passphrase" && echo wrong >"$WORK/wrong")

# issued NAME: a key, and a certificate from an authority below the CA.
issued() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$WORK/$1.key" \
        -out "$WORK/$1.csr" 2>/dev/null
    openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/below.pem" -CAkey "$WORK/below.key" -CAcreateserial -days 30 \
        -out "$WORK/$1.pem" 2>/dev/null
}

# packed NAME FILE [OPTION...]: its PKCS#12 file.
packed() {
    local name=$1 file=$2
    shift 2
    openssl pkcs12 -export -inkey "$WORK/$name.key" -in "$WORK/$name.pem" -certfile "$WORK/below.pem" \
        -out "$file" "$@"
}

openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=below" -keyout "$WORK/below.key" \
    -out "$WORK/below.csr" 2>/dev/null
issue "$WORK/below.csr" "$WORK/below.pem"
openssl x509 -req -in "$WORK/below.csr" -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" -CAcreateserial -days 30 \
    -extfile <(echo basicConstraints=critical,CA:TRUE) -out "$WORK/below.pem" 2>/dev/null
issued one
issued two

# token NAME [line...]: an empty file token.
token() {
    rm -rf "${WORK:?}/$1"
    file_ini "$1"
}

# objects TEXT: what the token holds, sorted, is this.
objects() {
    hsmux list | awk '{ print $1 }' | sed 's|hsm:[a-z]*/||' | sort | tr '\n' ' ' >"$WORK/objects"
    [ "$(cat "$WORK/objects")" = "$1" ] || fail "not '$1' but '$(cat "$WORK/objects")'"
}

# holds NAME: the credential is NAME's key and certificate, and signs.
holds() {
    hsmux status >"$WORK/status" || fail "not usable: $(cat "$WORK/status")"
    openssl x509 -in "$WORK/$1.pem" -noout -pubkey >"$WORK/wanted"
    hsmux cert | openssl x509 -noout -pubkey | cmp -s - "$WORK/wanted" &&
        hsmux csr --subject /CN=x | openssl req -noout -pubkey | cmp -s - "$WORK/wanted"
}

step "key, certificate and chain in one step, under the friendly name; the server believes it"
token soft
packed one "$WORK/one.p12" -name "device one" -passout "pass:$PASSPHRASE"
hsmux import --p12 "$WORK/one.p12" --passphrase-file "$WORK/passphrase" | tee "$WORK/said"
expect "hsm:soft/key/device%20one" <(head -n 1 "$WORK/said")
objects "cert/below cert/device%20one key/device%20one "
holds one
use_provider
hsmux ref --out "$WORK/ref.pem"
hsmux cert --out "$WORK/chain.pem"
[ "$(grep -c BEGIN "$WORK/chain.pem")" = 2 ] || fail "the chain is missing"
start_server
curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/chain.pem" --key "$WORK/ref.pem" "https://127.0.0.1:$PORT/" >"$WORK/page"
expect "Subject: CN=one" "$WORK/page"
unset OPENSSL_CONF

step "the same again wants --replace; another authority's certificate of the same name replaces nothing"
expect_error "--replace replaces it" hsmux import --p12 "$WORK/one.p12" --passphrase-file "$WORK/passphrase"
cp "$WORK/below.pem" "$WORK/below.old"
openssl x509 -req -in "$WORK/below.csr" -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" -CAcreateserial -days 31 \
    -extfile <(echo basicConstraints=critical,CA:TRUE) -out "$WORK/below.pem" 2>/dev/null
packed two "$WORK/two.p12" -passout pass:
hsmux import --p12 --replace "$WORK/two.p12" --label "device one" | tee "$WORK/said"
objects "cert/below cert/below-2 cert/device%20one key/device%20one "
holds two

step "without a friendly name, the common name; empty passphrases of either kind; none at all"
token soft
hsmux import --p12 - <"$WORK/two.p12"
objects "cert/below cert/two key/two "
token soft
packed one "$WORK/bare.p12" -nomac -keypbe NONE -certpbe NONE -passout pass:
hsmux import --p12 "$WORK/bare.p12"
holds one
token soft
"$BUILD/tests/lib/make-p12" "$WORK/null.p12" null "$WORK/one.key" "$WORK/one.pem"
hsmux import --p12 "$WORK/null.p12" --label null
objects "cert/null key/null "
token soft
packed one "$WORK/nomac.p12" -nomac -passout "pass:$PASSPHRASE"
hsmux import --p12 "$WORK/nomac.p12" --passphrase-file - <"$WORK/passphrase"
holds one
token soft
mkfifo "$WORK/keyboard"
timeout 20 script -qefc "hsmux import --p12 '$WORK/one.p12'" /dev/null <"$WORK/keyboard" >"$WORK/terminal" &
exec 9>"$WORK/keyboard"
for _ in $(seq 100); do
    grep -q "passphrase of" "$WORK/terminal" && break
    sleep 0.1
done
echo "$PASSPHRASE" >&9
wait $! || fail "on a terminal: $(cat "$WORK/terminal")"
exec 9>&-
! grep -F "$PASSPHRASE" "$WORK/terminal" || fail "the passphrase was shown"
holds one

step "onto a token that encrypts its keys"
token soft
printf '[token soft]\nplugin = file\ndirectory = %s\npin-file = %s\n' "$WORK/soft" "$(pin_file "$PIN")" >"$WORK/hsmux.conf"
hsmux import --p12 "$WORK/one.p12" --passphrase-file "$WORK/passphrase" --label device
expect "BEGIN ENCRYPTED" "$WORK/soft/device.key"
holds one
packed two "$WORK/two.p12" -passout pass:
hsmux import --p12 --replace "$WORK/two.p12" --label device
holds two

step "files as OpenSSL 1 wrote them"
packed one "$WORK/old.p12" -legacy -passout "pass:$PASSPHRASE"
packed one "$WORK/des.p12" -legacy -certpbe PBE-SHA1-3DES -passout "pass:$PASSPHRASE"
for file in old des; do
    token soft
    hsmux import --p12 "$WORK/$file.p12" --passphrase-file "$WORK/passphrase"
    holds one
done
token soft
OPENSSL_MODULES=$WORK expect_error "legacy provider" hsmux import --p12 "$WORK/old.p12" --passphrase-file "$WORK/passphrase"
objects ""

step "what is wrong is said in one line, and nothing is written"
expect_error "does not open it" hsmux import --p12 "$WORK/one.p12" --passphrase-file "$WORK/wrong"
expect_error "does not open it" hsmux import --p12 "$WORK/nomac.p12" --passphrase-file "$WORK/wrong"
expect_error "does not open it" hsmux import --p12 "$WORK/old.p12" --passphrase-file "$WORK/wrong"
expect_error "there is no terminal" setsid hsmux import --p12 "$WORK/one.p12"
expect_error "it is PEM" hsmux import --p12 "$WORK/one.pem"
head -c 300 "$WORK/one.p12" >"$WORK/cut.p12"
: >"$WORK/empty.p12"
for file in cut empty; do
    expect_error "no PKCS#12 file" hsmux import --p12 "$WORK/$file.p12"
done
expect_error "No such file" hsmux import --p12 "$WORK/lost.p12"
openssl pkcs12 -export -nokeys -in "$WORK/one.pem" -passout pass: -out "$WORK/bad.p12"
expect_error "no private key" hsmux import --p12 "$WORK/bad.p12"
openssl pkcs12 -export -nocerts -inkey "$WORK/one.key" -passout pass: -out "$WORK/bad.p12"
expect_error "no certificate" hsmux import --p12 "$WORK/bad.p12"
"$BUILD/tests/lib/make-p12" "$WORK/bad.p12" null "$WORK/one.key" "$WORK/two.pem"
expect_error "no certificate in it belongs to its private key" hsmux import --p12 "$WORK/bad.p12"
"$BUILD/tests/lib/make-p12" "$WORK/bad.p12" null "$WORK/one.key" "$WORK/two.key" "$WORK/two.pem"
expect_error "holds 2 private keys" hsmux import --p12 "$WORK/bad.p12"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp256k1 -nodes -subj /CN=k1 -keyout "$WORK/k1.key" \
    -out "$WORK/k1.pem" 2>/dev/null
packed k1 "$WORK/bad.p12" -passout pass:
expect_error "of a type" hsmux import --p12 "$WORK/bad.p12"
expect_error "either '--p12'" hsmux import --p12 --secret "$WORK/one.p12"
expect_error "label is empty" hsmux import --p12 --label "" "$WORK/two.p12"
expect_error "there are: 'soft'" setsid hsmux import --p12 "$WORK/one.p12" --token nix
expect_error "extractable" setsid hsmux import --p12 --extractable "$WORK/one.p12"
objects ""

step "a key that cannot be put takes its certificates with it"
mkdir "$WORK/soft/two.key"
HSMUX_LOG=none expect_error "two.key" hsmux import --p12 "$WORK/two.p12"
HSMUX_LOG=none objects ""

step "nor is anything of the old lost then"
token soft
hsmux import --p12 "$WORK/two.p12" --label device
mkdir "$WORK/before" && cp "$WORK/soft"/* "$WORK/before"
openssl genpkey -algorithm ED25519 -out "$WORK/other.key"
(umask 077 && cat "$WORK/other.key" >"$WORK/soft/device.crt") # a second key of that label: which to replace?
packed one "$WORK/new.p12" -passout pass: -name device
expect_error "both hold 'device'" hsmux import --p12 --replace "$WORK/new.p12"
rm "$WORK/soft/device.crt"
diff -r "$WORK/before" "$WORK/soft"
holds two

step "what waits there meanwhile takes no other credential's place"
token soft
hsmux import --p12 "$WORK/two.p12" --label device
hsmux import --p12 "$WORK/one.p12" --passphrase-file "$WORK/passphrase" --label device.replaced
expect_error "give another --label" hsmux import --p12 --replace "$WORK/new.p12" --label device
objects "cert/below cert/below-2 cert/device cert/device.replaced key/device key/device.replaced "

# killed FUNCTION:N COMMAND...: killed before its Nth call of the module's function; false: there are not so many.
killed() {
    local at=$1 status=0
    shift
    { (P11_COUNTER_FAIL=$at:0xdead "$@" >"$WORK/out" 2>&1) || status=$?; } 2>/dev/null
    [ $status != 0 ] || return 1
    [ $status = 137 ] || fail "exit status $status, killed at $at: $(cat "$WORK/out")"
}

# empty_edge: an empty SoftHSM token, counted.
empty_edge() {
    rm -rf "${WORK:?}"/tokens/*
    softhsm_token edge
}

# keep_edge, fresh_edge: remembers the token as it is, and brings it back.
keep_edge() {
    rm -rf "$WORK/kept"
    cp -a "$WORK/tokens" "$WORK/kept"
}

fresh_edge() {
    rm -rf "${WORK:?}"/tokens/*
    cp -a "$WORK/kept"/* "$WORK/tokens"
}

if [ -n "$SOFTHSM" ]; then
    softhsm_token edge
    softhsm_ini edge edge counted

    step "onto a PKCS#11 token: other programs pair key and certificate by their id, and sign with it"
    hsmux import --p12 "$WORK/one.p12" --passphrase-file "$WORK/passphrase" --label device
    objects "cert/below cert/device key/device pubkey/device "
    holds one
    p11() {
        pkcs11-tool --module "$SOFTHSM" --token-label edge --login --pin "$PIN" "$@"
    }
    p11 -O >"$WORK/said" 2>&1
    id=$(openssl x509 -in "$WORK/one.pem" -noout -pubkey | openssl pkey -pubin -outform DER | tail -c 65 |
        openssl dgst -sha1 -r | cut -d' ' -f1)
    [ "$(grep -c "ID: *$id" "$WORK/said")" = 3 ] || fail "not paired: $(cat "$WORK/said")"
    expect "subject:    DN: CN=one" "$WORK/said"
    expect "Access:     sensitive" "$WORK/said"
    echo message >"$WORK/message"
    openssl dgst -sha256 -binary "$WORK/message" >"$WORK/digest"
    p11 --sign --mechanism ECDSA --signature-format openssl --id "$id" --input-file "$WORK/digest" \
        --output-file "$WORK/signature" >/dev/null 2>&1
    openssl x509 -in "$WORK/one.pem" -noout -pubkey >"$WORK/public.pem"
    openssl dgst -sha256 -verify "$WORK/public.pem" -signature "$WORK/signature" "$WORK/message"
    p11 --type cert --label device --read-object -o "$WORK/cert.der" >/dev/null 2>&1
    openssl x509 -in "$WORK/one.pem" -outform DER | cmp - "$WORK/cert.der"
    use_provider
    hsmux ref --out "$WORK/ref.pem"
    curl -sS --cacert "$WORK/ca.pem" --cert "$WORK/chain.pem" --key "$WORK/ref.pem" "https://127.0.0.1:$PORT/" >"$WORK/page"
    expect "Subject: CN=one" "$WORK/page"
    unset OPENSSL_CONF

    step "a module that fails at any object leaves nothing, and of an old credential all"
    empty_edge
    for n in 1 2 3 4; do
        P11_COUNTER_FAIL=C_CreateObject:$n:0x6 expect_error CKR_FUNCTION_FAILED \
            hsmux import --p12 "$WORK/two.p12" --label device
        objects ""
    done
    hsmux import --p12 "$WORK/two.p12" --label device
    keep_edge
    for n in 1 2 3 4; do
        P11_COUNTER_FAIL=C_CreateObject:$n:0x6 expect_error CKR_FUNCTION_FAILED \
            hsmux import --p12 --replace "$WORK/new.p12"
        objects "cert/below cert/device key/device pubkey/device "
        holds two
    done
    P11_COUNTER_FAIL=C_DestroyObject:2:0x1b expect_error "keeps the old private key 'device'" \
        hsmux import --p12 --replace "$WORK/new.p12"
    objects "cert/below cert/device key/device pubkey/device "
    holds two

    step "killed at any object, a first import has left no key or the whole; the same command completes it"
    for n in 1 2 3 4 5; do
        empty_edge
        killed "C_CreateObject:$n" hsmux import --p12 "$WORK/new.p12" || break
        [ "$(hsmux list | grep -c /key/ || true)" = 0 ] || fail "a key, killed at $n"
        hsmux import --p12 "$WORK/new.p12" >/dev/null
        objects "cert/below cert/device key/device pubkey/device "
        holds one
    done
    [ "$n" = 5 ] || fail "killed $n times only"

    step "killed at any object, --replace has left the old or the new credential, or says that both are there"
    for at in C_CreateObject:{1..4} C_DestroyObject:{1..4}; do
        fresh_edge
        killed "$at" hsmux import --p12 --replace "$WORK/new.p12" || fail "not killed at $at"
        if [ "$at" = C_DestroyObject:2 ]; then # the new key is there, and the old one still
            expect_fail "more than one credential" hsmux status
        else
            holds two || holds one || fail "neither, killed at $at: $(cat "$WORK/status")"
        fi
        hsmux import --p12 --replace "$WORK/new.p12" >/dev/null
        objects "cert/below cert/device key/device pubkey/device "
        holds one
    done
    fresh_edge
    ! killed C_DestroyObject:5 hsmux import --p12 --replace "$WORK/new.p12" || fail "there are more objects than four"
fi

# stopped N COMMAND...: killed at its Nth call that could matter to a file; false: there are not so many.
calls=fsync,rename,renameat,renameat2,linkat,unlinkat
stopped() {
    local n=$1 status=0
    shift
    (strace -o "$WORK/trace" -e trace=$calls -e inject=$calls:signal=SIGKILL:when="$n" "$@" >"$WORK/out" 2>&1) \
        2>/dev/null || status=$?
    [ $status != 0 ] || return 1
    [ $status = 137 ] || fail "exit status $status, stopped at $n: $(cat "$WORK/out")"
}

if ! strace -o "$WORK/trace" true 2>/dev/null; then
    echo "strace is not here, or not allowed: nothing is killed"
    exit
fi

# failing N COMMAND...: its Nth fsync fails; false: there are not so many.  A file is there then, that its directory
# could not be synchronised for.
failing() {
    local n=$1
    shift
    strace -o "$WORK/trace" -e trace=fsync -e inject=fsync:error=EIO:when="$n" "$@" >"$WORK/out" 2>&1 || true
    grep -q INJECTED "$WORK/trace"
}

step "a token that fails after it has stored what it was given: nothing, or all of it"
for ((n = 1; ; n++)); do
    token soft
    failing "$n" hsmux import --p12 "$WORK/new.p12" || break
    if hsmux list | grep -q .; then
        objects "cert/below cert/device key/device "
        holds one || fail "neither, fsync $n"
    fi
done
[ $n -gt 5 ] || fail "$n calls only"
for ((n = 1; ; n++)); do
    token soft
    cp -p "$WORK/before"/* "$WORK/soft"
    failing "$n" hsmux import --p12 --replace "$WORK/new.p12" || break
    if holds two; then
        objects "cert/below cert/device key/device "
    else
        holds one || fail "neither, fsync $n: $(ls "$WORK/soft")"
    fi
done
[ $n -gt 6 ] || fail "$n calls only"

step "nor does it when only the certificate is a new one"
openssl x509 -req -in "$WORK/two.csr" -CA "$WORK/below.pem" -CAkey "$WORK/below.key" -CAcreateserial -days 31 \
    -out "$WORK/two.pem" 2>/dev/null
packed two "$WORK/renewed.p12" -passout pass:
for ((n = 1; ; n++)); do
    token soft
    cp -p "$WORK/before"/* "$WORK/soft"
    failing "$n" hsmux import --p12 --replace "$WORK/renewed.p12" --label device || break
    objects "cert/below cert/device key/device "
    holds two
    [ $n -ge 7 ] || diff "$WORK/before/device.pem" "$WORK/soft/device.pem"
done
[ $n -gt 6 ] || fail "$n calls only"

export XDG_RUNTIME_DIR=$WORK # root takes /run
if [ "$(id -u)" != 0 ] || [ -w /run ]; then
    step "two at the same time: the later waits, and nothing is mixed"
    token soft
    cp -p "$WORK/before"/* "$WORK/soft"
    strace -o "$WORK/trace" -e trace=flock -e inject=flock:delay_enter=400000 \
        hsmux import --p12 --replace "$WORK/new.p12" >"$WORK/out" &
    for _ in $(seq 100); do
        cmp -s "$WORK/before/device.pem" "$WORK/soft/device.pem" || break # its key waits now
        sleep 0.1
    done
    hsmux import --p12 --replace "$WORK/two.p12" --label device
    wait $!
    holds two
fi

step "killed at any point, a first import has left no key or the whole; the same command completes it"
token soft
for ((n = 1; ; n++)); do
    rm -f "$WORK/soft"/* "$WORK/soft"/.hsmux-*
    stopped "$n" hsmux import --p12 "$WORK/new.p12" || break
    if hsmux list | grep -q /key/; then
        holds one || fail "a key with another certificate, killed at $n"
    else
        hsmux import --p12 "$WORK/new.p12" >/dev/null
    fi
    objects "cert/below cert/device key/device "
    holds one
done
[ $n -gt 6 ] || fail "killed $n times only"

step "killed at any point, --replace has left the old or the new credential; the same command completes it"
old=0
for ((n = 1; ; n++)); do
    rm -f "$WORK/soft"/* "$WORK/soft"/.hsmux-*
    cp -p "$WORK/before"/* "$WORK/soft"
    stopped "$n" hsmux import --p12 --replace "$WORK/new.p12" || break
    if holds two; then
        old=$n
    else
        holds one || fail "neither, killed at $n: $(ls "$WORK/soft")"
    fi
    hsmux import --p12 --replace "$WORK/new.p12" >/dev/null
    objects "cert/below cert/device key/device "
    holds one
done
if [ $old -le 4 ] || [ $n -le $((old + 1)) ]; then
    fail "killed $n times, the old key was there until $old"
fi
