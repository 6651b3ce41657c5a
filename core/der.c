/* SPDX-License-Identifier: Apache-2.0 */
/* Small tools around libcrypto, and the one private library context.  Algorithms are taken from nowhere else: in the
 * default context they might come from our own provider, which would call us again. */
#include "der.h"

#include "encode.h"
#include "error.h"

#include <limits.h>
#include <openssl/asn1t.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct library {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider;
    unsigned forks; /* how many forks lay between the first process and its maker */
    struct library *inherited; /* kept in sight of leak checkers, never used again */
};

static _Atomic(struct library *) current;
static atomic_uint forks;
static pthread_once_t watching = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

static void library_free(struct library *library)
{
    OSSL_PROVIDER_unload(library->provider);
    OSSL_LIB_CTX_free(library->context);
    free(library);
}

static struct library *library_new(struct library *inherited)
{
    struct library *library = calloc(1, sizeof *library);

    if (!library)
        return NULL;
    library->context = OSSL_LIB_CTX_new();
    /* The default provider is compiled in and needs no path; no other one is ever to be found from here. */
    if (!library->context || !OSSL_PROVIDER_set_default_search_path(library->context, "/dev/null") ||
        !(library->provider = OSSL_PROVIDER_load(library->context, "default"))) {
        library_free(library);
        return NULL;
    }
    library->forks = atomic_load(&forks);
    library->inherited = inherited;
    return library;
}

void *encode_libctx(void)
{
    AUTO_ERRORS mark = ERR_set_mark();
    struct library *found, *made;

    pthread_once(&watching, watch_forks);
    found = atomic_load(&current);
    while (!found || found->forks != atomic_load(&forks)) {
        if (!(made = library_new(found)))
            return NULL;
        if (atomic_compare_exchange_strong(&current, &found, made))
            return made->context;
        library_free(made);
    }
    return found->context;
}

void *der_decode(const void *der, size_t len, const ASN1_ITEM *item)
{
    const unsigned char *at = der;
    ASN1_VALUE *value;

    if (!der || !len || len > INT_MAX)
        return NULL;
    value = ASN1_item_d2i(NULL, &at, (long)len, item);
    if (value && at != (const unsigned char *)der + len) {
        ASN1_item_free(value, item);
        return NULL;
    }
    return value;
}

int der_encode(const void *value, const ASN1_ITEM *item, struct hx_bytes *ret)
{
    AUTO_BYTES struct hx_bytes made = { 0 };
    unsigned char *der = NULL;
    int result, len = ASN1_item_i2d(value, &der, item);

    if (len <= 0)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    result = bytes_append(&made, der, (size_t)len);
    OPENSSL_free(der);
    if (!result)
        bytes_move(ret, &made);
    return result;
}

int der_to_pem(const char *label, const void *der, size_t len, struct hx_bytes *ret)
{
    int result = HX_E_NO_MEMORY;
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long text_len;

    if (bio && len <= INT_MAX && PEM_write_bio(bio, label, "", der, (long)len) &&
        (text_len = BIO_get_mem_data(bio, &text)) > 0)
        result = bytes_append(ret, text, (size_t)text_len);
    else
        hx_error(HX_E_NO_MEMORY, "out of memory");
    BIO_free(bio);
    return result;
}

int der_text(const ASN1_STRING *string, const char *what, struct hx_bytes *ret)
{
    AUTO_BYTES struct hx_bytes made = { 0 };
    unsigned char *text = NULL;
    int result, len = ASN1_STRING_to_UTF8(&text, string);

    if (len < 0)
        return hx_error(HX_E_INVALID, "%s is not valid text", what);
    if (memchr(text, '\0', (size_t)len))
        result = hx_error(HX_E_INVALID, "%s holds a NUL", what);
    else
        result = bytes_append(&made, text, (size_t)len);
    OPENSSL_free(text);
    if (!result)
        bytes_move(ret, &made);
    return result;
}
