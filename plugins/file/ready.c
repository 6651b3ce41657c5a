/* SPDX-License-Identifier: Apache-2.0 */
/* A small stack of idle contexts under a mutex; as many as threads sign at once, so that none waits for another. */
#include "ready.h"

#include <openssl/evp.h>
#include <string.h>

void ready_init(struct ready *ready)
{
    memset(ready, 0, sizeof *ready);
    pthread_mutex_init(&ready->lock, NULL);
}

void ready_free(struct ready *ready)
{
    for (size_t i = 0; i < ready->count; i++)
        EVP_PKEY_CTX_free(ready->idle[i].ctx);
    pthread_mutex_destroy(&ready->lock);
}

static bool same(const struct ready_context *a, const struct ready_context *b)
{
    return a->scheme == b->scheme && a->hash == b->hash && a->mgf_hash == b->mgf_hash && a->salt_len == b->salt_len;
}

bool ready_take(struct ready *ready, struct ready_context *inout)
{
    bool found = false;
    pthread_mutex_lock(&ready->lock);
    for (size_t i = ready->count; i-- > 0 && !found;) {
        if (!same(&ready->idle[i], inout))
            continue;
        *inout = ready->idle[i];
        ready->idle[i] = ready->idle[--ready->count];
        found = true;
    }
    pthread_mutex_unlock(&ready->lock);
    return found;
}

void ready_give(struct ready *ready, const struct ready_context *context)
{
    EVP_PKEY_CTX *out = context->ctx;
    pthread_mutex_lock(&ready->lock);
    if (ready->count < READY_MAX) {
        ready->idle[ready->count++] = *context;
        out = NULL;
    } else if (!same(&ready->idle[0], context)) {
        /* Full of others: the oldest makes room. */
        out = ready->idle[0].ctx;
        ready->idle[0] = *context;
    }
    pthread_mutex_unlock(&ready->lock);
    EVP_PKEY_CTX_free(out);
}
