/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL provider: what its keys and signatures do. */
#include "provider-keys.h"

static void a_reference_signs_like_the_key(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        BIO *pem = reference_of(kind);
        EVP_PKEY *key;
        char *text;

        assert_true(BIO_get_mem_data(pem, &text) > 0);
        assert_memory_equal(text, "-----BEGIN HSMUX KEY REFERENCE-----", 35);
        key = read_pem(pem);
        assert_non_null(key);
        assert_ptr_equal(EVP_PKEY_get0_provider(key), ours);
        assert_signs(key, kind);
        EVP_PKEY_free(key);
        BIO_free(pem);
    }
}

static void a_key_is_found_behind_other_pem_blocks(void **state)
{
    BIO *reference = reference_of(P256), *pem = BIO_new(BIO_s_mem());
    EVP_PKEY *key;
    char *text;
    long len = BIO_get_mem_data(reference, &text);

    (void)state;
    BIO_puts(pem, "words before\n");
    PEM_write_bio_PUBKEY(pem, twins[RSA_2048]);
    PEM_write_bio_PrivateKey(pem, twins[RSA_2048], NULL, NULL, 0, NULL, NULL);
    BIO_write(pem, text, (int)len);
    key = read_pem(pem);
    assert_int_equal(EVP_PKEY_eq(key, twins[RSA_2048]), 1);
    assert_ptr_equal(EVP_PKEY_get0_provider(key), theirs);
    EVP_PKEY_free(key);
    key = read_pem(pem);
    assert_int_equal(EVP_PKEY_eq(key, twins[P256]), 1);
    EVP_PKEY_free(key);
    BIO_free(reference);
    BIO_free(pem);
}

static void a_duplicate_outlives_its_original(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        EVP_PKEY *key = open_key(kind), *copy = EVP_PKEY_dup(key);

        assert_non_null(copy);
        EVP_PKEY_free(key);
        assert_signs(copy, kind);
        EVP_PKEY_free(copy);
    }
}

static void assert_final(EVP_MD_CTX *ctx, int kind, const char *text)
{
    unsigned char sig[512];
    size_t len = sizeof(sig);
    EVP_MD_CTX *check = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestSignFinal(ctx, sig, &len), 1);
    EVP_DigestVerifyInit_ex(check, NULL, kinds[kind].digest, libctx, NULL, twins[kind], NULL);
    assert_int_equal(EVP_DigestVerify(check, sig, len, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(check);
}

static void a_copy_in_mid_message_goes_its_own_way(void **state)
{
    (void)state;
    for (int kind = 0; kind < ED25519; kind = next_kind(kind)) {
        EVP_MD_CTX *one = EVP_MD_CTX_new(), *other = EVP_MD_CTX_new();
        EVP_PKEY *key = open_key(kind);
        size_t len;

        EVP_DigestSignInit_ex(one, NULL, kinds[kind].digest, libctx, NULL, key, NULL);
        assert_int_equal(EVP_DigestSignUpdate(one, "begin ", 6), 1);
        assert_int_equal(EVP_MD_CTX_copy_ex(other, one), 1);
        assert_int_equal(EVP_DigestSignUpdate(one, "here", 4), 1);
        assert_int_equal(EVP_DigestSignUpdate(other, "there", 5), 1);
        EVP_PKEY_free(key);
        assert_int_equal(EVP_DigestSignFinal(one, NULL, &len), 1);
        assert_final(one, kind, "begin here");
        EVP_MD_CTX_free(one);
        assert_final(other, kind, "begin there");
        EVP_MD_CTX_free(other);
    }
}

static void equality_holds_across_providers(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        EVP_PKEY *key = open_key(kind), *again = open_key(kind), *other = open_key(other_kind(kind));
        X509 *certificate = X509_new();

        X509_set_pubkey(certificate, twins[kind]);
        assert_int_equal(EVP_PKEY_eq(key, twins[kind]), 1);
        assert_int_equal(EVP_PKEY_eq(twins[kind], key), 1);
        assert_int_equal(EVP_PKEY_eq(key, again), 1);
        assert_int_not_equal(EVP_PKEY_eq(key, other), 1);
        assert_int_not_equal(EVP_PKEY_eq(key, twins[other_kind(kind)]), 1);
        assert_int_equal(X509_check_private_key(certificate, key), 1);
        assert_int_equal(X509_check_private_key(certificate, other), 0);
        X509_free(certificate);
        EVP_PKEY_free(key);
        EVP_PKEY_free(again);
        EVP_PKEY_free(other);
        ERR_clear_error();
    }
}

