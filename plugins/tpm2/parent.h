/* SPDX-License-Identifier: Apache-2.0 */
/* The primary key below which key files are that name no other parent. */
#ifndef TPM_PARENT_H
#define TPM_PARENT_H

#include <tss2/tss2_tpm2_types.h>

/* A key file whose parent is the owner hierarchy, not a persistent handle, is loaded below the primary key that
 * TPM2_CreatePrimary makes there from this template, with no auth value, no data and no PCRs: a P-256 storage key, as
 * TCG's templates have it, with an empty unique; tpm2-openssl, tpm2-tss-engine and openssl_tpm2_engine make the same.
 * It is the same key each time, until the owner's seed changes (TPM2_Clear). */
extern const TPM2B_PUBLIC tpm_owner_primary_template;

#endif
