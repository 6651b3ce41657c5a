#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# openssl ca, its key on the token: a root, certificates that it issues, one of them revoked, and the revocation list;
# all checked without our provider.
. "$(dirname "$0")/../lib/story.sh"

plain() {
    OPENSSL_CONF=/dev/null openssl "$@"
}

# ca OPTION...: with the CA in $dir, whose key is $dir.ref unless -keyfile says otherwise.
ca() {
    openssl ca -batch -config "$dir/ca.cnf" "$@" 2>"$WORK/err" || fail "ca $*: $(cat "$WORK/err")"
}

# founds DIRECTORY: an empty CA.
founds() {
    dir=$1
    mkdir -p "$dir/issued"
    : >"$dir/index"
    cat >"$dir/ca.cnf" <<EOT
[ ca ]
default_ca = story
[ story ]
database = $dir/index
new_certs_dir = $dir/issued
rand_serial = yes
crlnumber = $dir/crlnumber
certificate = $dir/ca.pem
private_key = $dir.ref
default_md = default
default_days = 2
default_crl_days = 2
policy = any
x509_extensions = leaf
crl_extensions = list
[ any ]
commonName = supplied
[ root ]
basicConstraints = critical,CA:TRUE
keyUsage = keyCertSign,cRLSign
subjectKeyIdentifier = hash
[ leaf ]
basicConstraints = CA:FALSE
authorityKeyIdentifier = keyid
[ list ]
authorityKeyIdentifier = keyid
EOT
    echo 01 >"$dir/crlnumber"
}

# root: its own certificate, by ca -selfsign.
root() {
    openssl req -new -key "$dir.ref" -subj "/CN=story root" -out "$dir/root.csr"
    ca -selfsign -extensions root -in "$dir/root.csr" -out "$dir/ca.pem" -notext
    plain verify -CAfile "$dir/ca.pem" "$dir/ca.pem" >"$WORK/out"
}

# issues NAME OPTION...: a certificate of a software key.
issues() {
    local name=$1
    shift
    plain req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$dir/$name.key" \
        -out "$dir/$name.csr" 2>/dev/null
    ca -in "$dir/$name.csr" -out "$dir/$name.pem" -notext "$@"
    plain verify -CAfile "$dir/ca.pem" "$dir/$name.pem" >"$WORK/out"
    expect "OK" "$WORK/out"
}

# revokes NAME: the list that the CA signs then holds it.
revokes() {
    ca -revoke "$dir/$1.pem"
    ca -gencrl -out "$dir/list.pem"
    plain crl -in "$dir/list.pem" -CAfile "$dir/ca.pem" -noout -text >"$WORK/out" 2>&1
    expect "verify OK" "$WORK/out"
    expect_fail "certificate revoked" plain verify -crl_check -CRLfile "$dir/list.pem" -CAfile "$dir/ca.pem" \
        "$dir/$1.pem"
}

# story TOKEN
story() {
    local type address dir
    for type in p256 rsa:2048 ed25519; do
        step "$1: a CA's $type key"
        address=hsm:$1/key/root-${type%:*}
        hsmux key generate "root-${type%:*}" --token "$1" --type "$type"
        founds "$WORK/$1-${type%:*}"
        hsmux ref "$address" --out "$dir.ref"
        signed 2 root
        signed 1 issues by-reference
        signed 1 issues by-address -keyfile "$address"
        signed 1 revokes by-reference
        plain verify -crl_check -CRLfile "$dir/list.pem" -CAfile "$dir/ca.pem" "$dir/by-address.pem" >"$WORK/out"
    done
}

use_provider
on_both_tokens story

step "without the provider, the reference is no key"
dir=$WORK/soft-p256
expect_fail "Could not read CA private key" env OPENSSL_CONF=/dev/null openssl ca -batch \
    -config "$dir/ca.cnf" -gencrl

step "another key than the CA's"
file_ini soft
expect_fail "CA certificate and CA private key do not match" openssl ca -batch -config "$dir/ca.cnf" \
    -keyfile "$WORK/soft-rsa.ref" -gencrl

step "the key is gone"
hsmux remove hsm:soft/key/root-p256 --yes
expect_fail "no object 'hsm:soft/key/root-p256'" openssl ca -batch \
    -config "$dir/ca.cnf" -gencrl
