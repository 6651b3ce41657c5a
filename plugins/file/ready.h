/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts that are initialised for a key and an algorithm, kept from one operation to the next: making one costs a
 * fifth of a P-256 signature. */
#ifndef READY_H
#define READY_H

#include <hsmux/plugin.h>
#include <openssl/types.h>
#include <pthread.h>
#include <stdbool.h>

#define READY_MAX 16

struct ready_context {
    uint32_t scheme, hash, mgf_hash, salt_len;
    EVP_PKEY_CTX *ctx;
};

struct ready {
    pthread_mutex_t lock;
    size_t count;
    struct ready_context idle[READY_MAX];
};

void ready_init(struct ready *);
void ready_free(struct ready *);

/* false: none idle, so make one.  Whoever has taken one gives it back or, when it failed, frees it. */
bool ready_take(struct ready *, struct ready_context *inout);
void ready_give(struct ready *, const struct ready_context *);

#endif
