/* SPDX-License-Identifier: Apache-2.0 */
/* Good and bad signatures of every scheme, made with software keys. */
#include "der.h"
#include "encode.h"
#include "keys.h"

#include <hsmux/hsmux.h>

static const unsigned char digest[64] = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDE";

static const EVP_MD *md_of(uint32_t hash)
{
    switch (hash) {
    case HX_SHA1:
        return EVP_sha1();
    case HX_SHA256:
        return EVP_sha256();
    case HX_SHA384:
        return EVP_sha384();
    }
    return hash ? EVP_sha512() : NULL;
}

static void set_rsa(EVP_PKEY_CTX *ctx, const struct hx_alg *alg, int salt)
{
    int padding = alg->scheme == HX_RSA_PSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;

    if (alg->hash)
        assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, md_of(alg->hash)), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, alg->scheme == HX_RSA_RAW ? RSA_NO_PADDING : padding), 1);
    if (alg->scheme != HX_RSA_PSS)
        return;
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt), 1);
    if (alg->mgf_hash)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(alg->mgf_hash)), 1);
}

static struct hx_bytes sign_salted(EVP_PKEY *key, const struct hx_alg *alg, int salt, const void *in, size_t len)
{
    unsigned char buffer[1024];
    size_t size = sizeof buffer;
    struct hx_bytes sig = { 0 };

    if (alg->scheme == HX_EDDSA) {
        EVP_MD_CTX *md = EVP_MD_CTX_new();

        assert_int_equal(EVP_DigestSignInit_ex(md, NULL, NULL, own, NULL, key, NULL), 1);
        assert_int_equal(EVP_DigestSign(md, buffer, &size, in, len), 1);
        EVP_MD_CTX_free(md);
    } else {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(own, key, NULL);

        assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
        if (alg->scheme != HX_ECDSA)
            set_rsa(ctx, alg, salt);
        assert_int_equal(EVP_PKEY_sign(ctx, buffer, &size, in, len), 1);
        EVP_PKEY_CTX_free(ctx);
    }
    assert_int_equal(bytes_append(&sig, buffer, size), 0);
    return sig;
}

static struct hx_bytes sign(EVP_PKEY *key, const struct hx_alg *alg, const void *in, size_t len)
{
    return sign_salted(key, alg, (int)alg->salt_len, in, len);
}

/* Good as it is; bad with a bit of the signature or of the input flipped, cut short, or under another key. */
static void judge(EVP_PKEY *key, EVP_PKEY *other, const struct hx_alg *alg, size_t len)
{
    AUTO_BYTES struct hx_bytes spki = key_spki(key), foreign = key_spki(other), in = { 0 }, sig = { 0 };

    assert_int_equal(bytes_append(&in, digest, len), 0);
    sig = sign(key, alg, in.data, in.len);
    assert_int_equal(encode_verify(spki.data, spki.len, alg, in.data, in.len, sig.data, sig.len), 0);
    assert_int_equal(encode_verify(foreign.data, foreign.len, alg, in.data, in.len, sig.data, sig.len), HX_E_DEVICE);
    for (size_t bit = 3; bit < 8 * sig.len; bit += 61) {
        sig.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_int_equal(encode_verify(spki.data, spki.len, alg, in.data, in.len, sig.data, sig.len), HX_E_DEVICE);
        sig.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_int_equal(encode_verify(spki.data, spki.len, alg, in.data, in.len, sig.data, sig.len - 1), HX_E_DEVICE);
    assert_int_equal(encode_verify(spki.data, spki.len, alg, in.data, in.len, sig.data, 0), HX_E_DEVICE);
    if (!in.len)
        return;
    in.data[0] ^= 1;
    assert_int_equal(encode_verify(spki.data, spki.len, alg, in.data, in.len, sig.data, sig.len), HX_E_DEVICE);
}

static void rsa_signatures_of_every_hash_and_salt_are_judged(void **state)
{
    EVP_PKEY *key = key_make("RSA:2048"), *other = key_make("RSA:2048");

    (void)state;
    for (uint32_t hash = HX_SHA1; hash <= HX_SHA512; hash++) {
        struct hx_alg pkcs1 = { .scheme = HX_RSA_PKCS1, .hash = hash };
        uint32_t salts[] = { 0, 20, (uint32_t)hash_size(hash), 254 - (uint32_t)hash_size(hash) };

        judge(key, other, &pkcs1, hash_size(hash));
        for (size_t i = 0; i < 4; i++) {
            struct hx_alg pss = { .scheme = HX_RSA_PSS, .hash = hash, .salt_len = salts[i] };

            judge(key, other, &pss, hash_size(hash));
            pss.mgf_hash = HX_SHA1;
            judge(key, other, &pss, hash_size(hash));
        }
    }
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void rsa_without_a_hash_takes_any_bytes(void **state)
{
    struct hx_alg alg = { .scheme = HX_RSA_PKCS1 }, raw = { .scheme = HX_RSA_RAW };
    EVP_PKEY *key = key_make("RSA:2048"), *other = key_make("RSA:2048");
    unsigned char number[256] = { 0, 0x5a, [255] = 3 };
    AUTO_BYTES struct hx_bytes spki = key_spki(key), sig = sign(key, &raw, number, sizeof number);

    (void)state;
    judge(key, other, &alg, 51);
    judge(key, other, &alg, 20);
    judge(key, other, &alg, 1);
    assert_int_equal(encode_verify(spki.data, spki.len, &raw, number, sizeof number, sig.data, sig.len), 0);
    number[255] = 2;
    assert_int_equal(encode_verify(spki.data, spki.len, &raw, number, sizeof number, sig.data, sig.len), HX_E_DEVICE);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void another_salt_than_asked_for_is_told_with_both_lengths(void **state)
{
    struct hx_alg alg = { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 32 };
    EVP_PKEY *key = key_make("RSA:2048");
    AUTO_BYTES struct hx_bytes spki = key_spki(key), sig = sign_salted(key, &alg, 222, digest, 32);

    (void)state;
    assert_int_equal(encode_verify(spki.data, spki.len, &alg, digest, 32, sig.data, sig.len), HX_E_DEVICE);
    assert_non_null(strstr(hx_last_error(), "salt of 222 bytes, where 32 were asked for"));
    sig.data[9] ^= 1;
    assert_int_equal(encode_verify(spki.data, spki.len, &alg, digest, 32, sig.data, sig.len), HX_E_DEVICE);
    assert_null(strstr(hx_last_error(), "salt"));
    EVP_PKEY_free(key);
}

static void ecdsa_is_judged_for_digests_longer_and_shorter_than_the_curve(void **state)
{
    static const char *const names[] = { "EC:P-256", "EC:P-384", "EC:P-521" };
    struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA512 };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = key_make(names[i]), *other = key_make(names[i]);

        judge(key, other, &alg, 64);
        judge(key, other, &alg, 32);
        judge(key, other, &alg, 20);
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
    }
}

static void a_digest_may_be_cut_to_the_curves_width(void **state)
{
    struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA512 };
    EVP_PKEY *key = key_make("EC:P-256");
    AUTO_BYTES struct hx_bytes spki = key_spki(key), sig = sign(key, &alg, digest, 32);

    (void)state;
    assert_int_equal(encode_verify(spki.data, spki.len, &alg, digest, 64, sig.data, sig.len), 0);
    assert_int_equal(encode_verify(spki.data, spki.len, &alg, digest, 32, sig.data, sig.len), 0);
    assert_int_equal(encode_verify(spki.data, spki.len, &alg, digest, 31, sig.data, sig.len), HX_E_DEVICE);
    EVP_PKEY_free(key);
}

