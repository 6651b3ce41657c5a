/* SPDX-License-Identifier: Apache-2.0 */
/* For the provider's conformance tests: a table of what OpenSSL offers on a key, each row tried with a key of every
 * type, against its software twin, and checked in a library context that has never heard of us. */
#ifndef PROVIDER_ROWS_H
#define PROVIDER_ROWS_H

#include "provider-keys.h"

enum { RSA_KEYS = 1, EC_KEYS = 2, ED_KEYS = 4, HASHING = RSA_KEYS | EC_KEYS, ALL_TYPES = HASHING | ED_KEYS };

struct row {
    const char *name;
    CMUnitTestFunction run; /* its state is a subject */
    unsigned types;
};

struct subject {
    int kind;
    EVP_PKEY *key, *twin;
    EVP_PKEY *public; /* the same key's public half, of the default provider alone */
};

/* How to sign: NULL and 0 leave it as it is. */
struct way {
    const char *digest;
    int padding;
    const char *salt, *mgf;
};

static OSSL_LIB_CTX *plain;
static OSSL_PROVIDER *plain_provider;
static struct subject subjects[ALL_KEYS];

static inline unsigned type_of(int kind)
{
    return kind == RSA_2048 || kind == RSA_3072 ? RSA_KEYS : kind == ED25519 ? ED_KEYS : EC_KEYS;
}

/* Whatever is refused has a reason. */
#define assert_reason()                                                                                                \
    do {                                                                                                               \
        assert_int_not_equal(ERR_peek_error(), 0);                                                                     \
        ERR_clear_error();                                                                                             \
    } while (0)

static inline int rows_set_up(void **state)
{
    if (set_up_all(state))
        return -1;
    plain = OSSL_LIB_CTX_new();
    plain_provider = OSSL_PROVIDER_load(plain, "default");
    assert_non_null(plain_provider);
    for (int kind = 0; kind < ALL_KEYS; kind++) {
        unsigned char *der = NULL;
        const unsigned char *at;
        int len = i2d_PUBKEY(twins[kind], &der);

        at = der;
        subjects[kind] =
            (struct subject){ kind, open_key(kind), twins[kind], d2i_PUBKEY_ex(NULL, &at, len, plain, NULL) };
        assert_non_null(subjects[kind].public);
        OPENSSL_free(der);
    }
    return 0;
}

static inline int rows_tear_down(void **state)
{
    for (int kind = 0; kind < ALL_KEYS; kind++) {
        EVP_PKEY_free(subjects[kind].key);
        EVP_PKEY_free(subjects[kind].public);
    }
    OSSL_PROVIDER_unload(plain_provider);
    OSSL_LIB_CTX_free(plain);
    return tear_down(state);
}

/* No row leaves anything behind on the error queue. */
static int row_begins(void **state)
{
    (void)state;
    ERR_clear_error();
    return 0;
}

static int row_ends(void **state)
{
    (void)state;
    if (!ERR_peek_error())
        return 0;
    ERR_print_errors_fp(stderr);
    return -1;
}

/* Each row and each kind of key is a test with a name of its own. */
static inline int run_rows(const struct row *rows, size_t count)
{
    struct CMUnitTest *tests = calloc(count * ALL_KEYS, sizeof(*tests));
    size_t used = 0;
    int failed;

    if (!can_run())
        return 77;
    for (int kind = 0; kind < ALL_KEYS; kind++) {
        for (size_t i = 0; i < count; i++) {
            char *name;

            if (!(rows[i].types & type_of(kind)) || asprintf(&name, "%s: %s", kinds[kind].label, rows[i].name) < 0)
                continue;
            tests[used++] = (struct CMUnitTest){ name, rows[i].run, row_begins, row_ends, &subjects[kind] };
        }
    }
    failed = _cmocka_run_group_tests("rows", tests, used, rows_set_up, rows_tear_down);
    for (size_t i = 0; i < used; i++)
        free((char *)(uintptr_t)tests[i].name);
    free(tests);
    return failed;
}

static inline int set_way(EVP_PKEY_CTX *ctx, const struct way *way, bool with_digest)
{
    OSSL_PARAM params[5], *at = params;
    int padding = way->padding;

    if (with_digest && way->digest)
        *at++ = OSSL_PARAM_construct_utf8_string("digest", (char *)(uintptr_t)way->digest, 0);
    if (padding)
        *at++ = OSSL_PARAM_construct_int("pad-mode", &padding);
    if (way->salt)
        *at++ = OSSL_PARAM_construct_utf8_string("saltlen", (char *)(uintptr_t)way->salt, 0);
    if (way->mgf)
        *at++ = OSSL_PARAM_construct_utf8_string("mgf1-digest", (char *)(uintptr_t)way->mgf, 0);
    *at = OSSL_PARAM_construct_end();
    return at == params || EVP_PKEY_CTX_set_params(ctx, params) == 1;
}

/* What is signed here was hashed before. */
static inline int sign_hash(EVP_PKEY *key, const struct way *way, const void *in, size_t in_len, unsigned char *sig,
                            size_t *len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);
    int ok = EVP_PKEY_sign_init(ctx) == 1 && set_way(ctx, way, true) && EVP_PKEY_sign(ctx, sig, len, in, in_len) == 1;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static inline int verify_hash(OSSL_LIB_CTX *in_context, EVP_PKEY *key, const struct way *way, const void *in,
                              size_t in_len, const unsigned char *sig, size_t len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(in_context, key, NULL);
    int good =
        EVP_PKEY_verify_init(ctx) == 1 && set_way(ctx, way, true) && EVP_PKEY_verify(ctx, sig, len, in, in_len) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static inline int verify_message(OSSL_LIB_CTX *in_context, EVP_PKEY *key, const struct way *way, const void *in,
                                 size_t in_len, const unsigned char *sig, size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;
    int good = EVP_DigestVerifyInit_ex(ctx, &pctx, way->digest, in_context, NULL, key, NULL) == 1 &&
               set_way(pctx, way, false) && EVP_DigestVerify(ctx, sig, len, in, in_len) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

#endif
