#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 60
# Servers that have become nobody when they sign: nginx, haproxy, stunnel and mosquitto, with a file token and with
# SoftHSM.  Where nobody may use the token they sign; where not, the log says once what to permit, and to whom, however
# little the program itself shows of the reason.  A daemon without stderr says it to syslog.
. "$(dirname "$0")/../lib/story.sh"

[ "$(id -u)" = 0 ] || skip "giving up root's rights wants root"

programs=()
for program in nginx haproxy stunnel4 mosquitto; do
    if PATH=$PATH:/usr/sbin command -v $program >/dev/null; then
        programs+=("$program")
    else
        echo "not tried: $program, which is not installed"
    fi
done
[ ${#programs[@]} -gt 0 ] || skip "none of the servers is installed"

# What each of them reads: $WORK/PROGRAM.conf.  It serves TLS on $PORT.
write_nginx() {
    cat <<EOT
user nobody nogroup;
daemon off;
pid $WORK/nginx.pid;
error_log $WORK/nginx.error;
env SOFTHSM2_CONF;
env P11_COUNTER_MODULE;
env P11_COUNTER_LOG;
events { }
http {
    access_log off;
    client_body_temp_path $WORK/t1;
    proxy_temp_path $WORK/t2;
    fastcgi_temp_path $WORK/t3;
    uwsgi_temp_path $WORK/t4;
    scgi_temp_path $WORK/t5;
    server {
        listen 127.0.0.1:$PORT ssl;
        ssl_certificate $WORK/$TOKEN.pem;
        ssl_certificate_key $WORK/$TOKEN.ref;
    }
}
EOT
}

write_haproxy() {
    cat <<EOT
global
user nobody
group nogroup
nbthread 1
$1
defaults
mode http
timeout client 10s
frontend web
bind 127.0.0.1:$PORT ssl crt $WORK/$TOKEN.both
http-request return status 200
EOT
}

write_stunnel4() {
    cat <<EOT
foreground = yes
pid =
setuid = nobody
setgid = nogroup
[web]
accept = 127.0.0.1:$PORT
exec = /bin/true
cert = $WORK/$TOKEN.pem
key = $WORK/$TOKEN.ref
EOT
}

write_mosquitto() {
    cat <<EOT
listener $PORT 127.0.0.1
user nobody
allow_anonymous true
certfile $WORK/$TOKEN.pem
keyfile $WORK/$TOKEN.ref
log_dest stderr
EOT
}

# serve PROGRAM: what it prints, and what nginx logs, is in $WORK/PROGRAM.log or .error.
serve() {
    local arguments=(-c "$WORK/$1.conf")
    case $1 in
    haproxy) arguments=(-db -f "$WORK/$1.conf") ;;
    stunnel4) arguments=("$WORK/$1.conf") ;;
    esac
    PORT=$(free_port)
    : >"$WORK/$1.error"
    "write_$1" "" >"$WORK/$1.conf"
    start "$1" "$1" "${arguments[@]}"
    wait_port "$PORT"
}

said() {
    cat "$WORK/$1.log" "$WORK/$1.error" >"$WORK/said"
}

# refused PROGRAM TEXT: nobody may not use the token, and the log says TEXT, but not each time.
refused() {
    local try
    serve "$1"
    for try in 1 2 3 4; do
        ! greeted || fail "$1 signed with a token of root's, try $try"
    done
    said "$1"
    expect "hsmux: user 65534: token '$TOKEN': sign: " "$WORK/said"
    expect "$2" "$WORK/said"
    [ "$(grep -c '^hsmux: ' "$WORK/said")" -lt 4 ] || fail "the same each time: $(cat "$WORK/said")"
    grep '^hsmux: ' "$WORK/said"
    stop
}

permitted() {
    serve "$1"
    signed 1 greeted || fail "$1: $(said "$1"; cat "$WORK/said" "$WORK/answer")"
    said "$1"
    ! grep '^hsmux: ' "$WORK/said" || fail "$1 signed, and complains"
    stop
}

# token LABEL
make_token() {
    TOKEN=$1
    make_referenced "$TOKEN" "$TOKEN"
    cat "$WORK/$TOKEN.pem" "$WORK/$TOKEN.ref" >"$WORK/$TOKEN.both"
}

public_copy
make_ca
use_provider

file_ini soft
make_token soft
for program in "${programs[@]}"; do
    step "$program, file token"
    refused "$program" "it belongs to user 0, and this is user 65534: run as its owner, or chown -R 65534 '$WORK/soft'"
    chown -R nobody "$WORK/soft"
    permitted "$program"
    chown -R root "$WORK/soft"
done

if [ -x /usr/sbin/haproxy ]; then
    step "haproxy, a daemon behind a chroot: syslog tells"
    mkdir -p "$WORK/jail/dev"
    cat >"$WORK/syslog.py" <<'EOT'
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
while True:
    print(listener.recv(65536).decode(), flush=True)
EOT
    start syslog python3 "$WORK/syslog.py" "$WORK/jail/dev/log"
    until [ -S "$WORK/jail/dev/log" ]; do sleep 0.1; done
    PORT=$(free_port)
    write_haproxy "chroot $WORK/jail" >"$WORK/haproxy.conf"
    haproxy -D -p "$WORK/haproxy.pid" -f "$WORK/haproxy.conf"
    pids+=("$(cat "$WORK/haproxy.pid")")
    wait_port "$PORT"
    ! greeted || fail "haproxy signed with a token that is not in its chroot"
    stop
    expect "hsmux: user 65534: token 'soft': sign: no object 'hsm:soft/key/soft' in '$WORK/soft' (no /proc here" "$WORK/syslog.log"
fi

softhsm_token edge
softhsm_ini edge edge counted
share_pin nogroup
make_token edge
for program in "${programs[@]}"; do
    step "$program, SoftHSM"
    give_softhsm root
    refused "$program" "(is this user let at the device? SoftHSM: at \$SOFTHSM2_CONF, its tokendir and all in it?)"
    give_softhsm nobody
    permitted "$program"
done
