#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every listing is JSON on demand, with the fields that the manual names, whatever a label holds.
. "$(dirname "$0")/../lib/story.sh"

# holds EXPRESSION: true of the document j in $WORK/json.
holds() {
    python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$WORK/json" "$1" ||
        fail "not so: $1: $(cat "$WORK/json")"
}

file_ini soft
step "plugins"
hsmux plugins --json >"$WORK/json"
holds 'any(p["name"] == "file" and p["ok"] and p["path"].endswith("/file.so") for p in j["plugins"])'
holds 'set(j) == {"plugins", "error"} and j["error"] is None'
holds 'any(o["name"] == "directory" for p in j["plugins"] if p["name"] == "file" for o in p["options"])'
holds 'all(set(o) == {"name", "help", "preset", "required", "secret", "library"} for p in j["plugins"] for o in p["options"])'

step "nothing there"
hsmux list --json >"$WORK/json"
holds 'j == {"objects": [], "error": None}'
! hsmux status --json >"$WORK/json" || fail "nothing is usable"
holds 'j["usable"] is False and all(set(c) == {"subject", "name", "ok", "problem", "text"} for c in j["checks"])'
holds '[c["ok"] for c in j["checks"] if c["subject"] == "credential"] == [False]'

step "a key with a label of quotes, UTF-8 and a line's end, and one that is no UTF-8"
hsmux key generate "$(printf 'a "key"\\ \303\274\n\001x')" --type rsa:2048
hsmux key generate "$(printf 'latin-\374')"
hsmux list --json >"$WORK/json"
holds 'len(j["objects"]) >= 2 and j["error"] is None'
holds 'set(j["objects"][0]) == {"address", "token", "kind", "type", "bits", "label", "id", "usage", "flags"}'
holds 'any(o["label"] == "a \"key\"\\ ü\n\x01x" and o["type"] == "rsa:2048" and o["bits"] == 2048 for o in j["objects"])'
holds 'all(o["token"] == "soft" and o["address"].startswith("hsm:soft/") and "\n" not in o["address"] for o in j["objects"])'
holds 'all("sign" in o["usage"] for o in j["objects"] if o["kind"] == "key")'
hsmux list --json --token soft | cmp - "$WORK/json"
python3 -c 'import json, sys; [print(o["address"]) for o in json.load(open(sys.argv[1]))["objects"]]' "$WORK/json" |
    while read -r address; do
        hsmux remove -y "$address"
    done
hsmux list --json >"$WORK/json"
holds 'j["objects"] == []'

step "a credential"
make_ca
make_credential soft device
hsmux status --json >"$WORK/json"
holds 'j["usable"] is True'
holds '[c["name"] for c in j["checks"] if c["subject"] == "signature" and c["ok"]] == ["hsm:soft/key/device"]'
hsmux list --json >"$WORK/json"
holds '[o["type"] for o in j["objects"] if o["kind"] == "cert"] == ["p256"]'
! hsmux list | grep -n ' $' || fail "blanks at a line's end"

step "a broken configuration is JSON, too"
ini "[token soft]" "plugin = lost"
! hsmux status --json >"$WORK/json" || fail "nothing is usable"
holds 'j["usable"] is False and j["checks"][0]["subject"] == "configuration" and "lost" in j["checks"][0]["text"]'
! hsmux list --json >"$WORK/json" || fail "nothing can be listed"
holds 'j["objects"] == [] and "lost" in j["error"]'
hsmux plugins --json >"$WORK/json"
holds 'any(p["name"] == "file" and p["ok"] for p in j["plugins"])'
