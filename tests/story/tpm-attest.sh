#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 180
# TPM attestation: endorsement key, storage root key and registration id are what tpm2-tools make and python reckons; a
# blob from the service brings the identity key, which makes the HMACs that openssl makes of the same key; the next blob
# replaces it; a bad one is refused in one line and changes nothing.  On a bare TPM, on one with a maker's certificate,
# on one with a template of its own, and where there are two.  Nothing is left in the TPM, ever.
. "$(dirname "$0")/../lib/story.sh"
. "$ROOT/tests/lib/tpm.sh"

SERVICE=$BUILD/tests/lib/tpm-service
[ -x "$SERVICE" ] || skip "the service is not built: there is no tss2-mu"

# nothing_left: no transient object and no session.
nothing_left() {
    [ -z "$(tpm_left)" ] || fail "left in the TPM: $(tpm_left)"
}

# persistent: the TPM's persistent handles.
persistent() {
    tpm2_getcap handles-persistent | tr -d '\n'
}

# registration_id FILE: of the EK in it.
registration_id() {
    python3 -c 'import sys, base64, hashlib
print(base64.b32encode(hashlib.sha256(open(sys.argv[1], "rb").read()).digest()).decode().lower().rstrip("="))' "$1"
}

# new_key: $WORK/key, of 32 bytes.
new_key() {
    head -c 32 /dev/urandom >"$WORK/key"
}

# blob [FAULT [PART]]: $WORK/blob brings $WORK/key to the TPM that $WORK/ek and $WORK/srk came from.
blob() {
    "$SERVICE" "$WORK/ek" "$WORK/srk" "$WORK/key" "$@" >"$WORK/blob"
}

# makes_hmac SIZE: of so many bytes.
makes_hmac() {
    head -c "$1" /dev/urandom >"$WORK/message"
    hsmux sign hsm:chip/secret/identity --hex <"$WORK/message" >"$WORK/tag"
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(od -An -v -tx1 "$WORK/active" | tr -d ' \n')" "$WORK/message" |
        sed 's/.*= //' | diff - "$WORK/tag" || fail "another HMAC of $1 bytes"
}

# activates [ARGUMENT...]: it takes the blob, and the identity key is $WORK/key from here on.
activates() {
    hsmux tpm activate "$@" >"$WORK/said"
    [ "$(cat "$WORK/said")" = hsm:chip/secret/identity ] || fail "activated: $(cat "$WORK/said")"
    cp "$WORK/key" "$WORK/active"
    makes_hmac 100
    nothing_left
}

# refuses [TEXT]: the blob, in one line, and all is as it was.
refuses() {
    expect_error "${1:-token 'chip': activate: }" hsmux tpm activate "$WORK/blob"
    makes_hmac 100
    nothing_left
}

# read_keys: $WORK/ek and $WORK/srk.
read_keys() {
    hsmux tpm ek --raw --out "$WORK/ek"
    hsmux tpm srk --raw >"$WORK/srk"
    [ "$(wc -c <"$WORK/ek") $(wc -c <"$WORK/srk")" = "316 284" ] || fail "$(wc -c "$WORK/ek" "$WORK/srk")"
}

# other_rsa FILE: the same public area with the modulus of another key.
other_rsa() {
    openssl genrsa 2048 2>/dev/null | openssl rsa -noout -modulus 2>/dev/null | sed 's/.*=//' >"$WORK/modulus"
    python3 - "$1" "$WORK/modulus" <<-'END'
		import sys
		area = open(sys.argv[1], "rb").read()[:-256] + bytes.fromhex(open(sys.argv[2]).read())
		open(sys.argv[1], "wb").write(area)
	END
}

step "no TPM"
file_ini soft
expect_error "did you mean 'hsmux tpm ek'?" hsmux tpm
expect_error "either '--json' or '--raw'" hsmux tpm ek --json --raw
expect_error "either '--json' or '--out'" hsmux tpm srk --json --out "$WORK/out"
for command in ek srk ek-cert registration-id activate; do
    expect_error "no token can do that; there are: 'soft'" hsmux tpm $command </dev/null
    expect_error "; a TPM is one at /dev/tpmrm0, or at the tcti = of a [token] section" hsmux tpm $command </dev/null
    expect_error "token 'soft': plugin 'file' cannot activate: it is no TPM" hsmux tpm $command --token soft </dev/null
    expect_error "no [token lost]" hsmux tpm $command --token lost </dev/null
