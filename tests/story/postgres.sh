#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL: a server whose ssl_key_file is a reference, and psql whose sslkey is one, with a client certificate that
# must fit the user's name (clientcert=verify-full); TLS 1.2 and 1.3, 12 sessions at once, and reloads.
. "$(dirname "$0")/../lib/story.sh"

BIN=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
[ -x "${BIN:-/nowhere}/initdb" ] || skip "PostgreSQL's server is not installed"

# The server does not run as root.
as_user=()
if [ "$(id -u)" = 0 ]; then
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
    public_copy
fi

# gives FILE...: to the user that the server runs as.
gives() {
    [ "$(id -u)" != 0 ] || chown -R nobody:nogroup "$@"
}

# log_has TEXT [TIMES]: the server's log comes to hold it.
log_has() {
    local try
    for try in $(seq 100); do
        [ "$(grep -cF -- "$1" "$WORK/postgres.log")" -lt "${2-1}" ] || return 0
        sleep 0.1
    done
    fail "no '$1' after $((try / 10)) s: $(tail -n 20 "$WORK/postgres.log")"
}

make_cluster() {
    mkdir -m 700 "$WORK/cluster" "$WORK/socket"
    gives "$WORK/cluster" "$WORK/socket" "$WORK/home" "$WORK/data"
    "${as_user[@]}" "$BIN/initdb" -D "$WORK/cluster" -U admin -A trust --no-sync >"$WORK/out" 2>&1 ||
        fail "initdb: $(cat "$WORK/out")"
    printf '%s\n' "local all admin trust" "hostssl all all 127.0.0.1/32 trust clientcert=verify-full" \
        >"$WORK/cluster/pg_hba.conf"
    printf '%s\n' "ssl = on" "ssl_ca_file = '$WORK/ca.pem'" "unix_socket_directories = '$WORK/socket'" "fsync = off" \
        "listen_addresses = '127.0.0.1'" "include '$WORK/key.conf'" >>"$WORK/cluster/postgresql.conf"
}

# with_key LABEL TLS: what the server's configuration is to say.
with_key() {
    printf '%s\n' "ssl_cert_file = '$WORK/$1.pem'" "ssl_key_file = '$WORK/$1.ref'" \
        "ssl_min_protocol_version = 'TLSv1.$2'" "ssl_max_protocol_version = 'TLSv1.$2'" >"$WORK/key.conf"
}

# serves: its port in $PORT.
serves() {
    PORT=$(free_port)
    start postgres "${as_user[@]}" "$BIN/postgres" -D "$WORK/cluster" -p "$PORT"
}

reloads() {
    local before
    before=$(grep -c "received SIGHUP" "$WORK/postgres.log" || true)
    "${as_user[@]}" "$BIN/pg_ctl" -D "$WORK/cluster" reload >"$WORK/out"
    log_has "received SIGHUP" $((before + 1))
    sleep 0.3
}

# psql_as LABEL [USER]: what the server knows of this session.
psql_as() {
    "${as_user[@]}" "$BIN/psql" -XAtq -c "select version, client_dn from pg_stat_ssl where pid = pg_backend_pid()" \
        "host=127.0.0.1 port=$PORT dbname=postgres sslmode=verify-full sslrootcert=$WORK/ca.pem user=${2-$1}
        sslcert=$WORK/$1.pem sslkey=$WORK/$1.ref"
}

# asks LABEL TLS [TIMES]: so many sessions at once.
asks() {
    local i sessions=()
    rm -f "$WORK"/answer-*
    for ((i = 0; i < ${3-1}; i++)); do
        psql_as "$1" >"$WORK/answer-$i" 2>&1 &
        sessions+=($!)
    done
    wait "${sessions[@]}" || true
    [ "$(cat "$WORK"/answer-* | grep -cxF "TLSv1.$2|/CN=$1")" = "${3-1}" ] ||
        fail "psql as $1: $(cat "$WORK"/answer-* "$WORK/postgres.log")"
}

# has_role LABEL: a user of that name, and its key's reference where libpq and the server take it for a private key.
has_role() {
    chmod 600 "$WORK/$1.ref"
    gives "$WORK/$1.ref"
    "${as_user[@]}" "$BIN/psql" -Xq -h "$WORK/socket" -p "$PORT" -U admin -c "create role \"$1\" login" postgres
}

# story TOKEN: the server's key changes with each reload.
story() {
    local type
    for type in rsa:2048 p256; do
        make_referenced "$1" "$1-${type%:*}" "$type"
    done
    gives "$WORK/soft" "$WORK/tokens"
    [ "$1" = soft ] || gives "$(sed -n 's/^pin-file = //p' "$HSMUX_CONF")"
    [ ! -e "$WORK/calls" ] || chmod 666 "$WORK/calls"
    chmod 600 "$WORK/$1"-*.ref
    gives "$WORK/$1"-*.ref
    step "$1: TLS 1.2"
    with_key "$1-p256" 2
    serves
    log_has "ready to accept connections"
    for type in rsa p256; do
        has_role "$1-$type"
        signed 2 asks "$1-$type" 2
    done
    step "$1: TLS 1.3 and another key, after a reload"
    with_key "$1-rsa" 3
    reloads
    for type in rsa p256; do
        signed 2 asks "$1-$type" 3
    done
    signed 24 asks "$1-p256" 3 12
    step "$1: a reload with 12 sessions under way"
    (reloads) &
    signed 24 asks "$1-p256" 3 12
    wait $!
    stop
}

make_ca
use_provider
make_cluster
on_both_tokens story

file_ini soft
with_key soft-p256 3
serves
log_has "ready to accept connections"

step "psql, told by its environment"
PGSSLCERT=$WORK/soft-rsa.pem PGSSLKEY=$WORK/soft-rsa.ref "${as_user[@]}" "$BIN/psql" -XAtqc "select 'in'" \
    "host=127.0.0.1 port=$PORT dbname=postgres user=soft-rsa sslmode=require" >"$WORK/answer"
expect in "$WORK/answer"

step "the certificate is somebody else's"
expect_fail "authentication failed" psql_as soft-p256 soft-rsa

step "a reference that others may read is refused as a key would be: the server keeps the old one, psql gives up"
chmod 644 "$WORK/soft-rsa.ref"
with_key soft-rsa 2
reloads
log_has "has group or world access"
grep -F "has group or world access" "$WORK/postgres.log"
expect_fail "has group or world access" psql_as soft-rsa
chmod 600 "$WORK/soft-rsa.ref"

step "without the provider, the reference is no key"
OPENSSL_CONF=/dev/null expect_fail "could not load private key file" psql_as soft-rsa

if [ "$(id -u)" = 0 ]; then
    step "the server's user may not reach the token"
    stop
    chown root "$WORK/soft"
    serves
    log_has "ready to accept connections"
    expect_fail "SSL error" psql_as soft-p256
    log_has "belongs to user 0, and this is user"
    grep "^hsmux: " "$WORK/postgres.log"
fi
