# SPDX-License-Identifier: Apache-2.0
# What every story starts with: `. "$(dirname "$0")/../lib/story.sh"`.  It gives a private place ($WORK, removed at the
# end), a private environment, tokens, a small CA, servers, and ways to expect success and failure.  Stories run on
# the plain build as installed under $PREFIX; each exits with 0, or 1 (failed), or 77 (skipped).
set -euo pipefail

# Secrets of the tests: distinctive, so that tests/run can look for them in everything that the suite printed.
PIN=73914682
SO_PIN=90817263
WRONG_PIN=46029175
PASSPHRASE=tin-whistle-5183
# shellcheck disable=SC2034
STORY_SECRETS=("$PIN" "$SO_PIN" "$WRONG_PIN" "$PASSPHRASE")
[ "${1-}" != --secrets ] || return 0

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${HSMUX_BUILD:-$ROOT/build/plain}
PREFIX=${HSMUX_PREFIX:-$ROOT/build/prefix}
LIBDIR=$(dirname "$(find "$PREFIX" -name libhsmux.so.0 -print -quit)")
PLUGINDIR=$LIBDIR/hsmux
MODULE=$(find "$PREFIX" -path '*ossl-modules/hsmux.so' -print -quit)
STATEDIR=$PREFIX/var/lib/hsmux
COUNTER=$BUILD/tests/lib/p11-counter.so
SOFTHSM=$(find /usr/lib -name libsofthsm2.so -print -quit)

umask 022
WORK=$(mktemp -d /tmp/hsmux-story.XXXXXX)
chmod 755 "$WORK"
mkdir "$WORK/home" "$WORK/data" "$WORK/tokens"
unset HSMUX_CONF HSMUX_PLUGINS HSMUX_LOG STATE_DIRECTORY CREDENTIALS_DIRECTORY OPENSSL_CONF OPENSSL_MODULES
unset CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR TPM2_PKCS11_STORE TPM2_PKCS11_TCTI TPM2TOOLS_TCTI
export HOME=$WORK/home XDG_DATA_HOME=$WORK/data
export PATH=$PREFIX/bin:$PATH LD_LIBRARY_PATH=$LIBDIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export SOFTHSM2_CONF=$WORK/softhsm2.conf
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$WORK/tokens" >"$SOFTHSM2_CONF"

pids=()
clean_up() {
    local pid
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ -n "${HSMUX_KEEP-}" ]; then
        echo "kept: $WORK"
    else
        rm -rf "$WORK"
    fi
}
trap clean_up EXIT

