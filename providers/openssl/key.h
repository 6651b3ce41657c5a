/* SPDX-License-Identifier: Apache-2.0 */
/* A key as OpenSSL holds it: one of a token, or only the public half of somebody else's. */
#ifndef KEY_H
#define KEY_H

#include "keytype.h"

#include <openssl/evp.h>

struct public;
struct rejection;

struct key {
    atomic_uint holders;
    struct provider *provider;
    const struct keytype *type;
    const struct keysize *size; /* NULL: an unusual one, ask key_public() */
    hx_key *hx; /* NULL: public only */
    _Atomic(struct public *) public;
    bool unfinished; /* made by key_parameters(), the public numbers are yet to come */
    _Atomic(struct rejection *) rejection; /* PKCS#1 decryption's (rejection.c) */
};

/* An empty public key, to be filled by key_import(). */
struct key *key_new(struct provider *, const struct keytype *);

/* Takes over the token's key, also when it fails; NULL with the reason raised. */
struct key *key_from_hx(struct provider *, hx_key *);
struct key *key_open(struct provider *, const char *address);

struct key *key_retain(struct key *);
void key_free(struct key *); /* NULL is allowed */

/* The public half as a key of the default provider, the key's own; NULL with the reason raised. */
EVP_PKEY *key_public(struct key *);

/* Known without decoding the public key, which takes a program's first signature a millisecond.  0: the reason is
 * raised. */
int key_signature_max(struct key *);
int key_bits(struct key *);

/* Fills an empty key with public numbers; private ones are refused. */
int key_import(struct key *, const OSSL_PARAM params[]);

/* A public key of the same curve, without a point; key_finish() gives it one, once.  NULL or 0: the type has no
 * parameters, or the reason is raised. */
struct key *key_parameters(struct key *);
int key_finish(struct key *, const OSSL_PARAM params[]);

/* Calls cb with an object reference to the key, for keymgmt's load to take; frees the key if nobody took it. */
int key_hand_over(struct key *, OSSL_CALLBACK *cb, void *arg);

#endif
