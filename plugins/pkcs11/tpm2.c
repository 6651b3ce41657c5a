/* SPDX-License-Identifier: Apache-2.0 */
/* tpm2-pkcs11 registers itself with p11-kit when its package is installed.  Started, it makes a store in the home
 * directory, tries one way to a TPM after the other, down to whoever listens on port 2321, and its libraries write each
 * failure to stderr.  Where it can hold no token, nobody who did not name it wants that. */
#include "tpm2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_store(const char *directory, const char *below)
{
    char path[4096];
    int len = directory ? snprintf(path, sizeof path, "%s%s/tpm2_pkcs11.sqlite3", directory, below) : -1;

    return len > 0 && (size_t)len < sizeof path && access(path, R_OK) == 0;
}

/* The module looks into the current directory too, which is nobody's. */
static bool has_store(void)
{
    return getenv("TPM2_PKCS11_BACKEND") || is_store(getenv("TPM2_PKCS11_STORE"), "") ||
           is_store("/etc/tpm2_pkcs11", "") || is_store(getenv("HOME"), "/.tpm2_pkcs11");
}

bool p11_is_tpm2(const char *path)
{
    const char *name = strrchr(path, '/');

    name = name ? name + 1 : path;
    return !strncmp(name, "libtpm2_pkcs11.so", strlen("libtpm2_pkcs11.so"));
}

const char *p11_tpm2_absent(const char *path)
{
    bool device;

    if (!p11_is_tpm2(path))
        return NULL;
    if (!has_store())
        return "it has no store of tokens that this user can read";
    if (getenv("TPM2_PKCS11_TCTI"))
        return NULL;
    if (access("/dev/tpmrm0", R_OK | W_OK) == 0 || access("/dev/tpm0", R_OK | W_OK) == 0)
        return NULL;
    device = access("/dev/tpmrm0", F_OK) == 0 || access("/dev/tpm0", F_OK) == 0;
    return device ? "no permission on /dev/tpmrm0 (group tss)" : "there is no TPM, and TPM2_PKCS11_TCTI names none";
}
