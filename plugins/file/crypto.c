/* SPDX-License-Identifier: Apache-2.0 */
/* The private OSSL_LIB_CTX: the default one might lead a call of ours back into our own provider. */
#include "crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Contexts of before a fork stay in this chain: they cannot be freed, and a leak checker should find them. */
struct context {
    OSSL_LIB_CTX *lib;
    struct context *older;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct context *newest;
static _Atomic(OSSL_LIB_CTX *) current;

static OSSL_LIB_CTX *make_context(void)
{
    struct context *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->lib = OSSL_LIB_CTX_new();
    if (!made->lib) {
        free(made);
        return NULL;
    }
    made->older = newest;
    newest = made;
    return made->lib;
}

OSSL_LIB_CTX *crypto_context(void)
{
    OSSL_LIB_CTX *lib = atomic_load_explicit(&current, memory_order_acquire);
    if (lib)
        return lib;
    pthread_mutex_lock(&lock);
    lib = atomic_load(&current);
    if (!lib) {
        lib = make_context();
        atomic_store_explicit(&current, lib, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return lib;
}

void crypto_forked(void)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    lock = fresh;
    atomic_store(&current, NULL);
}

const char *crypto_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "no reason given";
}
