/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates in NV indexes. */
#ifndef TPM_NVCERT_H
#define TPM_NVCERT_H

#include "object.h"

#define TPM_NVCERT_OLD 8

void tpm_nvcerts_forget(struct tpm_token *); /* what was read of them */

/* Is there a certificate in the index?  HX_E_NOT_FOUND: there is no such index. */
int tpm_nvcert_holds(struct tpm_token *, TPM2_HANDLE, bool *ret);

/* Does one that is shown bear the label there? */
int tpm_nvcert_bears(struct tpm_token *, TPM2_HANDLE, const char *label, bool *ret);

/* nvstore.c: puts one into an index.  What an import of this label that was cut short left behind goes.  HX_E_FULL:
 * there is no room for it; HX_E_EXISTS: that index is taken; HX_E_BUSY: meanwhile another one bears the label. */
struct tpm_nvcert_new {
    const char *label;
    TPM2_HANDLE handle; /* 0: the first that is free */
    TPM2_HANDLE old[TPM_NVCERT_OLD]; /* whose label it is: they are marked as gone, for the caller to remove */
    size_t olds;
    const void *der;
    size_t len;
};
int tpm_nvcert_store(struct tpm_token *, const struct tpm_nvcert_new *, TPM2_HANDLE *ret);
int tpm_nvcert_remove(struct tpm_token *, uint32_t kind, const char *rest);

bool tpm_nvcert_parse_ref(const char *rest, TPM2_HANDLE *ret);
void tpm_nvcert_ref(TPM2_HANDLE, char ret[TPM_REF_SIZE]);

#endif
