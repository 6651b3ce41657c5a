/* SPDX-License-Identifier: Apache-2.0 */
/* The endorsement key for RSA-2048 of the TCG EK Credential Profile: at its handle, or made anew from its template. */
#ifndef TPM_EK_H
#define TPM_EK_H

#include "key.h"

/* Is this, which is at the EK's handle, made from the EK's template?  What is unique is not looked at. */
bool tpm_ek_is(struct tpm_token *, const TPMT_PUBLIC *);

/* Warns, once a token, if there is an EK certificate that is for another key. */
void tpm_ek_check(struct tpm_token *, const TPMT_PUBLIC *);

struct tpm_ek_use {
    ESYS_TR tr;
    struct tpm_key *key; /* NULL: it was made, and has a slot */
};

/* The EK for a command.  *ret is for tpm_ek_put(), at once: a TPM has few slots. */
int tpm_ek_get(struct tpm_token *, struct tpm_ek_use *ret);
void tpm_ek_put(struct tpm_token *, struct tpm_ek_use *);

#endif
