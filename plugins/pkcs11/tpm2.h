/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be known of tpm2-pkcs11 before it is started. */
#ifndef P11_TPM2_H
#define P11_TPM2_H

#include <stdbool.h>

bool p11_is_tpm2(const char *path);

/* Why this module need not be asked, if it is tpm2-pkcs11 and cannot hold a token; else NULL. */
const char *p11_tpm2_absent(const char *path);

#endif
