# SPDX-License-Identifier: Apache-2.0
# Checks of the sources and of what was built, one function each, sourced by tests/run.  Each prints what is wrong
# and returns 1; 77 with a reason: it cannot be done here.

c_files() {
    find core plugins providers include tools tests examples -name '*.[ch]' -o -name '*.cc'
}

check_format() {
    clang-format --version 2>/dev/null | grep -q 'version 14\.' || {
        echo "clang-format 14 is not here, and another one formats otherwise"
        return 77
    }
    c_files | xargs clang-format --dry-run -Werror
}

# Files of at most 400 lines, functions of at most 60, lines of at most 120 (where clang-format is not told off).
check_sizes() {
    local status=0
    awk 'FNR == 1 { start = 0 }
        FNR == 401 { print FILENAME ": more than 400 lines"; bad = 1 }
        FNR == 1 || /clang-format on/ { wide = 0 }
        /clang-format off/ { wide = 1 }
        { gsub(/[\200-\277]/, "") } # mawk counts bytes
        length($0) > 120 && !wide { print FILENAME ":" FNR ": longer than 120"; bad = 1 }
        /^{/ { start = FNR }
        /^}/ { if (start && FNR - start - 1 > 60) { print FILENAME ":" start ": a function of " FNR - start - 1 " lines"; bad = 1 }
               start = 0 }
        END { exit bad }' $(c_files) || status=1
    return $status
}

check_spdx() {
    local file status=0
    while read -r file; do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || {
            echo "$file: no SPDX line"
            status=1
        }
    done < <(find core plugins providers include tools tests examples .ci etc -type f ! -name '*.md' ! -name '*.pem' ! -name '*.map')
    return $status
}

