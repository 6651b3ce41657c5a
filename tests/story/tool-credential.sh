#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From nothing to a credential with the tool alone: key, request, certificate with its chain, status, reference; then a
# renewal; for each type of key.
. "$(dirname "$0")/../lib/story.sh"

make_ca
file_ini soft
(umask 077 && OPENSSL_CONF=/dev/null openssl req -newkey rsa:2048 -nodes -subj /CN=middle -keyout "$WORK/middle.key" \
    -out "$WORK/middle.csr" 2>/dev/null)
OPENSSL_CONF=/dev/null openssl x509 -req -in "$WORK/middle.csr" -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" -CAcreateserial \
    -days 30 -extfile <(echo basicConstraints=critical,CA:TRUE) -out "$WORK/middle.pem" 2>/dev/null

# chain FILE: the leaf's, signed by the one in the middle, with that and the root behind it.
chain() {
    OPENSSL_CONF=/dev/null openssl x509 -req -in "$WORK/request.pem" -CA "$WORK/middle.pem" -CAkey "$WORK/middle.key" \
        -CAcreateserial -days 30 -out "$WORK/leaf.pem" 2>/dev/null
    cat "$WORK/leaf.pem" "$WORK/middle.pem" "$WORK/ca.pem" >"$1"
}

step "a key of each type signs its request, and takes its certificate"
for type in rsa:2048 rsa:3072 p256 p384 p521 ed25519; do
    label=device-${type/:/-}
    address=$(hsmux key generate "$label" --type $type)
    [ "$address" = "hsm:soft/key/$label" ] || fail "address: $address"
    expect_error "$label" hsmux key generate "$label" --type $type
    hsmux csr "$address" --subject "/O=a\\/b/CN=$label" --san DNS:a.example,IP:192.0.2.1 --san URI:urn:x \
        --out "$WORK/request.pem"
    openssl req -in "$WORK/request.pem" -verify -noout -text -nameopt RFC2253 >"$WORK/said" 2>&1
    expect "verify OK" "$WORK/said"
    expect "Subject: CN=$label,O=a/b" "$WORK/said"
    expect "DNS:a.example, IP Address:192.0.2.1, URI:urn:x" "$WORK/said"
    chain "$WORK/chain.pem"
    hsmux cert import "$WORK/chain.pem" | tee "$WORK/said"
    expect "hsm:soft/cert/$label" "$WORK/said"
    hsmux list | tee "$WORK/list" | grep -q "^hsm:soft/key/$label  $type sign" || fail "$(cat "$WORK/list")"
    hsmux cert "hsm:soft/cert/$label" | cmp - <(openssl x509 -in "$WORK/leaf.pem")
    hsmux cert "$address" | cmp - <(openssl x509 -in "$WORK/leaf.pem")
    grep -q "^hsm:soft/cert/$label  $type\$" <(hsmux list) || fail "no type of a certificate: $(hsmux list)"

    step "$type: it is the credential, with its chain, and signs what openssl verifies"
    hsmux status | tee "$WORK/status"
    expect "ok credential       $address" "$WORK/status"
    expect "ok signature        $address" "$WORK/status"
    hsmux cert >"$WORK/printed.pem"
    [ "$(grep -c BEGIN "$WORK/printed.pem")" = 2 ] || fail "no chain: $(cat "$WORK/printed.pem")"
    cmp <(openssl x509 -in "$WORK/printed.pem") <(openssl x509 -in "$WORK/leaf.pem")
    openssl x509 -in "$WORK/leaf.pem" -noout -pubkey >"$WORK/public.pem"
    echo message >"$WORK/message"
    hsmux sign hsm: --out "$WORK/signature" <"$WORK/message"
    case $type in
    ed25519) openssl pkeyutl -verify -rawin -pubin -inkey "$WORK/public.pem" -in "$WORK/message" -sigfile "$WORK/signature" ;;
    p384) openssl dgst -sha384 -verify "$WORK/public.pem" -signature "$WORK/signature" "$WORK/message" ;;
    p521) openssl dgst -sha512 -verify "$WORK/public.pem" -signature "$WORK/signature" "$WORK/message" ;;
    *) openssl dgst -sha256 -verify "$WORK/public.pem" -signature "$WORK/signature" "$WORK/message" ;;
    esac
    hsmux ref | cmp - <(hsmux ref "$address")
    hsmux ref >"$WORK/key.ref"
    expect "BEGIN HSMUX KEY REFERENCE" "$WORK/key.ref"

    step "$type: a renewed certificate wants --replace; its chain is there already"
    chain "$WORK/chain.pem"
    expect_error "$label" hsmux cert import "$WORK/chain.pem"
    [ "$(hsmux cert import --replace "$WORK/chain.pem")" = "hsm:soft/cert/$label" ] || fail "not the leaf alone"
    hsmux cert "hsm:soft/cert/$label" | cmp - <(openssl x509 -in "$WORK/leaf.pem")

    step "$type: without --subject, the request has the credential's name"
    hsmux csr | openssl req -verify -noout -subject 2>&1 | tee "$WORK/said"
    expect "CN = $label" "$WORK/said"
    expect_error "terminal" hsmux remove "hsm:soft/key/$label" </dev/null
    hsmux remove -y "hsm:soft/key/$label"
    hsmux remove -y "hsm:soft/cert/$label"
    ! hsmux list | grep -q "$label" || fail "it is still there"
