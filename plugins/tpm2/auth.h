/* SPDX-License-Identifier: Apache-2.0 */
/* The auth value that goes with a command on a key: what the core gave for it, or the empty one. */
#ifndef TPM_AUTH_H
#define TPM_AUTH_H

#include "object.h"

/* A wrong auth value for such a key counts towards lockout (TPM 2.0 Part 1 §19.8). */
bool tpm_is_guarded(const struct tpm_key *);
bool tpm_is_wrong_auth(TSS2_RC);

/* Which auth value to try on a key now, for wiping.  HX_E_LOGIN: the core has to give one first. */
int tpm_auth_prepare(struct tpm_token *, struct tpm_key *, TPM2B_AUTH *ret);
/* Of a storage key: nothing but the empty value is ever tried. */
int tpm_auth_empty(struct tpm_token *, struct tpm_key *);
/* What came of it. */
void tpm_auth_result(struct tpm_key *, const TPM2B_AUTH *, TSS2_RC);
/* Shall the empty value be tried after that? */
bool tpm_auth_try_empty(const struct tpm_key *, const TPM2B_AUTH *, TSS2_RC);
/* As tpm_fail(); given: not without the core's word, who asks again otherwise. */
int tpm_auth_fail(struct tpm_token *, const TPM2B_AUTH *, bool given, TSS2_RC, const char *what);

/* Gives one, for this thread alone until a command has shown that it is right, or this thread settles it. */
int tpm_auth_too_long(struct tpm_token *); /* HX_E_PIN, and why */
int tpm_auth_give(struct tpm_token *, struct tpm_key *, const void *pin, size_t len);
void tpm_auth_settle(struct tpm_key *);

/* The core's word for a key (authorise() in plugin.h): none is sent that would lock the TPM. */
int tpm_authorise(struct tpm_object *, const void *pin, size_t len);

#endif
