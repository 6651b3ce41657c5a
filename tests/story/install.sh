#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `meson install` leaves where, and that a C program builds against it with pkg-config, and C++ both ways: an
# application and a plugin.
. "$(dirname "$0")/../lib/story.sh"

step "the files"
for file in "$LIBDIR/libhsmux.so.0" "$LIBDIR/libhsmux.so" "$LIBDIR/pkgconfig/hsmux.pc" "$LIBDIR/hsmux/file.so" \
    "$LIBDIR/hsmux/pkcs11.so" "$LIBDIR/hsmux/spyrus.so" "$LIBDIR/hsmux/tpm2.so" \
    "$LIBDIR/ossl-modules/hsmux.so" "$PREFIX/bin/hsmux" "$PREFIX/etc/hsmux/hsmux.conf" \
    "$PREFIX/include/hsmux/types.h" "$PREFIX/include/hsmux/plugin.h" "$PREFIX/include/hsmux/hsmux.h" \
    "$PREFIX/share/man/man1/hsmux.1" "$PREFIX/share/man/man5/hsmux.conf.5" "$PREFIX/share/man/man7/hsmux-provider.7"; do
    [ -e "$file" ] || fail "not installed: $file"
done
for test_only in fake cpp bad p11-counter; do
    [ -z "$(find "$PREFIX" -name "$test_only*.so")" ] || fail "tests are installed: $test_only"
done

step "the installed hsmux.conf is all comments, and valid"
grep -vE '^[;#]|^$' "$PREFIX/etc/hsmux/hsmux.conf" && fail "hsmux.conf sets something"
hsmux -c "$PREFIX/etc/hsmux/hsmux.conf" list

step "a C program through pkg-config"
export PKG_CONFIG_PATH=$LIBDIR/pkgconfig
printf '%s\n' '#include <hsmux/hsmux.h>' '#include <stdio.h>' 'int main(void) { puts(hx_version()); }' >"$WORK/version.c"
# shellcheck disable=SC2046
gcc -std=c99 "$WORK/version.c" -o "$WORK/version" $(pkg-config --cflags --libs hsmux)
expect "$(pkg-config --modversion hsmux)" <("$WORK/version")
[ "$(pkg-config --variable=plugindir hsmux)" = "$LIBDIR/hsmux" ] || fail "plugindir: $(pkg-config --variable=plugindir hsmux)"

step "an application and a plugin in C++"
# shellcheck disable=SC2046
g++ -std=c++17 "$ROOT/tests/lib/app-cpp.cc" -o "$WORK/app" $(pkg-config --cflags --libs hsmux)
mkdir "$WORK/plugins"
for standard in c++11 c++20; do
    # shellcheck disable=SC2046
    g++ -std=$standard -shared -fPIC "$ROOT/tests/lib/plugin-cpp.cc" \
        -o "$WORK/plugins/cpp.so" $(pkg-config --cflags hsmux)
    ini "[token it]" "plugin = cpp"
    HSMUX_PLUGINS=$WORK/plugins "$WORK/app" "$HSMUX_CONF" | tee "$WORK/said"
    expect "written in C++" "$WORK/said"
done
