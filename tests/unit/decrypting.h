/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of decryption: the token's RSA key in a library context where PKCS#1 v1.5 padding is allowed, its
 * software twin, and both operations of either. */
#ifndef DECRYPTING_H
#define DECRYPTING_H

#include "provider-keys.h"

enum { WIDTH = 256, MANY = 6 };

struct block {
    unsigned char data[WIDTH];
    size_t len;
};

/* The context and provider of set_up(), where the setting is as it was shipped, and those where it says yes. */
static OSSL_LIB_CTX *strict, *allowed;
static OSSL_PROVIDER *strict_ours, *allowed_ours;
static EVP_PKEY *twin;

static inline void enter(OSSL_LIB_CTX *context, OSSL_PROVIDER *provider)
{
    libctx = context;
    ours = provider;
}

static inline int set_up_allowed(void **state)
{
    if (set_up(state))
        return -1;
    strict = libctx;
    strict_ours = ours;
    twin = twins[RSA_2048];
    allowed = context_with("allow-rsa-pkcs1-decrypt = yes");
    allowed_ours = OSSL_PROVIDER_load(allowed, "hsmux");
    enter(allowed, allowed_ours);
    return ours ? 0 : -1;
}

static inline int tear_down_allowed(void **state)
{
    OSSL_PROVIDER_unload(allowed_ours);
    OSSL_LIB_CTX_free(allowed);
    enter(strict, strict_ours); /* a test that failed may have left another */
    return tear_down(state);
}

/* A context ready to encrypt or decrypt; NULL: refused. */
static inline EVP_PKEY_CTX *begin(EVP_PKEY *key, bool decrypts, const OSSL_PARAM params[])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(key == twin ? strict : libctx, key, NULL);

    assert_non_null(ctx);
    if ((decrypts ? EVP_PKEY_decrypt_init_ex(ctx, params) : EVP_PKEY_encrypt_init_ex(ctx, params)) == 1)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static inline int encrypt(EVP_PKEY *key, const OSSL_PARAM params[], const struct block *in, struct block *ret)
{
    EVP_PKEY_CTX *ctx = begin(key, false, params);
    int ok;

    ret->len = sizeof(ret->data);
    ok = ctx && EVP_PKEY_encrypt(ctx, ret->data, &ret->len, in->data, in->len) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static inline int decrypt(EVP_PKEY *key, const OSSL_PARAM params[], const struct block *in, struct block *ret)
{
    EVP_PKEY_CTX *ctx = begin(key, true, params);
    int ok;

    ret->len = sizeof(ret->data);
    ok = ctx && EVP_PKEY_decrypt(ctx, ret->data, &ret->len, in->data, in->len) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static inline void assert_same(const struct block *a, const struct block *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->data, b->data, a->len);
}

/* The newest reason on the queue says this; the queue is empty after it. */
static inline void assert_reason(const char *text)
{
    const char *data = "";
    int flags;

    ERR_peek_last_error_data(&data, &flags);
    if (!strstr(data, text))
        fail_msg("'%s' is not in: %s", text, data);
    ERR_clear_error();
}

static inline OSSL_PARAM word(const char *name, const char *value)
{
    return OSSL_PARAM_construct_utf8_string(name, (char *)(uintptr_t)value, 0);
}

static inline OSSL_PARAM padding(const char *value)
{
    return word(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, value);
}

static inline OSSL_PARAM number(const char *name, unsigned *value)
{
    return OSSL_PARAM_construct_uint(name, value);
}

static inline struct block text(const char *words)
{
    struct block block = { .len = strlen(words) };

    memcpy(block.data, words, block.len);
    return block;
}

#endif
