/* SPDX-License-Identifier: Apache-2.0 */
/* The private library context and the digests fetched in it.  Both are published by compare-and-swap: no lock exists
 * that a fork could leave locked. */
#include "software.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct software {
    struct software *inherited; /* the parent process's: never used again, and never freed */
    unsigned generation;
    OSSL_LIB_CTX *libctx;
    _Atomic(struct digest *) digests;
};

static atomic_uint generation;

static void count_fork(void)
{
    generation++;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

unsigned software_generation(void)
{
    return generation;
}

static struct software *software_new(const struct provider *provider)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct software *software;

    pthread_once(&once, watch_forks);
    software = calloc(1, sizeof(*software));
    if (!software)
        return NULL;
    software->generation = software_generation();
    software->libctx = OSSL_LIB_CTX_new_from_dispatch(provider->core, provider->upcalls);
    if (!software->libctx) {
        free(software);
        return NULL;
    }
    return software;
}

void software_free(struct software *software)
{
    if (!software || software->generation != software_generation())
        return;
    for (struct digest *digest = software->digests, *next; digest; digest = next) {
        next = digest->next;
        EVP_MD_free(digest->md);
        free(digest);
    }
    OSSL_LIB_CTX_free(software->libctx);
    free(software);
}

static struct software *software_get(struct provider *provider)
{
    struct software *current = atomic_load(&provider->software);
    struct software *made;

    while (!current || current->generation != software_generation()) {
        made = software_new(provider);
        if (!made)
            return NULL;
        made->inherited = current;
        if (atomic_compare_exchange_strong(&provider->software, &current, made))
            return made;
        software_free(made);
    }
    return current;
}

OSSL_LIB_CTX *software_libctx(struct provider *provider)
{
    struct software *software = software_get(provider);

    if (!software) {
        error_raise(provider, HX_E_NO_MEMORY, __func__, "no memory for a library context");
        return NULL;
    }
    return software->libctx;
}

static uint32_t hash_of(int nid)
{
    switch (nid) {
    case NID_sha1:
        return HX_SHA1;
    case NID_sha256:
        return HX_SHA256;
    case NID_sha384:
        return HX_SHA384;
    case NID_sha512:
        return HX_SHA512;
    default:
        return 0;
    }
}

static struct digest *digest_new(OSSL_LIB_CTX *libctx, const char *name)
{
    struct digest *digest = calloc(1, sizeof(*digest) + strlen(name) + 1);

    if (!digest)
        return NULL;
    ERR_set_mark();
    digest->md = EVP_MD_fetch(libctx, name, NULL);
    ERR_pop_to_mark();
    if (!digest->md) {
        free(digest);
        return NULL;
    }
    digest->nid = EVP_MD_get_type(digest->md);
    digest->hash = hash_of(digest->nid);
    digest->size = (size_t)EVP_MD_get_size(digest->md);
    memcpy(digest->name, name, strlen(name) + 1);
    return digest;
}

const struct digest *software_digest(struct provider *provider, const char *name)
{
    struct software *software = software_get(provider);
    struct digest *digest;

    if (!software)
        return NULL;
    for (digest = software->digests; digest; digest = digest->next)
        if (!strcmp(digest->name, name))
            return digest;
    digest = digest_new(software->libctx, name);
    if (!digest) {
        error_raise(provider, HX_E_UNSUPPORTED, __func__, "digest '%s': not known", name);
        return NULL;
    }
    digest->next = software->digests;
    while (!atomic_compare_exchange_weak(&software->digests, &digest->next, digest))
        ;
    return digest;
}

BIO *software_bio(struct provider *provider, OSSL_CORE_BIO *core_bio)
{
    OSSL_LIB_CTX *libctx = software_libctx(provider);

    return libctx ? BIO_new_from_core_bio(libctx, core_bio) : NULL;
}
