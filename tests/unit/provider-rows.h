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
    for (int kind = 0; kind < ALL_KEYS; kind = next_kind(kind)) {
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

struct turn { /* one row with one key */
    const struct row *row;
    struct subject *subject;
    char name[64];
};

/* No row leaves anything behind on the error queue.  What the token has no key for is shown as skipped. */
static void take_turn(void **state)
{
    struct turn *turn = *state;
    void *subject = turn->subject;

    if (!turn->subject->key)
        skip();
    ERR_clear_error();
    turn->row->run(&subject);
    if (!ERR_peek_error())
        return;
    ERR_print_errors_fp(stderr);
    fail_msg("'%s' left a reason behind", turn->name);
}

/* Each row and each kind of key is a test with a name of its own. */
static inline int run_rows(const struct row *rows, size_t count)
{
    struct CMUnitTest *tests;
    struct turn *turns;
    size_t used = 0;
    int failed;

    if (!can_run())
        return 77;
    tests = calloc(count * ALL_KEYS, sizeof(*tests));
    turns = calloc(count * ALL_KEYS, sizeof(*turns));
    for (int kind = 0; kind < ALL_KEYS; kind++) {
        for (size_t i = 0; i < count; i++) {
            struct turn *turn = &turns[used];

            if (!(rows[i].types & type_of(kind)))
                continue;
            turn->row = &rows[i];
            turn->subject = &subjects[kind];
            snprintf(turn->name, sizeof(turn->name), "%s: %s", kinds[kind].label, rows[i].name);
            tests[used++] = (struct CMUnitTest){ turn->name, take_turn, NULL, NULL, turn };
        }
    }
    failed = _cmocka_run_group_tests("rows", tests, used, rows_set_up, rows_tear_down);
    free(tests);
    free(turns);
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

/* NULL for Ed25519. */
static inline const EVP_MD *digest_of(const struct subject *subject)
{
    return type_of(subject->kind) == ED_KEYS ? NULL : EVP_sha256();
}

static inline void name_it(X509_NAME *name)
{
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"conf", -1, -1, 0), 1);
}

static inline X509 *unsigned_certificate(const struct subject *subject)
{
    X509 *certificate = X509_new_ex(libctx, NULL);

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    name_it(X509_get_subject_name(certificate));
    name_it(X509_get_issuer_name(certificate));
    assert_int_equal(X509_set_pubkey(certificate, subject->key), 1);
    return certificate;
}

/* The same, read by somebody else. */
static inline X509 *in_plain(const X509 *from)
{
    X509 *certificate = X509_new_ex(plain, NULL);
    unsigned char *der = NULL;
    const unsigned char *at;
    int len = i2d_X509(from, &der);

    at = der;
    assert_non_null(d2i_X509(&certificate, &at, len));
    OPENSSL_free(der);
    return certificate;
}

static inline X509 *self_signed(const struct subject *subject)
{
    X509 *certificate = unsigned_certificate(subject);

    assert_true(X509_sign(certificate, subject->key, digest_of(subject)) > 0);
    return certificate;
}

#endif
