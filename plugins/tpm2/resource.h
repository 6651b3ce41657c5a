/* SPDX-License-Identifier: Apache-2.0 */
/* What ESAPI knows of persistent handles.  For one handle it has one ESYS_TR only, and not each of its versions counts
 * who holds it; so that is done here, for all tokens of a TPM. */
#ifndef TPM_RESOURCE_H
#define TPM_RESOURCE_H

#include "token.h"

/* *ret is for tpm_resource_close().  TSS2_RC: of ESAPI. */
TSS2_RC tpm_resource_open(struct tpm *, TPM2_HANDLE, ESYS_TR *ret);
void tpm_resource_close(struct tpm *, ESYS_TR *);

/* What the TPM told of it when it was opened, if nobody had it open before and ESAPI lets it be known; else false, and
 * the TPM has to be asked.  That spares the second of two TPM2_ReadPublic. */
bool tpm_resource_told(struct tpm *, ESYS_TR, TPM2B_PUBLIC *ret_public, TPM2B_NAME *ret_name);

/* The Name that was read just now: is it the one that ESAPI knows, that of when it was opened first? */
bool tpm_resource_is(struct tpm *, ESYS_TR, const TPM2B_NAME *);

/* The handle of what is open was evicted: nobody else who holds it can use it.  If there is somebody, the connection
 * counts as lost from the end of this call of the plugin on. */
void tpm_resource_evicted(struct tpm *, ESYS_TR *);

#endif
