/* SPDX-License-Identifier: Apache-2.0 */
/* RSA keys on the fake token, their public halves seen by libcrypto alone in a context of its own, and what the token
 * was made to do. */
#ifndef RSA_H
#define RSA_H

#include "twins.h"

#include <openssl/provider.h>
#include <openssl/rsa.h>

static OSSL_LIB_CTX *own;
static OSSL_PROVIDER *own_provider, *no_provider;

/* The default context is emptied, so that any use of it by the core fails. */
static inline int rsa_build(void **state)
{
    own = OSSL_LIB_CTX_new();
    own_provider = own ? OSSL_PROVIDER_load(own, "default") : NULL;
    no_provider = OSSL_PROVIDER_load(NULL, "null");
    return !own_provider || !no_provider || twins_build(state);
}

static inline int rsa_strike(void **state)
{
    OSSL_PROVIDER_unload(no_provider);
    OSSL_PROVIDER_unload(own_provider);
    OSSL_LIB_CTX_free(own);
    return scene_strike(state);
}

static inline int rsa_end(void **state)
{
    unsigned long error = ERR_get_error();

    if (error)
        print_error("the error queue holds %s\n", ERR_reason_error_string(error));
    return twins_end(state) || error;
}

#define RSA_TEST(f) cmocka_unit_test_setup_teardown(f, twins_begin, rsa_end)

static inline struct fake_object *put_rsa(const char *label, uint32_t bits)
{
    struct fake_object object = {
        .kind = HX_PRIVATE_KEY, .type = HX_RSA, .bits = bits, .key = 1, .usage = HX_SIGN_DIGEST | HX_DECRYPT
    };

    strcpy(object.label, label);
    return put(0, &object);
}

/* The only key of a token as it was at the start. */
static inline struct hx_key *fresh_key(uint32_t bits)
{
    hx_free(ctx);
    ctx = NULL;
    fake->reset();
    put_rsa("device", bits);
    configure(EDGE);
    return open_key("hsm:edge/key/device");
}

/* For EVP_PKEY_free(). */
static inline EVP_PKEY *public_of(struct hx_key *key)
{
    struct hx_bytes spki = { 0 };
    const unsigned char *at;
    EVP_PKEY *public;

    expect_result(hx_key_public(key, &spki), HX_OK);
    at = spki.data;
    assert_non_null(public = d2i_PUBKEY_ex(NULL, &at, (long)spki.len, own, NULL));
    hx_bytes_free(&spki);
    return public;
}

static inline const char *digest_name(uint32_t hash)
{
    static const char *const names[] = { "", "SHA1", "SHA256", "SHA384", "SHA512" };

    return names[hash];
}

/* Since this was last asked: calls of sign and decrypt, and how many of each scheme gave a result. */
static inline void expect_work(unsigned calls, unsigned scheme, unsigned by_token, unsigned raw)
{
    assert_int_equal(fake->calls[FAKE_SIGN] + fake->calls[FAKE_DECRYPT], calls);
    assert_int_equal(fake->done[scheme], by_token);
    assert_int_equal(fake->done[HX_RSA_RAW], raw);
    fake->calls[FAKE_SIGN] = fake->calls[FAKE_DECRYPT] = fake->done[scheme] = fake->done[HX_RSA_RAW] = 0;
}

#endif
