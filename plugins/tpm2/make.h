/* SPDX-License-Identifier: Apache-2.0 */
/* New keys: what is wanted, where it goes, and the way there. */
#ifndef TPM_MAKE_H
#define TPM_MAKE_H

#include "object.h"

/* plan.c: what is asked, checked and completed. */
struct tpm_plan {
    uint32_t kind, type;
    uint32_t usage; /* not 0 */
    const char *label; /* NULL: none */
    bool replaces;
    TPM2_HANDLE handle; /* 0: the first that is free */
    const char *file; /* a key file's name in key-files; NULL: it goes to a handle */
    TPM2B_AUTH auth; /* of the new key; for wiping */
};
int tpm_plan(struct tpm_token *, const struct hx_spec *, struct tpm_plan *ret);
int tpm_make_auth(struct tpm_token *, TPM2B_AUTH *ret); /* of whatever is made; for wiping */

/* spot.c: what is in the way of the plan. */
#define TPM_OLD 4
struct tpm_spot {
    TPM2_HANDLE handle; /* where the new key goes first, a free one; 0: into the file */
    TPM2_HANDLE then; /* where it goes afterwards, when what is there has gone; 0: nowhere */
    TPM2_HANDLE old[TPM_OLD]; /* what goes */
    size_t olds;
};
int tpm_spot(struct tpm_token *, const struct tpm_plan *, struct tpm_spot *ret);

/* fresh.c: a key that is loaded below its parent, and is nowhere else yet. */
struct tpm_fresh {
    TPM2_HANDLE parent;
    TPM2B_PUBLIC public;
    TPM2B_PRIVATE private;
    TPM2B_NAME name;
    ESYS_TR tr;
};
int tpm_fresh_create(struct tpm_token *, const struct tpm_plan *, const TPM2B_PUBLIC *template, struct tpm_fresh *ret);
/* public's attributes and unique are complete; the auth value is set here. */
int tpm_fresh_import(struct tpm_token *, const struct tpm_plan *, const TPM2B_PUBLIC *public, const TPMT_SENSITIVE *,
                     struct tpm_fresh *ret);
void tpm_fresh_flush(struct tpm_token *, struct tpm_fresh *);

/* generate.c: attributes; a secret whose HMACs may have any hash, or SHA-256 alone; does it have
 * that curve, that size? */
TPMA_OBJECT tpm_make_usage(uint32_t usage);
void tpm_make_any_hash(TPMT_PUBLIC *);
void tpm_make_one_hash(TPMT_PUBLIC *);
int tpm_make_check_curve(struct tpm_token *, TPM2_ECC_CURVE);
int tpm_make_check_rsa(struct tpm_token *, const TPMT_PUBLIC *);

/* settle.c: gives the key its place and its label, and takes away what it replaces. */
int tpm_settle(struct tpm_token *, const struct tpm_plan *, const struct tpm_fresh *, struct hx_out *ref);
/* Takes the key at a handle away, and its label. */
int tpm_settle_evict(struct tpm_token *, TPM2_HANDLE);

/* What writers that were stopped have left goes, so that it is in nobody's way. */
int tpm_settle_sweep(struct tpm_token *, const struct tpm_plan *);

/* remove.c: may it be removed, or replaced?  If not, says why. */
int tpm_remove_check(struct tpm_token *, TPM2_HANDLE, const TPMT_PUBLIC *);

#endif
