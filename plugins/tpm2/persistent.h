/* SPDX-License-Identifier: Apache-2.0 */
/* What gets to persistent handles of the owner's, and away from there (TPM2_EvictControl, TPM 2.0 Part 3 §28.5). */
#ifndef TPM_PERSISTENT_H
#define TPM_PERSISTENT_H

#include "token.h"

/* Has it, by its own estimate, room for one more?  HX_E_FULL. */
int tpm_persistent_room(struct tpm_token *);
/* Copies what is loaded to a free handle. */
int tpm_persistent_put(struct tpm_token *, ESYS_TR loaded, TPM2_HANDLE);
int tpm_persistent_drop(struct tpm_token *, TPM2_HANDLE);

#endif
