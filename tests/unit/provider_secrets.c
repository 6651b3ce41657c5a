/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that are meant for a key: OAEP, key agreement, digital envelopes, CMS; and what a key cannot do. */
#include "provider-rows.h"

#include <openssl/cms.h>

static int recrypt(OSSL_LIB_CTX *in_context, EVP_PKEY *key, bool encrypts, const char *digest, const void *in,
                   size_t in_len, unsigned char *out, size_t *len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(in_context, key, NULL);
    int ok =
        (encrypts ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx)) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, digest, NULL) == 1 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, digest, NULL) == 1 &&
        (encrypts ? EVP_PKEY_encrypt(ctx, out, len, in, in_len) : EVP_PKEY_decrypt(ctx, out, len, in, in_len)) == 1;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static void oaep_goes_in_and_out(void **state)
{
    static const char *const hashes[] = { "SHA1", "SHA256", "SHA384", "SHA512" };
    const struct subject *subject = *state;

    for (int i = 0; i < 4; i++) {
        unsigned char secret[512], out[512];
        size_t len = sizeof(secret), out_len = sizeof(out);

        assert_true(recrypt(plain, subject->public, true, hashes[i], "secret", 6, secret, &len));
        assert_true(recrypt(libctx, subject->key, false, hashes[i], secret, len, out, &out_len));
        assert_int_equal(out_len, 6);
        assert_memory_equal(out, "secret", 6);
        len = out_len = sizeof(out);
        assert_true(recrypt(libctx, subject->key, true, hashes[i], "secret", 6, secret, &len));
        assert_true(recrypt(libctx, subject->twin, false, hashes[i], secret, len, out, &out_len));
        assert_memory_equal(out, "secret", 6);
        secret[9] ^= 1;
        out_len = sizeof(out);
        assert_false(recrypt(libctx, subject->key, false, hashes[i], secret, len, out, &out_len));
        assert_reason();
    }
}

static size_t agree(OSSL_LIB_CTX *in_context, EVP_PKEY *key, EVP_PKEY *peer, unsigned char *secret, size_t len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(in_context, key, NULL);
    int ok = EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
             EVP_PKEY_derive(ctx, secret, &len) == 1;

    EVP_PKEY_CTX_free(ctx);
    return ok ? len : 0;
}

static void both_sides_agree(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY *other = EVP_PKEY_Q_keygen(plain, NULL, "EC", kinds[subject->kind].group), *peer;
    unsigned char one[80], two[80], *der = NULL;
    const unsigned char *at;
    int len = i2d_PUBKEY(other, &der);
    size_t secret_len;

    at = der;
    peer = d2i_PUBKEY_ex(NULL, &at, len, libctx, NULL);
    secret_len = agree(libctx, subject->key, peer, one, sizeof(one));
    assert_int_equal(secret_len, (EVP_PKEY_get_bits(other) + 7) / 8);
    assert_int_equal(agree(plain, other, subject->public, two, sizeof(two)), secret_len);
    assert_memory_equal(one, two, secret_len);
    OPENSSL_free(der);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(other);
}

/* A digital envelope has PKCS#1 padding: anyone may close it, a token opens none unless it was told to. */
static void an_envelope_is_closed_only(void **state)
{
    const struct subject *subject = *state;
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(libctx, "AES-128-CBC", NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char key[512], iv[16], *keys[] = { key };
    EVP_PKEY *holders[] = { subject->key };
    int len;

    assert_int_equal(EVP_SealInit(ctx, cipher, keys, &len, iv, holders, 1), 1);
    EVP_CIPHER_CTX_reset(ctx);
    assert_int_not_equal(EVP_OpenInit(ctx, cipher, key, len, iv, subject->twin), 0);
    EVP_CIPHER_CTX_reset(ctx);
    assert_int_equal(EVP_OpenInit(ctx, cipher, key, len, iv, subject->key), 0);
    assert_reason();
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
}

/* For an RSA key with OAEP, for an EC key by key agreement. */
static void a_message_for_the_key_is_read_with_cms(void **state)
{
    const struct subject *subject = *state;
    X509 *certificate = self_signed(subject), *read = in_plain(certificate);
    BIO *data = BIO_new_mem_buf("data", 4), *out = BIO_new(BIO_s_mem()), *der = BIO_new(BIO_s_mem());
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(plain, "AES-128-CBC", NULL);
    CMS_ContentInfo *cms = CMS_encrypt_ex(NULL, data, cipher, CMS_PARTIAL | CMS_BINARY, plain, NULL);
    CMS_ContentInfo *copy = CMS_ContentInfo_new_ex(libctx, NULL);
    CMS_RecipientInfo *recipient = CMS_add1_recipient_cert(cms, read, CMS_KEY_PARAM);
    char text[8];

    assert_non_null(recipient);
    if (type_of(subject->kind) == RSA_KEYS)
        assert_int_equal(
            EVP_PKEY_CTX_set_rsa_padding(CMS_RecipientInfo_get0_pkey_ctx(recipient), RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(CMS_final(cms, data, NULL, CMS_BINARY), 1);
    assert_int_equal(i2d_CMS_bio(der, cms), 1);
    assert_non_null(d2i_CMS_bio(der, &copy));
    assert_int_equal(CMS_decrypt(copy, subject->key, certificate, NULL, out, CMS_BINARY), 1);
    assert_int_equal(BIO_read(out, text, sizeof(text)), 4);
    assert_memory_equal(text, "data", 4);
    ERR_clear_error(); /* OpenSSL's own, of ways that it tried before */
    CMS_ContentInfo_free(cms);
    CMS_ContentInfo_free(copy);
    EVP_CIPHER_free(cipher);
    BIO_free(data);
    BIO_free(out);
    BIO_free(der);
    X509_free(read);
    X509_free(certificate);
}

static void what_a_key_cannot_do_is_refused(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, subject->key, NULL);
    int (*const inits[])(EVP_PKEY_CTX *) = { EVP_PKEY_encrypt_init, EVP_PKEY_decrypt_init, EVP_PKEY_derive_init };

    for (int i = 0; i < 3; i++) {
        if (type_of(subject->kind) == (i < 2 ? RSA_KEYS : EC_KEYS))
            continue;
        assert_int_not_equal(inits[i](ctx), 1);
        assert_reason();
    }
    EVP_PKEY_CTX_free(ctx);
}

int main(void)
{
    static const struct row rows[] = {
        { "OAEP", oaep_goes_in_and_out, RSA_KEYS },
        { "derive", both_sides_agree, EC_KEYS },
        { "EVP_SealInit and EVP_OpenInit", an_envelope_is_closed_only, RSA_KEYS },
        { "CMS_decrypt", a_message_for_the_key_is_read_with_cms, HASHING },
        { "what a key cannot do", what_a_key_cannot_do_is_refused, ALL_TYPES },
    };

    return run_rows(rows, sizeof(rows) / sizeof(*rows));
}
