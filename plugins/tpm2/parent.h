/* SPDX-License-Identifier: Apache-2.0 */
/* Storage keys, below which other keys are made and loaded. */
#ifndef TPM_PARENT_H
#define TPM_PARENT_H

#include "key.h"

/* A key file whose parent is the owner hierarchy, not a persistent handle, is loaded below the primary key that
 * TPM2_CreatePrimary makes there from this template, with no auth value, no data and no PCRs: a P-256 storage key, as
 * TCG's templates have it, with an empty unique; tpm2-openssl, tpm2-tss-engine and openssl_tpm2_engine make the same.
 * It is the same key each time, until the owner's seed changes (TPM2_Clear). */
extern const TPM2B_PUBLIC tpm_owner_primary_template;

struct tpm_parent {
    TPM2_HANDLE handle; /* persistent, or TPM2_RH_OWNER: what a key file says of it */
    ESYS_TR tr; /* its auth value is set */
    struct tpm_key *key; /* NULL: the primary key of the owner, which takes a slot */
};

/* handle: a persistent one; TPM2_RH_OWNER: the owner's primary key from the template; 0: the SRK if there is one at its
 * handle, else the owner's primary key.  *ret is for tpm_parent_put(), within the same call of the plugin. */
int tpm_parent_get(struct tpm_token *, TPM2_HANDLE handle, struct tpm_parent *ret);
void tpm_parent_put(struct tpm_token *, struct tpm_parent *);

/* tpm_fail() for a command that the parent authorises. */
int tpm_parent_fail(struct tpm_token *, const struct tpm_parent *, TSS2_RC, const char *what);

#endif