static void only_the_public_half_is_exported(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        EVP_PKEY *key = open_key(kind);
        OSSL_PARAM *params = NULL;
        unsigned char *der = NULL;
        char group[32] = "";

        assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 0);
        assert_true(i2d_PrivateKey(key, &der) <= 0);
        assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params), 1);
        assert_null(OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PRIV_KEY));
        assert_null(OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_RSA_D));
        OSSL_PARAM_free(params);
        if (kinds[kind].group) {
            assert_int_equal(EVP_PKEY_get_group_name(key, group, sizeof(group), NULL), 1);
            assert_int_equal(OBJ_sn2nid(group), EC_curve_nist2nid(kinds[kind].group));
        }
        assert_int_equal(EVP_PKEY_get_default_digest_name(key, group, sizeof(group)), kind == ED25519 ? 2 : 1);
        assert_string_equal(group, kind == ED25519 ? "UNDEF" : "SHA256");
        assert_int_equal(EVP_PKEY_get_bits(key), EVP_PKEY_get_bits(twins[kind]));
        assert_int_equal(EVP_PKEY_get_security_bits(key), EVP_PKEY_get_security_bits(twins[kind]));
        assert_int_equal(EVP_PKEY_get_size(key), EVP_PKEY_get_size(twins[kind]));
        EVP_PKEY_free(key);
        ERR_clear_error();
    }
}

static int sign_pss(EVP_PKEY *key, int salt, const char *digest, unsigned char *sig, size_t *len)
{
    static const unsigned char hash[64] = "a digest";
    EVP_MD *md = EVP_MD_fetch(libctx, digest, NULL);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);
    int ok = EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 &&
             EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt) == 1 &&
             EVP_PKEY_sign(ctx, sig, len, hash, (size_t)EVP_MD_get_size(md)) == 1;

    EVP_PKEY_CTX_free(ctx);
    EVP_MD_free(md);
    return ok;
}

static int verify_pss(EVP_PKEY *key, int salt, const char *digest, const unsigned char *sig, size_t len)
{
    static const unsigned char hash[64] = "a digest";
    EVP_MD *md = EVP_MD_fetch(libctx, digest, NULL);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);
    int ok = EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 &&
             EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt) == 1 &&
             EVP_PKEY_verify(ctx, sig, len, hash, (size_t)EVP_MD_get_size(md)) == 1;

    EVP_PKEY_CTX_free(ctx);
    EVP_MD_free(md);
    return ok;
}

static void a_pss_salt_is_as_long_as_asked(void **state)
{
    static const struct {
        int asked, bytes;
    } salts[] = { { RSA_PSS_SALTLEN_DIGEST, 48 },
                  { RSA_PSS_SALTLEN_MAX, 256 - 48 - 2 },
                  { RSA_PSS_SALTLEN_AUTO, 256 - 48 - 2 },
                  { 20, 20 },
                  { 0, 0 } };
    EVP_PKEY *key = open_key(RSA_2048);
    unsigned char sig[256];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(salts) / sizeof(*salts); i++) {
        len = sizeof(sig);
        assert_true(sign_pss(key, salts[i].asked, "SHA384", sig, &len));
        assert_true(verify_pss(twins[RSA_2048], salts[i].bytes, "SHA384", sig, len));
        assert_true(verify_pss(key, salts[i].bytes, "SHA384", sig, len));
        assert_true(verify_pss(key, RSA_PSS_SALTLEN_AUTO, "SHA384", sig, len));
        assert_false(verify_pss(key, salts[i].bytes + 1, "SHA384", sig, len));
    }
    len = sizeof(sig);
    assert_false(sign_pss(key, 256 - 48 - 1, "SHA384", sig, &len));
    EVP_PKEY_free(key);
    ERR_clear_error();
}

static void pss_without_a_digest_is_an_error(void **state)
{
    EVP_PKEY *key = open_key(RSA_2048);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);
    unsigned char sig[512], digest[20] = { 0 };
    size_t len = sizeof(sig);

    (void)state;
    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
    EVP_PKEY_CTX_set_signature_md(ctx, NULL);
    assert_int_not_equal(EVP_PKEY_sign(ctx, sig, &len, digest, sizeof(digest)), 1);
    ERR_clear_error();
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static void a_digest_of_another_length_is_refused(void **state)
{
    static const unsigned char hash[33] = "a digest";
    EVP_PKEY *key = open_key(RSA_2048);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);
    EVP_MD *md = EVP_MD_fetch(libctx, "SHA256", NULL);
    unsigned char sig[256];
    size_t len = sizeof(sig);

    (void)state;
    EVP_PKEY_sign_init(ctx);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, md), 1);
    assert_int_not_equal(EVP_PKEY_sign(ctx, sig, &len, hash, 33), 1);
    assert_int_equal(EVP_PKEY_sign(ctx, sig, &len, hash, 32), 1);
    len = 255;
    assert_int_not_equal(EVP_PKEY_sign(ctx, sig, &len, hash, 32), 1);
    EVP_MD_free(md);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