step() {
    echo "== $*"
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

# expect TEXT FILE: the file holds the text.
expect() {
    grep -qF -- "$1" "$2" || fail "'$1' is not in $2: $(head -c 2000 "$2")"
}

# expect_fail TEXT COMMAND...: it fails by itself, not by a signal or a sanitizer, and says TEXT.
expect_fail() {
    local text=$1 status=0
    shift
    "$@" >"$WORK/out" 2>"$WORK/err" || status=$?
    [ "$status" != 0 ] || fail "should have failed: $*"
    [ "$status" -lt 124 ] || fail "exit status $status of: $*: $(cat "$WORK/err")"
    cat "$WORK/err"
    cat "$WORK/out" "$WORK/err" >"$WORK/said"
    expect "$text" "$WORK/said"
}

# expect_error TEXT COMMAND...: the same, and all it says is one line.
expect_error() {
    expect_fail "$@"
    [ "$(wc -l <"$WORK/err")" = 1 ] || fail "not one line but: $(cat "$WORK/err")"
}

# each_program NAME...: every program of these names in $PATH, each once.
each_program() {
    local program
    type -aP "$@" | while read -r program; do
        echo "$(realpath "$program") $program"
    done | sort -u -k1,1 | cut -d' ' -f2-
}

# public_copy: from here on hsmux is used from a copy that any user can read, as if installed; the checkout may be
# closed to others.
public_copy() {
    cp -a "$PREFIX" "$WORK/prefix"
    cp "$COUNTER" "$WORK/prefix/"
    COUNTER=$WORK/prefix/p11-counter.so
    export PATH=$WORK/prefix/bin:$PATH LD_LIBRARY_PATH=$WORK/prefix${LIBDIR#"$PREFIX"}
    export HSMUX_PLUGINS=$WORK/prefix${PLUGINDIR#"$PREFIX"}
}

# Turns the provider on for every program that starts from here.
use_provider() {
    hsmux openssl-conf >"$WORK/openssl.cnf"
    [ ! -d "$WORK/prefix" ] || sed -i "s|$PREFIX/|$WORK/prefix/|" "$WORK/openssl.cnf"
    export OPENSSL_CONF=$WORK/openssl.cnf
}

# softhsm_token LABEL: a new token with $PIN.
softhsm_token() {
    [ -n "$SOFTHSM" ] || skip "SoftHSM is not installed"
    softhsm2-util --init-token --free --label "$1" --pin "$PIN" --so-pin "$SO_PIN" >/dev/null
}

# pin_file PIN: its path.
pin_file() {
    local file=$WORK/pin-$RANDOM
    (umask 077 && printf '%s\n' "$1" >"$file")
    echo "$file"
}

# ini LINE...: a configuration of these lines, used from here.
ini() {
    printf '%s\n' "$@" >"$WORK/hsmux.conf"
    export HSMUX_CONF=$WORK/hsmux.conf
}

# softhsm_ini NAME LABEL [counted]: a configuration with one SoftHSM token; counted: through the counting module, which
# writes each call to $WORK/calls.
softhsm_ini() {
    local module=$SOFTHSM
    if [ "${3-}" = counted ]; then
        [ -f "$COUNTER" ] || skip "the counting module is not built"
        module=$COUNTER
        export P11_COUNTER_MODULE=$SOFTHSM P11_COUNTER_LOG=$WORK/calls
    fi
    ini "[token $1]" "plugin = pkcs11" "module = $module" "token = $2" "pin-file = $(pin_file "$PIN")"
}

# share_pin GROUP: the configured PIN file stays root's, and that group may read it.
share_pin() {
    local file
    file=$(sed -n 's/^pin-file = //p' "$HSMUX_CONF")
    chgrp "$1" "$file"
    chmod 640 "$file"
}

# signatures: how many the counted token made so far.
signatures() {
    if [ -e "$WORK/tpm.pcap" ]; then
        tpm_commands 0x15d
    else
        grep -c 'C_Sign\b' "$WORK/calls" || true
    fi
}

# signed COUNT COMMAND...: it succeeds, and a token that is counted made at least so many signatures meanwhile.
signed() {
    local least=$1 before made
    shift
    if [ ! -e "$WORK/calls" ] && [ ! -e "$WORK/tpm.pcap" ]; then
        "$@"
        return
    fi
    before=$(signatures)
    "$@"
    made=$(($(signatures) - before))
    [ "$made" -ge "$least" ] || fail "$made signatures of the token, not $least, in: $*"
}

# on_both_tokens FUNCTION: "FUNCTION soft" with a file token; and where there is SoftHSM, "FUNCTION edge" with a counted
# token of it.
on_both_tokens() {
    file_ini soft
    "$1" soft
    [ -n "$SOFTHSM" ] || return 0
    softhsm_token edge
    softhsm_ini edge edge counted
    "$1" edge
}

# private_counter: from here on the counting module lies where only root finds it: who gave up root's rights must not
# need the way to it.
private_counter() {
    mkdir -m 700 "$WORK/private"
    cp "$COUNTER" "$WORK/private/p11-counter.so"
    COUNTER=$WORK/private/p11-counter.so
}

# give_softhsm USER: who may use the SoftHSM tokens from here on; any user's calls are counted, from 0.
give_softhsm() {
    chown -R "$1" "$WORK/tokens"
    : >"$WORK/calls"
    chmod 666 "$WORK/calls"
}

# file_ini NAME: a configuration with one file token in $WORK/NAME.
file_ini() {
    mkdir -p -m 700 "$WORK/$1"
    ini "[token $1]" "plugin = file" "directory = $WORK/$1"
}

# make_ca: $WORK/ca.key and ca.pem, without our provider.
make_ca() {
    OPENSSL_CONF=/dev/null openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
        -subj "/CN=story CA" -addext basicConstraints=critical,CA:TRUE -keyout "$WORK/ca.key" -out "$WORK/ca.pem" 2>/dev/null
}

# issue CSR CERTIFICATE [NAME=VALUE extension]: signed by the CA.
issue() {
    local extensions=$WORK/extensions
    printf '%s\n' "basicConstraints = CA:FALSE" "${3-}" >"$extensions"
    OPENSSL_CONF=/dev/null openssl x509 -req -in "$1" -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" -CAcreateserial \
        -days 30 -extfile "$extensions" -out "$2" 2>/dev/null
}

# make_server: $WORK/server.key and server.pem for 127.0.0.1, a software key.
make_server() {
    OPENSSL_CONF=/dev/null openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 \
        -keyout "$WORK/server.key" -out "$WORK/server.csr" 2>/dev/null
    issue "$WORK/server.csr" "$WORK/server.pem" subjectAltName=IP:127.0.0.1
}

# make_credential TOKEN LABEL [TYPE]: a key on the token and its certificate from the CA, for a client or a server on
# 127.0.0.1, stored there; the certificate is in $WORK/LABEL.pem too.
make_credential() {
    hsmux key generate "$2" --token "$1" --type "${3:-p256}"
    hsmux csr "hsm:$1/key/$2" --subject "/CN=$2" --out "$WORK/$2.csr"
    issue "$WORK/$2.csr" "$WORK/$2.pem" subjectAltName=IP:127.0.0.1
    hsmux cert import "$WORK/$2.pem" --token "$1"
}

# make_referenced TOKEN LABEL [TYPE]: the same, and the key's reference in $WORK/LABEL.ref.
make_referenced() {
    make_credential "$@"
    hsmux ref "hsm:$1/key/$2" --out "$WORK/$2.ref"
}

# Below the ports that the kernel gives to outgoing connections: one of those could take it before the server does.
free_port() {
    local port
    while :; do
        port=$((10000 + RANDOM % 22000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# start NAME COMMAND...: in the background, its output in $WORK/NAME.log, stopped at the end.
start() {
    local name=$1
    shift
    : >"$WORK/$name.log" # or who awaits a line of it could find an older one's
    "$@" >"$WORK/$name.log" 2>&1 </dev/null &
    pids+=($!)
}

# stop: what was started last.
stop() {
    local pid=${pids[-1]}
    unset 'pids[-1]'
    kill "$pid"
    wait "$pid" 2>/dev/null || true # a daemon is no child of ours
}

wait_port() {
    local try
    for try in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    fail "nothing listens on port $1 after $((try / 10)) s: $(tail -n 20 "$WORK"/*.log)"
}

# greeted: does the server on $PORT sign?  How the connection ends later does not matter.
greeted() {
    echo | OPENSSL_CONF=/dev/null timeout 10 openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$WORK/ca.pem" \
        -verify_return_error >"$WORK/answer" 2>&1 || true
    grep -q "^Peer signature type: ECDSA" "$WORK/answer"
}

# load COUNT PARALLEL: so many requests to https://127.0.0.1:$PORT/, each with a handshake of its own; prints how many
# were answered with "signed".
load() {
    seq "$1" | OPENSSL_CONF=/dev/null xargs -P "$2" -I{} curl -sS -m 60 --cacert "$WORK/ca.pem" \
        "https://127.0.0.1:$PORT/" 2>>"$WORK/load.err" | grep -c '^signed$' || true
}

# start_server [openssl s_server option...]: demands a client certificate; its port in $PORT.
start_server() {
    PORT=$(free_port)
    start server env OPENSSL_CONF=/dev/null openssl s_server -accept "127.0.0.1:$PORT" -cert "$WORK/server.pem" \
        -key "$WORK/server.key" -CAfile "$WORK/ca.pem" -Verify 1 -verify_return_error -www "$@"
    wait_port "$PORT"
}

# sas_of KEYFILE RESOURCE EXPIRY [POLICY]: what the shared access signature must be, by python, from the base64 of the
# key itself.
sas_of() {
    python3 - "$@" <<-'END'
		import sys, hmac, hashlib, base64
		from urllib.parse import quote
		key = base64.b64decode(open(sys.argv[1]).read())
		resource, expiry, policy = quote(sys.argv[2], safe=""), sys.argv[3], sys.argv[4:]
		tag = hmac.new(key, (resource + "\n" + expiry).encode(), hashlib.sha256).digest()
		print("SharedAccessSignature sr=%s&sig=%s&se=%s%s" % (resource, quote(base64.b64encode(tag), safe=""), expiry,
		      "".join("&skn=" + quote(name, safe="") for name in policy)))
	END
}