# foreign PATTERN FILE...: prints the lines that match.
foreign() {
    local pattern=$1
    shift
    [ $# = 0 ] || grep -HnE "$pattern" "$@" || return 0
    [ $# = 0 ]
}

# The arrows: faces, tools and examples -> hsmux.h -> core -> plugin.h <- plugins.
check_includes() {
    local status=0 file name
    mapfile -t faces < <(find providers tools -name '*.[ch]' ! -path tools/check.c)
    mapfile -t plugins < <(find plugins -name '*.[ch]')
    mapfile -t all < <(find core providers plugins tools -name '*.[ch]')
    foreign '#include [<"]hsmux/plugin\.h' "${faces[@]}" || status=1
    foreign '#include [<"]hsmux/hsmux\.h' "${plugins[@]}" || status=1
    foreign '#include [<"][^>"]*\.\./' "${all[@]}" || status=1
    foreign '#include <hsmux/(hsmux|types)\.h' include/hsmux/plugin.h | grep -v 'types\.h' && status=1
    # What is included in quotes lies in the same room.
    for file in "${all[@]}"; do
        while read -r name; do
            [ -f "$(dirname "$file")/$name" ] || {
                echo "$file: '$name' lies in another room"
                status=1
            }
        done < <(sed -n 's/^#include "\(.*\)".*/\1/p' "$file")
    done
    return $status
}

check_headers() {
    local header standard
    for header in include/hsmux/*.h; do
        for standard in c99 c11 c17 c2x; do
            gcc -std=$standard -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c "$header" || return 1
        done
        for standard in c++11 c++14 c++17 c++20; do
            g++ -std=$standard -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ "$header" || return 1
        done
    done
}

symbols() {
    nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | sort -u
}

# The library exports what hsmux.h declares, a plugin its entry, the provider OpenSSL's entry; nothing else.
check_symbols() {
    local status=0 file
    local library plugindir
    library=$(find "$PREFIX" -name libhsmux.so.0 -print -quit)
    plugindir=$(dirname "$library")/hsmux
    diff <(sed 's/hx_crypt hx_sign, hx_decrypt, hx_derive/hx_crypt hx_sign( hx_decrypt( hx_derive(/' include/hsmux/hsmux.h |
        grep '^HX_API' | grep -o 'hx_[a-z0-9_]*(' | tr -d '(' | sort -u) <(symbols "$library" | grep -v '^HSMUX') || status=1
    for file in "$plugindir"/*.so; do
        if ldd -r "$file" 2>&1 | grep 'undefined symbol'; then
            status=1
        fi
        [ "$(symbols "$file" | grep -v '^HSMUX')" = hx_plugin_v1 ] || {
            echo "$file exports: $(symbols "$file" | tr '\n' ' ')"
            status=1
        }
    done
    file=$(find "$PREFIX" -path '*ossl-modules/hsmux.so' -print -quit)
    [ "$(symbols "$file" | grep -v '^HSMUX')" = OSSL_provider_init ] || {
        echo "$file exports: $(symbols "$file" | tr '\n' ' ')"
        status=1
    }
    return $status
}

# A program with its own static OpenSSL 3.0 must be able to load us.
check_openssl_versions() {
    local status=0 file needs seen=' '
    while read -r file; do
        needs=$(objdump -T "$file") || return 1
        if grep -E 'OPENSSL_3\.([1-9]|0\.[1-9])' <<<"$needs"; then
            echo "$file needs more than OpenSSL 3.0.0"
            status=1
        fi
        ! grep -q 'OPENSSL_3\.0\.0' <<<"$needs" || seen+="${file##*/} "
    done < <(find "$PREFIX" -name '*.so' -o -name 'libhsmux.so.*' -type f -o -path '*/bin/hsmux')
    for file in hsmux.so libhsmux.so.0 file.so hsmux; do
        [[ $seen == *" $file"* ]] || {
            echo "$file: not looked at, or it needs no OpenSSL at all"
            status=1
        }
    done
    return $status
}

check_scripts() {
    local file
    while read -r file; do
        bash -n "$file" || return 1
    done < <(grep -rlE '^#!/bin/bash' tests examples .ci; ls tests/lib/*.sh)
}

check_manuals() {
    local file
    command -v man >/dev/null || {
        echo "man is not here"
        return 77
    }
    [ -n "$(find tools -name '*.[1-8]')" ] || {
        echo "no man pages"
        return 1
    }
    for file in $(find tools -name '*.[1-8]'); do
        [ -z "$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Z "$file" 2>&1 >/dev/null | tee /dev/stderr)" ] || return 1
    done
}

# clang sees other mistakes than gcc.
check_clang() {
    command -v clang >/dev/null || {
        echo "clang is not here"
        return 77
    }
    [ -d build/clang ] || CC=clang CXX=clang++ meson setup build/clang -Dtests=true -Dwerror=true || return 1
    ninja -k 0 -C build/clang
}

# Nothing that the suite printed may hold a PIN or a passphrase.
check_secrets() (
    status=0
    . tests/lib/story.sh --secrets
    set +eu
    for secret in "${STORY_SECRETS[@]}"; do
        if grep -rlF -- "$secret" "$LOGS"; then
            echo "these hold the secret that begins with '${secret:0:2}'"
            status=1
        fi
    done
    exit $status
)

# Everything that is not a test.
check_tidy() {
    command -v run-clang-tidy >/dev/null || {
        echo "clang-tidy is not here"
        return 77
    }
    ! run-clang-tidy -quiet -p build/plain "$ROOT/(core|plugins|providers|tools)/.*\\.c\$" 2>&1 | grep -E 'error:|warning:'
}

# Left out: "Memory leak", since cppcheck does not know __attribute__((cleanup)), LeakSanitizer does; and reference.c's
# ASN.1 template, a macro that it cannot read.
check_cppcheck() {
    command -v cppcheck >/dev/null || {
        echo "cppcheck is not here"
        return 77
    }
    cppcheck --quiet --enable=warning,performance,portability --error-exitcode=1 --library=openssl \
        --suppress=missingIncludeSystem --suppress=funcArgOrderDifferent --suppress=memleak --suppress=unknownMacro \
        --file-filter="*core/*" --file-filter="*plugins/*" --file-filter="*providers/*" \
        --file-filter="*tools/*" --project=build/plain/compile_commands.json
}

CHECKS="format sizes spdx includes headers scripts manuals symbols openssl_versions clang tidy cppcheck"