done

step "RSA with PSS, other hashes, and a digest given"
hsmux key generate rsa --type rsa:2048
hsmux csr hsm:soft/key/rsa --subject /CN=rsa --hash sha512 | openssl req -verify -noout -text 2>&1 | tee "$WORK/said"
expect sha512WithRSAEncryption "$WORK/said"
hsmux csr hsm:soft/key/rsa --subject /CN=rsa | openssl req -noout -pubkey >"$WORK/public.pem"
hsmux sign hsm:soft/key/rsa --pss --hash sha384 <"$WORK/message" >"$WORK/signature"
openssl dgst -sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -verify "$WORK/public.pem" \
    -signature "$WORK/signature" "$WORK/message"
openssl dgst -sha256 -binary "$WORK/message" | hsmux sign hsm:soft/key/rsa --digest --hash sha256 >"$WORK/signature"
openssl dgst -sha256 -verify "$WORK/public.pem" -signature "$WORK/signature" "$WORK/message"
cmp <(hsmux sign hsm:soft/key/rsa --hex <"$WORK/message") <(od -An -v -tx1 "$WORK/signature" | tr -d ' \n'; echo)

step "a certificate that belongs to no key"
OPENSSL_CONF=/dev/null openssl req -x509 -newkey ed25519 -nodes -keyout "$WORK/other.key" -subj /CN=stranger \
    -out "$WORK/other.pem" 2>/dev/null
expect_error "belongs to" hsmux cert import "$WORK/other.pem"
expect "hsm:soft/cert/stranger" <(hsmux cert import --force "$WORK/other.pem")

step "a chain whose certificates share their names: with --replace, too, none takes another's place"
hsmux key generate twin >/dev/null
hsmux csr hsm:soft/key/twin --subject /CN=twin --out "$WORK/request.pem"
chain "$WORK/chain.pem"
for name in twin CA CA; do
    OPENSSL_CONF=/dev/null openssl req -x509 -key "$WORK/other.key" -subj /CN=$name -out "$WORK/$name.pem" 2>/dev/null
    cat "$WORK/$name.pem"
done >"$WORK/names.pem"
cat "$WORK/leaf.pem" "$WORK/names.pem" >"$WORK/chain.pem"
hsmux cert import --replace "$WORK/chain.pem" | tee "$WORK/said"
[ "$(sort -u "$WORK/said" | wc -l)" = 4 ] || fail "one went into another's place: $(cat "$WORK/said")"
hsmux cert hsm:soft/cert/twin | cmp - <(openssl x509 -in "$WORK/leaf.pem")
[ -z "$(hsmux cert import --replace "$WORK/chain.pem" | grep -v '^hsm:soft/cert/twin$')" ] || fail "stored again"

step "a name in the request does not end where a line does"
expect_error "end of line" hsmux csr hsm:soft/key/twin --subject /CN=a --san "$(printf 'DNS:a\nDNS:b')"

step "random bytes"
[ "$(hsmux random 33 | wc -c)" = 33 ] || fail "not 33 bytes"
[ "$(hsmux random 8 --hex | wc -c)" = 17 ] || fail "not 16 digits"
! cmp -s <(hsmux random 32) <(hsmux random 32) || fail "twice the same"
