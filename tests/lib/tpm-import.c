/* SPDX-License-Identifier: Apache-2.0 */
/* tpm-import HANDLE FILE: puts the software key of a PEM file at a persistent handle of $TPM2TOOLS_TCTI's TPM. */
#include "tpm-objects.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *tcti = getenv("TPM2TOOLS_TCTI");
    struct tpm_fixture_key kind = { 0 };
    struct tpm_fixture tpm = { 0 };
    EVP_PKEY *key;
    FILE *file;

    if (argc != 3 || !tcti || strlen(tcti) >= sizeof tpm.tcti)
        return fprintf(stderr, "usage: TPM2TOOLS_TCTI=... tpm-import HANDLE FILE\n"), 2;
    strcpy(tpm.tcti, tcti);
    kind.handle = (TPM2_HANDLE)strtoul(argv[1], NULL, 16);
    file = fopen(argv[2], "r");
    key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (file)
        fclose(file);
    if (!key)
        return fprintf(stderr, "tpm-import: there is no private key in '%s'\n", argv[2]), 1;
    tpm_fixture_import(&tpm, &kind, key);
    EVP_PKEY_free(key);
    return 0;
}