done

step "a bare TPM"
start_swtpm
tpm_ini chip
hsmux list >/dev/null
[ -z "$(persistent)" ] || fail "a listing made keys: $(persistent)"
expect_error "token 'chip' has no EK certificate in NV 0x01c00002" hsmux tpm ek-cert
! grep -q "hsmux cert" "$WORK/err" || fail "there are no others"

step "the endorsement key is the one that the maker would have certified"
read_keys
nothing_left
tpm2_createek -c "$WORK/ek.ctx" -G rsa -u "$WORK/theirs" >/dev/null
tpm2_flushcontext -t
cmp "$WORK/theirs" "$WORK/ek"
[ "$(hsmux tpm ek)" = "$(base64 -w 0 "$WORK/ek")" ] || fail "$(hsmux tpm ek)"
hsmux tpm ek --json >"$WORK/json"
python3 - "$WORK/json" "$WORK/ek" <<-'END'
	import sys, json, base64
	j = json.load(open(sys.argv[1]))
	assert j == {"token": "chip", "address": "hsm:chip/key/ek",
	             "public": base64.b64encode(open(sys.argv[2], "rb").read()).decode()}, j
END
[ "$(hsmux tpm registration-id)" = "$(registration_id "$WORK/ek")" ] || fail "$(hsmux tpm registration-id)"

step "the storage root key was made once and stays"
tpm2_readpublic -c 0x81000001 -f tss -o "$WORK/theirs" >/dev/null
cmp "$WORK/theirs" "$WORK/srk"
before=$(persistent)
[ "$(hsmux tpm srk --token chip)" = "$(base64 -w 0 "$WORK/srk")" ] || fail "$(hsmux tpm srk)"
[ "$(persistent)" = "$before" ] || fail "it was $before and is $(persistent)"
nothing_left

step "an identity key, and HMACs of any length"
new_key
blob
activates "$WORK/blob"
for size in 0 1 1023 1024 1025 4096 65536; do
    makes_hmac $size
done
hsmux list >"$WORK/said"
grep '^hsm:chip/secret/identity  generic sign-message unreadable$' "$WORK/said" || fail "$(cat "$WORK/said")"
expect_error "made for another scheme or hash" hsmux sign hsm:chip/secret/identity --hash sha1 </dev/null
nothing_left

step "a shared access signature with it"
base64 <"$WORK/active" >"$WORK/secret"
hsmux sas --resource 0ne000A1B2C/registrations/device-1 --policy registration --ttl 60 >"$WORK/sas"
hsmux sas --key hsm:chip/secret/identity --resource x --ttl 60 >"$WORK/plain"
sas_of "$WORK/secret" 0ne000A1B2C/registrations/device-1 "$(sed -n 's/.*&se=\([0-9]*\).*/\1/p' "$WORK/sas")" registration |
    diff - "$WORK/sas"
sas_of "$WORK/secret" x "$(sed -n 's/.*&se=\([0-9]*\).*/\1/p' "$WORK/plain")" | diff - "$WORK/plain"

step "the next one replaces it, as base64 on standard input, in lines or not"
before=$(persistent)
for lines in 0 76; do
    new_key
    blob
    base64 -w $lines <"$WORK/blob" >"$WORK/text"
    activates <"$WORK/text"
    activates - <"$WORK/text" # the same once more
    [ "$(persistent)" = "$before" ] || fail "it was $before and is $(persistent)"
done

step "after a cut between the old key's going and the new one's coming"
tpm2_evictcontrol -C o -c 0x81000100 >/dev/null
expect_error "hsm:chip/secret/identity" hsmux sign hsm:chip/secret/identity </dev/null
activates "$WORK/blob"

