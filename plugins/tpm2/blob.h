/* SPDX-License-Identifier: Apache-2.0 */
/* An activation blob, as Azure's device provisioning service sends it: an HMAC key that one TPM alone can unwrap. */
#ifndef TPM_BLOB_H
#define TPM_BLOB_H

#include "token.h"

struct tpm_blob {
    TPM2B_ID_OBJECT credential; /* the inner wrap's key, for the EK, bound to the SRK's name */
    TPM2B_ENCRYPTED_SECRET credential_seed;
    TPM2B_PRIVATE duplicate; /* the HMAC key, in an inner wrap, and an outer one for the SRK */
    TPM2B_ENCRYPTED_SECRET duplicate_seed;
    TPM2B_PUBLIC public;
};

/* HX_E_INVALID: it is none, or it is for another kind of key than HMAC-SHA256's. */
int tpm_blob_parse(struct tpm_token *, const void *data, size_t len, struct tpm_blob *ret);

#endif