static void ed25519_is_judged_even_of_an_empty_message(void **state)
{
    struct hx_alg alg = { .scheme = HX_EDDSA };
    EVP_PKEY *key = key_make("ED25519"), *other = key_make("ED25519");

    (void)state;
    judge(key, other, &alg, 64);
    judge(key, other, &alg, 0);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void what_cannot_be_verified_is_not_called_bad(void **state)
{
    static const struct {
        struct hx_alg alg;
        size_t len;
        int result;
    } wrong[] = {
        { { .scheme = HX_ECDSA, .hash = HX_SHA256 }, 32, HX_E_INVALID },
        { { .scheme = HX_EDDSA }, 32, HX_E_INVALID },
        { { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256 }, 31, HX_E_INVALID },
        { { .scheme = HX_RSA_PKCS1, .hash = 9 }, 32, HX_E_UNSUPPORTED },
        { { .scheme = HX_RSA_PSS }, 32, HX_E_INVALID },
        { { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .mgf_hash = 9 }, 32, HX_E_UNSUPPORTED },
        { { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 0xffffffff }, 32, HX_E_INVALID },
        { { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256, .param = { "x", 1 } }, 32, HX_E_UNSUPPORTED },
        { { .scheme = HX_RSA_OAEP }, 32, HX_E_UNSUPPORTED },
        { { .scheme = HX_HMAC }, 32, HX_E_UNSUPPORTED },
        { { .scheme = 0 }, 32, HX_E_UNSUPPORTED },
    };
    EVP_PKEY *key = key_make("RSA:1024");
    AUTO_BYTES struct hx_bytes spki = key_spki(key);

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(encode_verify(spki.data, spki.len, &wrong[i].alg, digest, wrong[i].len, digest, 64),
                         wrong[i].result);
    assert_int_equal(encode_verify(spki.data, spki.len - 1, &wrong[2].alg, digest, 32, digest, 64), HX_E_INVALID);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_signatures_of_every_hash_and_salt_are_judged),
        cmocka_unit_test(rsa_without_a_hash_takes_any_bytes),
        cmocka_unit_test(another_salt_than_asked_for_is_told_with_both_lengths),
        cmocka_unit_test(ecdsa_is_judged_for_digests_longer_and_shorter_than_the_curve),
        cmocka_unit_test(a_digest_may_be_cut_to_the_curves_width),
        cmocka_unit_test(ed25519_is_judged_even_of_an_empty_message),
        cmocka_unit_test(what_cannot_be_verified_is_not_called_bad),
    };

    return cmocka_run_group_tests(tests, keys_setup, keys_teardown);
}
