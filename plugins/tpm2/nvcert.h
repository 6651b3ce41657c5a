/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates in NV indexes. */
#ifndef TPM_NVCERT_H
#define TPM_NVCERT_H

#include "object.h"

void tpm_nvcerts_forget(struct tpm_token *); /* what was read of them */

/* Is there a certificate in the index?  HX_E_NOT_FOUND: there is no such index. */
int tpm_nvcert_holds(struct tpm_token *, TPM2_HANDLE, bool *ret);

/* nvstore.c: puts one into an index, handle 0: the first that is free.  What an import of this label that was cut short
 * left behind goes.  HX_E_FULL: there is no room for it; HX_E_EXISTS: that index is taken. */
int tpm_nvcert_store(struct tpm_token *, const char *label, TPM2_HANDLE handle, const void *der, size_t len,
                     TPM2_HANDLE *ret);
int tpm_nvcert_remove(struct tpm_token *, uint32_t kind, const char *rest);

bool tpm_nvcert_parse_ref(const char *rest, TPM2_HANDLE *ret);
void tpm_nvcert_ref(TPM2_HANDLE, char ret[TPM_REF_SIZE]);

#endif
