#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Plugins that the loader takes (an older table, a newer one) and those that it refuses, each with one clear error.
. "$(dirname "$0")/../lib/story.sh"

mkdir "$WORK/plugins"
export HSMUX_PLUGINS=$WORK/plugins

# take PLUGIN: into the directory, and into the configuration.
take() {
    rm -rf "$WORK/plugins/$1.so"
    cp "$BUILD/tests/lib/$1.so" "$WORK/plugins"
    chmod 755 "$WORK/plugins/$1.so"
    ini "[token it]" "plugin = $1"
}

for plugin in bad-older bad-newer bad-minor; do
    step "$plugin is taken"
    take $plugin
    expect_error "this plugin never has a device" hsmux list
done

refused() {
    step "$1 is refused"
    take "$1"
    expect_error "$2" hsmux list
}
refused bad-major "made for plugin ABI 2"
refused bad-magic "not a hsmux plugin"
refused bad-cut "its table has"
refused bad-tiny "its table has"
refused bad-callback "lacks one of"
refused bad-entry "hx_plugin_v1"
refused bad-null "gives no table"
refused bad-nameless "no name"
refused bad-alias "other"

step "one that others may write"
take bad-older
chmod 777 "$WORK/plugins/bad-older.so"
expect_error "chmod" hsmux list

step "one in a directory that others may write"
chmod 755 "$WORK/plugins/bad-older.so"
chmod 777 "$WORK/plugins"
expect_error "chmod" hsmux list
chmod 755 "$WORK/plugins"

step "a file that is no library"
echo "not a library" >"$WORK/plugins/text.so"
ini "[token it]" "plugin = text"
expect_error "text.so" hsmux list

step "a directory"
mkdir "$WORK/plugins/folder.so"
ini "[token it]" "plugin = folder"
expect_error "folder.so" hsmux list

step "one that is not there, and a name that wants to climb"
ini "[token it]" "plugin = nosuch"
expect_error "nosuch" hsmux list
ini "[token it]" "plugin = ../plugins/bad-older"
expect_error "../plugins/bad-older" hsmux list
