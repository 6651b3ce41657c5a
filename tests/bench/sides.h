/* SPDX-License-Identifier: Apache-2.0 */
/* Who is compared: each reaches the same two keys of the same module, in a library context of its own. */
#ifndef BENCH_SIDES_H
#define BENCH_SIDES_H

#include "module.h"

#include <openssl/evp.h>

enum kind { P256, RSA2048, KINDS };

/* In the order of the table. */
enum who { RAW, NOTHING, HSMUX, LIBP11, PEER, SIDES };

struct side {
    const char *name; /* NULL: not here */
    OSSL_LIB_CTX *libctx;
    EVP_PKEY *key[KINDS]; /* NULL: the module itself, by C_SignInit and C_Sign */
};

extern struct side sides[SIDES];
extern const char *const key_names[KINDS];

/* $BENCH_MODULE; its control. */
struct bench_control *module_open(void);

void sides_open(void);

/* The two calls themselves need a session for each thread; the others need none, 0. */
unsigned long side_enter(const struct side *);
void side_sign(const struct side *, enum kind, unsigned long session);
void side_leave(const struct side *, unsigned long session);

/* "engine:..." through libp11's engine, "hsm:..." or "pkcs11:..." through OSSL_STORE, else a PEM file. */
EVP_PKEY *side_key(OSSL_LIB_CTX *, const char *where);

#endif
