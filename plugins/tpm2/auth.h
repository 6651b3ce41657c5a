/* SPDX-License-Identifier: Apache-2.0 */
/* The auth value that goes with a command on a key: what the core gave for it, or the empty one. */
#ifndef TPM_AUTH_H
#define TPM_AUTH_H

#include "object.h"

/* A wrong auth value for such a key counts towards lockout (TPM 2.0 Part 1 §19.8). */
bool tpm_is_guarded(const struct tpm_key *);
bool tpm_is_wrong_auth(TSS2_RC);

/* HX_E_LOGIN: the core has to give one first.  *ret is to be wiped. */
int tpm_auth_of(struct tpm_token *, struct tpm_key *, TPM2B_AUTH *ret);

/* Gives one, for this thread alone until a command has shown that it is right. */
int tpm_auth_give(struct tpm_token *, struct tpm_key *, const void *pin, size_t len);
void tpm_auth_forget(struct tpm_key *);

/* What the answer to a command with that auth value says of it; returns as tpm_fail(). */
int tpm_auth_result(struct tpm_token *, struct tpm_key *, const TPM2B_AUTH *, TSS2_RC, const char *what);

/* The core's word for a key (authorise() in plugin.h): none is sent that would lock the TPM. */
int tpm_authorise(struct tpm_object *, const void *pin, size_t len);

#endif