step "what is no blob at all"
: >"$WORK/blob"
refuses "'$WORK/blob': is empty"
echo 'no base64!' >"$WORK/blob"
refuses "'$WORK/blob': is neither an activation blob nor the base64 of one"
expect_error "'standard input': is neither" hsmux tpm activate <"$WORK/blob"
expect_error "No such file" hsmux tpm activate "$WORK/lost"
for len in 1 2 64 1000 10000; do
    head -c $len /dev/zero >"$WORK/blob"
    refuses
done
(head -c 1 /dev/zero; head -c 999 /dev/urandom) >"$WORK/blob"
refuses
head -c 1000 /dev/zero | tr '\0' '\377' | base64 >"$WORK/blob"
refuses

new_key
"$SERVICE" >"$WORK/faults"
while read -r fault; do
    [ "$fault" != good ] || continue
    step "$fault"
    blob "$fault"
    refuses
done <"$WORK/faults"

step "each part damaged, lengthened and cut"
for part in 0 1 2 3 4 5; do
    [ $part = 5 ] || { blob flip $part && refuses damaged; } # the last one is the service's own
    blob lengthen $part
    refuses "the activation blob ends within"
    blob cut $part
    refuses "the activation blob ends within"
done

step "ended at any byte, or none at all"
blob
python3 - "$WORK/blob" <<-'END'
	import sys
	from ctypes import CDLL, byref, c_char_p, c_size_t, c_void_p
	library, context, blob = CDLL("libhsmux.so.0"), c_void_p(), open(sys.argv[1], "rb").read()
	library.hx_activate.argtypes = [c_void_p, c_char_p, c_char_p, c_size_t, c_void_p]
	library.hx_free.argtypes = [c_void_p]
	assert library.hx_new(None, byref(context)) == 0
	taken = [size for size in range(len(blob)) if library.hx_activate(context, b"chip", blob[:size], size, None) == 0]
	taken += [size for size in (0, 1, 700) if library.hx_activate(context, b"chip", None, size, None) == 0]
	library.hx_free(context)
	sys.exit("taken: %s" % taken if taken else 0)
END
makes_hmac 100
nothing_left

step "for another TPM"
for key in EK SRK; do
    cp "$WORK/${key,,}" "$WORK/own"
    other_rsa "$WORK/${key,,}"
    blob
    cp "$WORK/own" "$WORK/${key,,}"
    refuses "another $key"
done

step "and a good one is still taken"
blob
activates "$WORK/blob"

step "a storage root key whose place another key has"
tpm2_evictcontrol -C o -c 0x81000001 >/dev/null
tpm_key 0x81000001 ecc
expect_error "at handle 0x81000001 is no storage key: only if it is moved away can the SRK be made" hsmux tpm srk

step "a TPM with a maker's certificate, and with a storage root key that somebody else made"
stop_swtpm
start_swtpm provisioned
tpm_ini chip
tpm2_createprimary -C o -G rsa2048:null:aes128cfb -c "$WORK/srk.ctx" \
    -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt' >/dev/null
tpm2_evictcontrol -c "$WORK/srk.ctx" 0x81000001 >/dev/null
tpm2_flushcontext -t
tpm2_readpublic -c 0x81000001 -f tss -o "$WORK/theirs" >/dev/null
before=$(persistent)
read_keys
[ "$(persistent)" = "$before" ] || fail "it was $before and is $(persistent)"
cmp "$WORK/theirs" "$WORK/srk"
tpm2_readpublic -c 0x81010001 -f tss -o "$WORK/theirs" >/dev/null
cmp "$WORK/theirs" "$WORK/ek"
[ "$(hsmux tpm registration-id)" = "$(registration_id "$WORK/ek")" ] || fail "$(hsmux tpm registration-id)"
hsmux tpm ek-cert --out "$WORK/ek.pem"
hsmux tpm ek-cert --token chip | cmp - "$WORK/ek.pem"
openssl verify -partial_chain -ignore_critical -CAfile "$WORK/tpm-ca/issuercert.pem" "$WORK/ek.pem"
tpm2_readpublic -c 0x81010001 -f pem -o "$WORK/theirs" >/dev/null
openssl x509 -in "$WORK/ek.pem" -noout -pubkey | diff - "$WORK/theirs" || fail "the certificate is another key's"
new_key
blob
activates "$WORK/blob"
makes_hmac 2000

