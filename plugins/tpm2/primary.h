/* SPDX-License-Identifier: Apache-2.0 */
/* Primary keys: a TPM makes the same one from the same template, as long as its hierarchy's seed lasts. */
#ifndef TPM_PRIMARY_H
#define TPM_PRIMARY_H

#include "token.h"

/* Makes one without an auth value below ESYS_TR_RH_OWNER or ESYS_TR_RH_ENDORSEMENT.  *ret is for Esys_FlushContext().
 */
int tpm_primary_make(struct tpm_token *, ESYS_TR hierarchy, const TPM2B_PUBLIC *template, ESYS_TR *ret,
                     TPM2B_PUBLIC *ret_public);

#endif
