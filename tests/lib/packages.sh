# SPDX-License-Identifier: Apache-2.0
# The Debian packages that the build, the quickstart and the tests need: the one list, and how they get installed.
# Sourced by tests/run and examples/quickstart/run.

packages_build=(gcc libc6-dev pkg-config meson ninja-build libssl-dev libinih-dev libjansson-dev)
packages_pkcs11=(libp11-dev libp11-kit-dev)
packages_tpm2=(libtss2-dev)
packages_quickstart=(openssl curl)
packages_softhsm=(softhsm2)
packages_tests=(g++ opensc p11-kit binutils clang clang-format clang-tidy cppcheck libcmocka-dev man-db procps util-linux
    strace valgrind systemd build-essential debhelper debootstrap fakeroot)
# The programs that must take our keys.
packages_clients=(haproxy mosquitto mosquitto-clients nginx-light nodejs openvpn postgresql python3 stunnel4)

# A TPM in software, its resource manager, and the other ways to a key in it: an OpenSSL provider, a PKCS#11 module.
packages_swtpm=(swtpm swtpm-tools tpm2-tools tpm2-abrmd libtss2-tcti-tabrmd0 dbus-daemon tpm2-openssl libtpm2-pkcs11-1
    libtpm2-pkcs11-tools)

packages_missing() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

# install_packages ASK PACKAGE...: ASK = yes shows the command and asks first.
install_packages() {
    local ask=$1 answer sudo=()
    shift
    command -v dpkg-query >/dev/null || {
        echo "not a Debian system: please see to it that you have what these packages hold: $*" >&2
        return 0
    }
    local missing
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "as root, please: apt-get install ${missing[*]}" >&2
            return 1
        }
        sudo=(sudo)
        [ "$ask" = yes ] || sudo=(sudo -n)
    fi
    echo "These Debian packages are missing: ${missing[*]}"
    if [ "$ask" = yes ]; then
        read -r -p "Install them with '${sudo[*]:+${sudo[*]} }apt-get install'? [y/N] " answer || answer=
        case $answer in
        [yY]*) ;;
        *) return 1 ;;
        esac
    fi
    "${sudo[@]}" apt-get update -q &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}
