/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL provider: the parameters of key agreement, the key derivation after it, and copies at each stage. */
#include "provider-agree.h"

static void set_kdf(EVP_PKEY_CTX *ctx, const EVP_MD *md, int len, const char *ukm)
{
    assert_int_equal(EVP_PKEY_CTX_set_ecdh_kdf_type(ctx, EVP_PKEY_ECDH_KDF_X9_63), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, md), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ecdh_kdf_outlen(ctx, len), 1);
    assert_int_equal(EVP_PKEY_CTX_set0_ecdh_kdf_ukm(ctx, (unsigned char *)OPENSSL_strdup(ukm), (int)strlen(ukm)), 1);
}

static void the_kdf_gives_what_the_default_provider_gives(void **state)
{
    static const char *const digests[] = { "SHA1", "SHA224", "SHA256", "SHA384", "SHA512" };

    (void)state;
    for (int i = 0; i < CURVES; i = next_curve(i)) {
        EVP_PKEY *token = open_key(curves[i]), *other = software_key(kinds[curves[i]].group);
        EVP_PKEY *peer = public_half(other);

        for (size_t j = 0; j < sizeof(digests) / sizeof(*digests); j++) {
            EVP_MD *md = EVP_MD_fetch(libctx, digests[j], NULL);
            EVP_PKEY_CTX *one = begin(token), *two = begin(other);
            struct secret secret, expected;

            set_kdf(one, md, 40 + (int)j, "some user keying material");
            set_kdf(two, md, 40 + (int)j, "some user keying material");
            assert_int_equal(EVP_PKEY_derive_set_peer(one, peer), 1);
            assert_int_equal(EVP_PKEY_derive_set_peer(two, twins[curves[i]]), 1);
            secret = finish(one);
            expected = finish(two);
            assert_same(&secret, &expected);
            EVP_PKEY_CTX_free(one);
            EVP_PKEY_CTX_free(two);
            EVP_MD_free(md);
        }
        EVP_PKEY_free(peer);
        EVP_PKEY_free(other);
        EVP_PKEY_free(token);
    }
}

static void an_unfinished_kdf_is_refused(void **state)
{
    EVP_PKEY *token = open_key(P256);
    EVP_PKEY_CTX *ctx = begin(token);
    EVP_MD *md = EVP_MD_fetch(libctx, "SHA256", NULL);
    unsigned char room[64];
    size_t len = sizeof(room);

    (void)state;
    assert_int_not_equal(EVP_PKEY_derive(ctx, room, &len), 1);
    queue_says("no peer's key");
    EVP_PKEY_derive_set_peer(ctx, token);
    assert_int_equal(EVP_PKEY_CTX_set_ecdh_kdf_type(ctx, EVP_PKEY_ECDH_KDF_X9_63), 1);
    assert_int_not_equal(EVP_PKEY_derive(ctx, room, &len), 1);
    queue_says("its digest and length are not set");
    set_kdf(ctx, md, 40, "x");
    len = 39;
    assert_int_not_equal(EVP_PKEY_derive(ctx, room, &len), 1);
    queue_says("no room for its 40 bytes");
    len = 40;
    assert_int_equal(EVP_PKEY_derive(ctx, room, &len), 1);
    EVP_MD_free(md);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(token);
}

static void assert_refused(EVP_PKEY_CTX *ctx, OSSL_PARAM param, const char *reason)
{
    OSSL_PARAM params[] = { param, OSSL_PARAM_construct_end() };

    assert_int_not_equal(EVP_PKEY_CTX_set_params(ctx, params), 1);
    queue_says(reason);
}

