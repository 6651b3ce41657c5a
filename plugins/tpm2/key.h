/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of a TPM: at a persistent handle, or loaded from a key file.  All under the TPM's lock. */
#ifndef TPM_KEY_H
#define TPM_KEY_H

#include "token.h"

struct tpm_key {
    struct tpm_key *next; /* of the token's recent ones */
    unsigned refs;
    int64_t until; /* CLOCK_MONOTONIC, ms: so long it counts as recent */
    TPM2_HANDLE handle; /* persistent; 0: of a key file */
    ESYS_TR tr; /* ESYS_TR_NONE: not loaded */
    TPM2B_PUBLIC public;
    TPM2B_NAME name; /* hash algorithm and digest of the public area (Part 1 §16) */
    bool wants_auth; /* its auth value was seen not to be empty; that a file says so is not always true */
    bool no_auth; /* it is empty: its file says so */
    enum tpm_auth_state { TPM_AUTH_NONE, TPM_AUTH_GIVEN, TPM_AUTH_PROVEN } auth_state; /* of auth: see auth.h */
    pthread_t auth_by; /* who gave it */
    TPM2B_AUTH auth;
    struct tpm_keyfile *file; /* what it is loaded from; NULL: a persistent key */
    TPMS_CONTEXT *saved; /* of a key file's key for when it has no slot; NULL: none */
};

/* A key that nobody else holds yet; NULL: out of memory. */
struct tpm_key *tpm_key_new(void);
/* The key at a persistent handle; *ret is for tpm_key_release().  HX_E_NOT_FOUND: there is none. */
int tpm_key_at(struct tpm_token *, TPM2_HANDLE, struct tpm_key **ret);
/* The same for a handle that the TPM has just listed, which need not be asked for again. */
int tpm_key_listed(struct tpm_token *, TPM2_HANDLE, struct tpm_key **ret);
struct tpm_key *tpm_key_retain(struct tpm_key *);
void tpm_key_release(struct tpm_token *, struct tpm_key *); /* NULL is allowed */
void tpm_keys_forget(struct tpm_token *); /* the recent ones */
int64_t tpm_now_ms(void); /* CLOCK_MONOTONIC */

/* public.c: what a public area says of a key.  false: no key of a kind that we show. */
bool tpm_public_facts(const TPMT_PUBLIC *, struct hx_object *ret);
int tpm_public_put(const TPMT_PUBLIC *, struct hx_out *); /* enum hx_part HX_PUBLIC */
/* A number, with the leading zeroes up to width that a TPM may leave out. */
int tpm_put_number(struct hx_out *, const unsigned char *data, size_t len, size_t width);
TPM2_ALG_ID tpm_hash_of(uint32_t hash); /* TPM2_ALG_NULL: not one of a TPM's */
TPM2_ALG_ID tpm_hash_of_size(size_t size);
size_t tpm_hash_size(TPM2_ALG_ID); /* 0: it is none of ours */
TPM2_ECC_CURVE tpm_curve_of(uint32_t type); /* TPM2_ECC_NONE */
size_t tpm_curve_width(TPM2_ECC_CURVE);

/* use.c: runs a command with the key loaded and authorised.  It is run once more if the key had to be loaded anew, room
 * to be made for it, or another auth value to be tried: it leaves nothing behind when it fails. */
struct tpm_use {
    struct tpm_token *token;
    ESYS_CONTEXT *esys;
    ESYS_TR key, session;
};
typedef TSS2_RC tpm_command(const struct tpm_use *, void *arg);
int tpm_use(struct tpm_token *, struct tpm_key *, tpm_command *, void *arg, const char *what);

#endif
