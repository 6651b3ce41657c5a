#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What stands in for a provisioning service in other stories makes what a TPM takes: tpm2-tools unwrap its blob and find
# the key in it, and of its bad blobs the TPM refuses what a TPM can tell.
. "$(dirname "$0")/../lib/story.sh"
. "$ROOT/tests/lib/tpm.sh"

SERVICE=$BUILD/tests/lib/tpm-service
[ -x "$SERVICE" ] || skip "the service is not built: there is no tss2-mu"

# split BLOB: its parts, in $WORK, and the two of the credential as tpm2-tools want them.
split() {
    python3 - "$1" "$WORK" <<-'END'
		import sys, struct
		blob, at, parts = open(sys.argv[1], "rb").read(), 0, []
		while at < len(blob):
		    size = 2 + struct.unpack(">H", blob[at:at + 2])[0]
		    parts.append(blob[at:at + size])
		    at += size
		credential = struct.pack(">II", 0xbadcc0de, 1) + parts[0] + parts[1]
		assert len(parts) == 6 and at == len(blob)
		for name, part in zip(["credential", "duplicate", "seed", "public"], [credential] + parts[2:5]):
		    open(sys.argv[2] + "/" + name, "wb").write(part)
	END
}

# unwrap: the key comes into the TPM as $WORK/key.ctx.
unwrap() (
    cd "$WORK" || exit
    tpm2_startauthsession --policy-session -S session
    tpm2_policysecret -S session -c e
    done=0
    tpm2_activatecredential -c 0x81000001 -C 0x81010001 -i credential -o inner -P session:session || done=1
    tpm2_flushcontext session
    [ $done = 0 ] && tpm2_import -C 0x81000001 -i duplicate -u public -k inner -s seed -r private &&
        tpm2_load -C 0x81000001 -u public -r private -c key.ctx
)

start_swtpm
tpm2_createek -c 0x81010001 -G rsa -u "$WORK/ek" >/dev/null
tpm2_createprimary -C o -G rsa2048:null:aes128cfb \
    -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt' -c "$WORK/srk.ctx" >/dev/null
tpm2_readpublic -c "$WORK/srk.ctx" -f tss -o "$WORK/srk" >/dev/null
tpm2_evictcontrol -c "$WORK/srk.ctx" 0x81000001 >/dev/null
tpm2_flushcontext -t

for len in 1 32 64; do
    step "a key of $len bytes"
    head -c $len /dev/urandom >"$WORK/key"
    "$SERVICE" "$WORK/ek" "$WORK/srk" "$WORK/key" >"$WORK/blob"
    split "$WORK/blob"
    unwrap >/dev/null
    tpm2_hmac -c "$WORK/key.ctx" --hex "$0" >"$WORK/tag"
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(od -An -v -tx1 "$WORK/key" | tr -d ' \n')" "$0" |
        sed 's/.*= //' | diff - <(cat "$WORK/tag"; echo)
    tpm2_flushcontext -t
done

# A TPM takes data, and a key of another hash: whoever wants it for signatures has to look.
"$SERVICE" >"$WORK/faults"
[ "$(wc -l <"$WORK/faults")" -ge 10 ]
while read -r fault; do
    step "$fault"
    "$SERVICE" "$WORK/ek" "$WORK/srk" "$WORK/key" "$fault" >"$WORK/blob"
    split "$WORK/blob"
    status=0
    unwrap >"$WORK/out" 2>"$WORK/err" || status=1
    case $fault:$status in
    good:0 | sealed:0 | sha1:0 | restricted:0 | policy:0 | auth:0) ;;
    *:0) fail "the TPM took it" ;;
    good:* | sealed:* | sha1:* | restricted:* | policy:* | auth:*) fail "the TPM refused it: $(cat "$WORK/err")" ;;
    esac
    tpm2_flushcontext -t
done <"$WORK/faults"

for part in 0 1 2 3 4; do
    step "a bit of part $part is inverted"
    "$SERVICE" "$WORK/ek" "$WORK/srk" "$WORK/key" flip $part >"$WORK/blob"
    split "$WORK/blob"
    ! unwrap >"$WORK/out" 2>&1 || fail "the TPM took it"
    tpm2_flushcontext -t
done
