/* SPDX-License-Identifier: Apache-2.0 */
/* The storage root key: the persistent key below which others are. */
#ifndef TPM_SRK_H
#define TPM_SRK_H

#include "token.h"

/* Makes it persist at its handle, where something else stays if it is there: tpm_parent_get() takes it from there. */
int tpm_srk_make(struct tpm_token *);

#endif