step "that certificate gone, the other one is named"
cp "$WORK/ek" "$WORK/other-ek"
cp "$WORK/blob" "$WORK/other-blob"
if tpm2_nvundefine -C p 0x01c00002 >/dev/null 2>&1; then
    expect_error "token 'chip' has no EK certificate in NV 0x01c00002; 'hsmux cert' prints 'hsm:chip/cert/ek-cert-" \
        hsmux tpm ek-cert
fi

step "two TPMs, the second with a template of its maker's own"
first=$TPM2TOOLS_TCTI
mkdir "$WORK/second"
WORK=$WORK/second start_swtpm
tpm_ini chip
# A unique of size 0, as tpm2_createprimary has it, gives another key than the usual 256 zero bytes do.
head -c 44 "$WORK/ek" | tail -c 32 >"$WORK/policy"
(head -c 58 "$WORK/ek" | tail -c 56; printf '\0\0') >"$WORK/template"
tpm2_createprimary -C e -G rsa2048:null:aes128cfb -L "$WORK/policy" -c "$WORK/ek.ctx" \
    -a 'fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt' >/dev/null
tpm2_readpublic -c "$WORK/ek.ctx" -f tss -o "$WORK/theirs" >/dev/null
tpm2_readpublic -c "$WORK/ek.ctx" -f pem -o "$WORK/theirs.pem" >/dev/null
tpm2_flushcontext -t
! cmp -s "$WORK/theirs" <(hsmux tpm ek --raw) || fail "the template makes the usual key"
make_ca
openssl req -new -key "$WORK/ca.key" -subj /CN=EK -out "$WORK/ek.csr"
openssl x509 -req -in "$WORK/ek.csr" -force_pubkey "$WORK/theirs.pem" -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" \
    -CAcreateserial -outform DER -out "$WORK/certificate" 2>/dev/null
for index in 0x01c00004:template 0x01c00002:certificate; do
    size=$(wc -c <"$WORK/${index#*:}")
    tpm2_nvdefine "${index%:*}" -C o -s "$size" -a 'ownerwrite|ownerread|authread|no_da' >/dev/null
    tpm2_nvwrite "${index%:*}" -C o -i "$WORK/${index#*:}"
done
ini "[token chip]" "plugin = tpm2" "tcti = $TPM2TOOLS_TCTI" "directory = $WORK/chip" \
    "[token other]" "plugin = tpm2" "tcti = $first" "directory = $WORK/other"
mkdir "$WORK/other"
for command in ek srk ek-cert registration-id activate; do
    expect_error "name one; there are: 'chip', 'other'; --token NAME names it" hsmux tpm $command <"$WORK/other-blob"
done
hsmux tpm ek --raw --token other | cmp - "$WORK/other-ek"
hsmux tpm ek --raw --token chip | cmp - "$WORK/theirs"
hsmux tpm ek-cert --token chip >"$WORK/ek.pem"
openssl x509 -in "$WORK/ek.pem" -outform DER | cmp - "$WORK/certificate"
hsmux tpm ek --raw --token chip --out "$WORK/ek"
hsmux tpm srk --raw --token chip --out "$WORK/srk"
blob
activates --token chip "$WORK/blob"
cp "$WORK/other-blob" "$WORK/blob"
expect_error "token 'chip': activate: " hsmux tpm activate --token chip "$WORK/blob"
makes_hmac 100
[ "$(hsmux tpm activate --token other "$WORK/blob")" = hsm:other/secret/identity ]

step "and where one of them does not answer, the other does"
nothing_left
sed -i "s|^tcti = $first|tcti = swtpm:host=127.0.0.1,port=$(free_port)|" "$HSMUX_CONF"
hsmux tpm ek --raw --token chip | cmp - "$WORK/ek"
