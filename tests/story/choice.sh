#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 180
# Which credential: the only one, with no INI or on the one configured token; bare keys do not compete; a certificate
# that is not valid yet still counts; of two, an error names both and the lines to choose, which then work.
. "$(dirname "$0")/../lib/story.sh"

make_ca

# Takes the INI lines that the last error showed for LABEL's key, as a user would.
lines_for() {
    grep -E '^ *(\[credential\]|key = )' "$WORK/said" | sed 's/^ *//' | grep -B1 "/$1\$"
}

# issue_dated CSR CERTIFICATE START END: with dates, which only `openssl ca` can give.
issue_dated() {
    mkdir -p "$WORK/ca"
    : >"$WORK/ca/index"
    printf '%s\n' '[ca]' 'default_ca = story' '[story]' "database = $WORK/ca/index" "new_certs_dir = $WORK/ca" \
        "certificate = $WORK/ca.pem" "private_key = $WORK/ca.key" 'rand_serial = yes' 'default_md = sha256' \
        'policy = any' 'unique_subject = no' '[any]' 'commonName = supplied' >"$WORK/ca.conf"
    OPENSSL_CONF=/dev/null openssl ca -batch -config "$WORK/ca.conf" -in "$1" -out "$2" -notext -startdate "$3" \
        -enddate "$4" 2>/dev/null
}

# certify LABEL: another key, with a certificate.
certify() {
    hsmux key generate "$1"
    hsmux csr "$address/key/$1" --subject "/CN=$1" --out "$WORK/$1.csr"
    issue "$WORK/$1.csr" "$WORK/$1.pem"
    hsmux cert import "$WORK/$1.pem"
}

# choose NAME: the story on the only token, which is empty; its address up to /key is learnt from the first key.
choose() {
    local token=$1 address
    step "$token: an empty token has no credential"
    expect_fail "" hsmux status
    expect_error "no credential" hsmux ref
    step "$token: a bare key can make a CSR"
    address=$(hsmux key generate first)
    address=${address%/key/first}
    hsmux csr --subject /CN=first --out "$WORK/first.csr"
    step "$token: a certificate that is not valid yet"
    issue_dated "$WORK/first.csr" "$WORK/first.pem" 20980101000000Z 20990101000000Z
    hsmux cert import "$WORK/first.pem"
    hsmux status | tee "$WORK/said"
    expect "$address/key/first" "$WORK/said"
    expect "not yet valid" "$WORK/said"
    step "$token: a bare key does not compete"
    hsmux key generate spare
    hsmux status >"$WORK/said"
    hsmux cert >"$WORK/chain.pem"
    expect "CN=first" <(openssl x509 -in "$WORK/chain.pem" -noout -subject -nameopt RFC2253)
    step "$token: validity breaks the tie"
    certify second
    hsmux cert | openssl x509 -noout -subject -nameopt RFC2253 >"$WORK/said"
    expect "CN=second" "$WORK/said"
    step "$token: two credentials"
    certify third
    expect_fail "$address/key/second" hsmux ref
    expect "$address/key/third" "$WORK/said"
    expect "[credential]" "$WORK/said"
    expect_fail "$address/key/third" hsmux status
    step "$token: the lines that the error shows"
    lines_for third | tee "$WORK/lines"
    [ -s "$WORK/lines" ] || fail "no lines to copy in: $(cat "$WORK/said")"
}

step "with no INI"
choose "no INI"
hsmux -c "$WORK/lines" cert | openssl x509 -noout -subject -nameopt RFC2253 | tee "$WORK/said"
expect "CN=third" "$WORK/said"

step "with one configured token"
softhsm_token choice
softhsm_ini edge choice
choose edge
cat "$WORK/lines" >>"$WORK/hsmux.conf"
hsmux cert | openssl x509 -noout -subject -nameopt RFC2253 | tee "$WORK/said"
expect "CN=third" "$WORK/said"
