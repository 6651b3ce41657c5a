/* SPDX-License-Identifier: Apache-2.0 */
/* What keys and NV indexes are called: by the file of labels, or by what their handle is known for. */
#ifndef TPM_LABEL_H
#define TPM_LABEL_H

#include "key.h"

#define TPM_LABEL_SIZE 256

#define TPM_HANDLE_SRK 0x81000001u
#define TPM_HANDLE_EK 0x81010001u
#define TPM_HANDLE_IDENTITY 0x81000100u

/* false: it has none. */
bool tpm_label_of(struct tpm_token *, const struct tpm_key *, char ret[TPM_LABEL_SIZE]);

/* Could what is at the handle be called so?  Told without looking at it. */
bool tpm_label_may_be(struct tpm_token *, TPM2_HANDLE, const char *label);

#endif
