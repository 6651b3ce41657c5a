/* SPDX-License-Identifier: Apache-2.0 */
/* Key files: a key that its TPM has wrapped, in the PEM that the field has agreed upon ("TSS2 PRIVATE KEY"). */
#ifndef TPM_KEYFILE_H
#define TPM_KEYFILE_H

#include <hsmux/plugin.h>
#include <stdbool.h>
#include <tss2/tss2_tpm2_types.h>

enum tpm_keyfile_type { TPM_KEYFILE_KEY, TPM_KEYFILE_SEALED };

struct tpm_keyfile {
    enum tpm_keyfile_type type;
    bool empty_auth; /* false: it wants an auth value */
    TPM2_HANDLE parent; /* persistent; or TPM2_RH_OWNER: see parent.h */
    TPM2B_PUBLIC public;
    TPM2B_PRIVATE private; /* of use to its TPM only */
};

/* The only such block in a text, which may hold others.  HX_E_NOT_FOUND: there is none; HX_E_CONFIG: it is broken;
 * HX_E_UNSUPPORTED: it is of a kind that we do not load.  path: for the reason. */
int tpm_keyfile_parse(const struct hx_host *, const char *path, const void *text, size_t len, struct tpm_keyfile *ret);

/* *ret: text, len bytes and a NUL, for free(). */
int tpm_keyfile_print(const struct hx_host *, const struct tpm_keyfile *, char **ret, size_t *ret_len);

#endif