static void a_certificate_names_its_signature(void **state)
{
    static const int nids[KEYS] = { NID_sha256WithRSAEncryption, NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384,
                                    NID_ED25519 };

    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        EVP_MD *md = kinds[kind].digest ? EVP_MD_fetch(libctx, kinds[kind].digest, NULL) : NULL;
        EVP_PKEY *key = open_key(kind);
        X509 *certificate = X509_new_ex(libctx, NULL);

        X509_set_pubkey(certificate, key);
        X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
        X509_gmtime_adj(X509_getm_notAfter(certificate), 60);
        assert_true(X509_sign(certificate, key, md) > 0);
        assert_int_equal(X509_get_signature_nid(certificate), nids[kind]);
        assert_int_equal(X509_verify(certificate, twins[kind]), 1);
        X509_free(certificate);
        EVP_PKEY_free(key);
        EVP_MD_free(md);
    }
}

static void a_software_key_cannot_be_taken_in(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, kinds[kind].type, "provider=hsmux");
        OSSL_PARAM *private = NULL, *public = NULL;
        EVP_PKEY *key = NULL;

        EVP_PKEY_todata(twins[kind], EVP_PKEY_KEYPAIR, &private);
        EVP_PKEY_todata(twins[kind], EVP_PKEY_PUBLIC_KEY, &public);
        assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
        assert_int_not_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, private), 1);
        EVP_PKEY_free(key);
        key = NULL;
        assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, public), 1);
        assert_int_equal(EVP_PKEY_eq(key, twins[kind]), 1);
        EVP_PKEY_free(key);
        OSSL_PARAM_free(private);
        OSSL_PARAM_free(public);
        EVP_PKEY_CTX_free(ctx);
        ERR_clear_error();
    }
}

static void a_key_is_made_on_the_token(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, kinds[kind].type, "?provider=hsmux");
        char label[32], address[64];
        EVP_PKEY *key = NULL;
        OSSL_STORE_INFO *info;

        snprintf(label, sizeof(label), "new-%s", kinds[kind].label);
        snprintf(address, sizeof(address), "hsm:soft/key/%s", label);
        assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
        assert_int_equal(EVP_PKEY_CTX_ctrl_str(ctx, "hsm-token", "soft"), 1);
        assert_int_equal(EVP_PKEY_CTX_ctrl_str(ctx, "hsm-label", label), 1);
        if (kinds[kind].group)
            assert_int_equal(EVP_PKEY_CTX_set_group_name(ctx, kinds[kind].group), 1);
        assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
        assert_int_equal(EVP_PKEY_get_bits(key), EVP_PKEY_get_bits(twins[kind]));
        info = fetch(address, OSSL_STORE_INFO_PKEY);
        assert_non_null(info);
        assert_int_equal(EVP_PKEY_eq(key, OSSL_STORE_INFO_get0_PKEY(info)), 1);
        OSSL_STORE_INFO_free(info);
        EVP_PKEY_free(key);
        EVP_PKEY_CTX_free(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_signs_like_the_key),
        cmocka_unit_test(a_key_is_found_behind_other_pem_blocks),
        cmocka_unit_test(a_duplicate_outlives_its_original),
        cmocka_unit_test(a_copy_in_mid_message_goes_its_own_way),
        cmocka_unit_test(equality_holds_across_providers),
        cmocka_unit_test(only_the_public_half_is_exported),
        cmocka_unit_test(a_pss_salt_is_as_long_as_asked),
        cmocka_unit_test(pss_without_a_digest_is_an_error),
        cmocka_unit_test(a_digest_of_another_length_is_refused),
        cmocka_unit_test(a_certificate_names_its_signature),
        cmocka_unit_test(a_software_key_cannot_be_taken_in),
        cmocka_unit_test(a_key_is_made_on_the_token),
    };

    return can_run() ? cmocka_run_group_tests(tests, set_up, tear_down) : 77;
}
