/* SPDX-License-Identifier: Apache-2.0 */
/* What a TPM's maker has left of the EK in NV indexes (TCG EK Credential Profile v2.5 §2.2.1.4). */
#ifndef TPM_EKNV_H
#define TPM_EKNV_H

#include "token.h"

#define TPM_NV_EK_CERT 0x01c00002u
#define TPM_NV_EK_NONCE 0x01c00003u
#define TPM_NV_EK_TEMPLATE 0x01c00004u

/* All of an index that has at most max bytes; *ret is for free().  HX_E_NOT_FOUND: there is none that we could read. */
int tpm_eknv_read(struct tpm_token *, TPM2_HANDLE, size_t max, unsigned char **ret, size_t *ret_len);

enum tpm_ek_fit { TPM_EK_UNCERTIFIED, TPM_EK_FITS, TPM_EK_OTHER };

/* Is the certificate for this RSA key?  TPM_EK_UNCERTIFIED: there is none, or it cannot be read. */
enum tpm_ek_fit tpm_eknv_certifies(struct tpm_token *, const TPMT_PUBLIC *);

#endif