static void what_is_set_can_be_got(void **state)
{
    EVP_PKEY *token = open_key(P256);
    EVP_PKEY_CTX *ctx = begin(token);
    EVP_MD *sha = EVP_MD_fetch(libctx, "SHA384", NULL);
    const EVP_MD *md = NULL;
    void *ukm = NULL;
    OSSL_PARAM get_ukm[] = { OSSL_PARAM_construct_octet_ptr(OSSL_EXCHANGE_PARAM_KDF_UKM, &ukm, 0),
                             OSSL_PARAM_construct_end() };
    char text[] = "X942KDF", digest[] = "no-such-digest";
    int len = 0, mode = 2;

    (void)state;
    assert_int_equal(EVP_PKEY_CTX_get_ecdh_kdf_type(ctx), EVP_PKEY_ECDH_KDF_NONE);
    assert_int_equal(EVP_PKEY_CTX_get_ecdh_cofactor_mode(ctx), 0);
    for (int set = -1; set <= 1; set++) {
        assert_int_equal(EVP_PKEY_CTX_set_ecdh_cofactor_mode(ctx, set), 1);
        assert_int_equal(EVP_PKEY_CTX_get_ecdh_cofactor_mode(ctx), set == 1);
    }
    set_kdf(ctx, sha, 50, "material");
    assert_int_equal(EVP_PKEY_CTX_get_ecdh_kdf_type(ctx), EVP_PKEY_ECDH_KDF_X9_63);
    assert_int_equal(EVP_PKEY_CTX_get_ecdh_kdf_md(ctx, &md), 1);
    assert_int_equal(EVP_MD_get_type(md), NID_sha384);
    assert_int_equal(EVP_PKEY_CTX_get_ecdh_kdf_outlen(ctx, &len), 1);
    assert_int_equal(len, 50);
    assert_int_equal(EVP_PKEY_CTX_get_params(ctx, get_ukm), 1);
    assert_int_equal(get_ukm[0].return_size, 8);
    assert_memory_equal(ukm, "material", 8);
    assert_refused(ctx, OSSL_PARAM_construct_int(OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE, &mode), "cofactor mode");
    assert_refused(ctx, OSSL_PARAM_construct_utf8_string(OSSL_EXCHANGE_PARAM_KDF_TYPE, text, 0), "X942KDF");
    assert_refused(ctx, OSSL_PARAM_construct_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST, digest, 0), digest);
    assert_refused(ctx, OSSL_PARAM_construct_utf8_string(OSSL_EXCHANGE_PARAM_KDF_OUTLEN, text, 0), "kdf length");
    assert_refused(ctx, OSSL_PARAM_construct_utf8_string(OSSL_EXCHANGE_PARAM_KDF_UKM, text, 0), "not bytes");
    assert_int_equal(EVP_PKEY_CTX_set_ecdh_kdf_type(ctx, EVP_PKEY_ECDH_KDF_NONE), 1);
    assert_int_equal(EVP_PKEY_CTX_get_ecdh_kdf_type(ctx), EVP_PKEY_ECDH_KDF_NONE);
    EVP_MD_free(sha);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(token);
}

/* Each stage is duplicated, the original is done away with, and the copy goes on. */
static EVP_PKEY_CTX *replaced(EVP_PKEY_CTX *ctx)
{
    EVP_PKEY_CTX *copy = EVP_PKEY_CTX_dup(ctx);

    assert_non_null(copy);
    EVP_PKEY_CTX_free(ctx);
    return copy;
}

static void a_copy_goes_on_from_any_stage(void **state)
{
    EVP_PKEY *token = open_key(P384), *other = software_key("P-384"), *peer = public_half(other);
    EVP_MD *md = EVP_MD_fetch(libctx, "SHA256", NULL);
    EVP_PKEY_CTX *theirs_ctx = begin(other), *ctx = replaced(EVP_PKEY_CTX_new_from_pkey(libctx, token, NULL));
    struct secret expected, secret;

    (void)state;
    set_kdf(theirs_ctx, md, 48, "material");
    assert_int_equal(EVP_PKEY_derive_set_peer(theirs_ctx, twins[P384]), 1);
    expected = finish(theirs_ctx);
    assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
    EVP_PKEY_free(token);
    ctx = replaced(ctx);
    set_kdf(ctx, md, 48, "material");
    ctx = replaced(ctx);
    assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
    EVP_PKEY_free(peer);
    ctx = replaced(ctx);
    secret = finish(ctx);
    assert_same(&secret, &expected);
    ctx = replaced(ctx);
    secret = finish(ctx);
    assert_same(&secret, &expected);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_CTX_free(theirs_ctx);
    EVP_MD_free(md);
    EVP_PKEY_free(other);
}

/* OpenSSL gives nothing where it is asked for a copy of nothing. */
static void no_keying_material_is_copied_too(void **state)
{
    EVP_PKEY *token = open_key(P256);
    EVP_PKEY_CTX *ctx = begin(token);
    unsigned char byte = 0;
    OSSL_PARAM nothing[] = { OSSL_PARAM_construct_octet_string(OSSL_EXCHANGE_PARAM_KDF_UKM, &byte, 0),
                             OSSL_PARAM_construct_end() };

    (void)state;
    assert_int_equal(EVP_PKEY_CTX_set_params(ctx, nothing), 1);
    ctx = replaced(ctx);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kdf_gives_what_the_default_provider_gives),
        cmocka_unit_test(an_unfinished_kdf_is_refused),
        cmocka_unit_test(what_is_set_can_be_got),
        cmocka_unit_test(a_copy_goes_on_from_any_stage),
        cmocka_unit_test(no_keying_material_is_copied_too),
    };

    return can_run() ? cmocka_run_group_tests(tests, set_up_all, tear_down) : 77;
}
