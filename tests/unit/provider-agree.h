/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of key agreement: software keys for the other side, and the secret that both come to. */
#ifndef PROVIDER_AGREE_H
#define PROVIDER_AGREE_H

#include "provider-keys.h"

static const int curves[] = { P256, P384, P521 };

enum { CURVES = sizeof(curves) / sizeof(*curves), SECRET_MAX = 128 };

/* As next_kind(). */
static inline int next_curve(int i)
{
    do
        i++;
    while (i < CURVES && !twins[curves[i]]);
    return i;
}

struct secret {
    unsigned char bytes[SECRET_MAX];
    size_t len;
};

static EVP_PKEY *software_key(const char *curve)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(libctx, "provider=default", "EC", curve);

    assert_non_null(key);
    return key;
}

/* As a library has it that reads a certificate or a message. */
static EVP_PKEY *public_half(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    const unsigned char *at;
    int len = i2d_PUBKEY(key, &der);
    EVP_PKEY *public;

    at = der;
    public = d2i_PUBKEY_ex(NULL, &at, len, libctx, NULL);
    assert_non_null(public);
    OPENSSL_free(der);
    return public;
}

/* A public key that our provider holds. */
static inline EVP_PKEY *imported(EVP_PKEY *key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, "EC", "provider=hsmux");
    OSSL_PARAM *numbers = NULL;
    EVP_PKEY *public = NULL;

    assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &numbers), 1);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &public, EVP_PKEY_PUBLIC_KEY, numbers), 1);
    assert_ptr_equal(EVP_PKEY_get0_provider(public), ours);
    OSSL_PARAM_free(numbers);
    EVP_PKEY_CTX_free(ctx);
    return public;
}

static EVP_PKEY_CTX *begin(EVP_PKEY *own)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, own, NULL);

    assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
    return ctx;
}

static struct secret finish(EVP_PKEY_CTX *ctx)
{
    struct secret secret = { .len = 0 };

    assert_int_equal(EVP_PKEY_derive(ctx, NULL, &secret.len), 1);
    assert_true(secret.len <= SECRET_MAX);
    if (EVP_PKEY_derive(ctx, secret.bytes, &secret.len) != 1) {
        ERR_print_errors_fp(stderr);
        fail_msg("no secret");
    }
    return secret;
}

static inline struct secret agree(EVP_PKEY *own, EVP_PKEY *peer)
{
    EVP_PKEY_CTX *ctx = begin(own);
    struct secret secret;

    if (EVP_PKEY_derive_set_peer(ctx, peer) != 1) {
        ERR_print_errors_fp(stderr);
        fail_msg("the peer's key is not taken");
    }
    secret = finish(ctx);
    EVP_PKEY_CTX_free(ctx);
    return secret;
}

static void assert_same(const struct secret *one, const struct secret *other)
{
    assert_int_equal(one->len, other->len);
    assert_memory_equal(one->bytes, other->bytes, one->len);
    assert_int_equal(ERR_peek_error(), 0);
}

#endif
