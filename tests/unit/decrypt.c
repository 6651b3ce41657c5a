/* SPDX-License-Identifier: Apache-2.0 */
/* RSA decryption, also on tokens that know no OAEP, or one kind of it: the core unpads for them. */
#include "rsa.h"

#define NO_OAEP (1u << HX_RSA_OAEP)
#define NO_RAW (1u << HX_RSA_RAW)

static const char secret[] = "a key to a message";

static const struct hx_alg raw = { .scheme = HX_RSA_RAW };

/* block: what is encrypted as it is; NULL: the secret, padded as alg says. */
static void encrypt(struct hx_key *key, const struct hx_alg *alg, const void *block, size_t len, struct hx_bytes *ret)
{
    EVP_PKEY *public = public_of(key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(own, public, NULL);
    void *label = alg->param.len ? OPENSSL_memdup(alg->param.data, alg->param.len) : NULL;
    unsigned char out[512];
    size_t out_len = sizeof out;

    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, block ? RSA_NO_PADDING : RSA_PKCS1_OAEP_PADDING), 1);
    if (!block) {
        const char *mask = digest_name(alg->mgf_hash ? alg->mgf_hash : alg->hash);

        assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md_name(context, digest_name(alg->hash), NULL), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, mask, NULL), 1);
        if (label)
            assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(context, label, (int)alg->param.len), 1);
        block = secret;
        len = sizeof secret;
    }
    assert_int_equal(EVP_PKEY_encrypt(context, out, &out_len, block, len), 1);
    hx_bytes_free(ret);
    assert_int_equal(bytes_append(ret, out, out_len), HX_OK);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(public);
}

/* Is it the secret? */
static int decrypt(struct hx_key *key, const struct hx_alg *alg, const struct hx_bytes *cipher)
{
    struct hx_bytes plain = { 0 };
    int result = hx_decrypt(key, alg, cipher->data, cipher->len, &plain);

    if (result)
        assert_null(plain.data);
    else
        assert_true(bytes_equal(plain.data, plain.len, secret, sizeof secret));
    hx_bytes_free(&plain);
    return result;
}

static const struct hx_alg oaeps[] = {
    { .scheme = HX_RSA_OAEP, .hash = HX_SHA1 },
    { .scheme = HX_RSA_OAEP, .hash = HX_SHA1, .param = { "label", 5 } },
    { .scheme = HX_RSA_OAEP, .hash = HX_SHA1, .mgf_hash = HX_SHA256 },
    { .scheme = HX_RSA_OAEP, .hash = HX_SHA256 },
    { .scheme = HX_RSA_OAEP, .hash = HX_SHA256, .mgf_hash = HX_SHA1, .param = { "other", 5 } },
    { .scheme = HX_RSA_OAEP, .hash = HX_SHA384 },
    { .scheme = HX_RSA_OAEP, .hash = HX_SHA512, .param = { "a\0b", 3 } },
};

enum { OAEPS = sizeof oaeps / sizeof *oaeps };

static void what_the_token_does_not_know_the_core_unpads(void **state)
{
    static const uint32_t lengths[] = { 2048, 2047, 1025 + 256 };
    struct hx_bytes cipher = { 0 };

    (void)state;
    for (int able = 0; able < 3; able++)
        for (size_t i = 0; i < OAEPS; i++) {
            struct hx_key *key = fresh_key(lengths[able]);
            bool pads = able == 0 || (able == 1 && i);

            fake->refused_schemes = able ? 0 : NO_OAEP;
            fake->plain_oaep = able == 1;
            encrypt(key, &oaeps[i], NULL, 0, &cipher);
            expect_result(decrypt(key, &oaeps[i], &cipher), HX_OK);
            expect_work(pads ? 2 : 1, HX_RSA_OAEP, !pads, pads);
            for (int j = 0; j < 5; j++) {
                encrypt(key, &oaeps[i], NULL, 0, &cipher);
                expect_result(decrypt(key, &oaeps[i], &cipher), HX_OK);
                expect_work(1, HX_RSA_OAEP, !pads, pads);
            }
            hx_key_close(key);
        }
    hx_bytes_free(&cipher);
}

/* With a label it cannot, without one it can. */
static void each_kind_keeps_its_own_way(void **state)
{
    struct hx_key *key = fresh_key(2048);
    struct hx_bytes cipher[OAEPS] = { { 0 } };

    (void)state;
    fake->plain_oaep = true;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < OAEPS; i++) {
            encrypt(key, &oaeps[i], NULL, 0, &cipher[i]);
            expect_result(decrypt(key, &oaeps[i], &cipher[i]), HX_OK);
            expect_work(round || !i ? 1 : 2, HX_RSA_OAEP, !i, i != 0);
        }
    for (size_t i = 0; i < OAEPS; i++)
        hx_bytes_free(&cipher[i]);
    hx_key_close(key);
}

static void a_token_that_cannot_is_refused_with_what_to_do(void **state)
{
    struct hx_key *key = fresh_key(2048);
    struct hx_bytes cipher = { 0 };

    (void)state;
    fake->refused_schemes = NO_OAEP | NO_RAW;
    encrypt(key, &oaeps[3], NULL, 0, &cipher);
    expect_result(decrypt(key, &oaeps[3], &cipher), HX_E_UNSUPPORTED);
    assert_string_equal(hx_last_error(),
                        "token 'edge': decrypt: not supported; nor can it do raw RSA, for hsmux to pad in its place: "
                        "have it encrypted with SHA-1 and no label, which most tokens know");
    hx_bytes_free(&cipher);
    hx_key_close(key);
}

/* The block that pads the secret, to be broken at will. */
static void make_block(struct hx_key *key, struct hx_bytes *ret)
{
    struct hx_bytes cipher = { 0 };

    encrypt(key, &oaeps[3], NULL, 0, &cipher);
    expect_result(hx_decrypt(key, &raw, cipher.data, cipher.len, ret), HX_OK);
    hx_bytes_free(&cipher);
}

/* In a block that is not masked, each part can be aimed at.  With OAEP's masks all damage looks alike but that to the
 * first byte (Manger's oracle), to the masked seed, and to the masked rest, so these are tried all over. */
static void bad_padding_of_any_kind_looks_alike(void **state)
{
    static const size_t at[] = { 0, 1, 16, 32, 33, 64, 65, 128, 254, 255 };
    struct hx_alg alg = oaeps[3], labelled = oaeps[3];
    struct hx_bytes block = { 0 }, cipher = { 0 };
    struct hx_key *key = fresh_key(2048);
    char reason[256] = "token 'edge': decrypt: the ciphertext was not made for this key, hash and label";
    unsigned char broken[256];

    (void)state;
    make_block(key, &block);
    fake->refused_schemes = NO_OAEP;
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        memcpy(broken, block.data, sizeof broken);
        broken[at[i]] ^= 1;
        encrypt(key, &alg, broken, sizeof broken, &cipher);
        expect_result(decrypt(key, &alg, &cipher), HX_E_INVALID);
        assert_string_equal(hx_last_error(), reason);
        assert_int_equal(ERR_peek_error(), 0);
    }
    labelled.param = (struct hx_buf){ "label", 5 };
    encrypt(key, &alg, block.data, block.len, &cipher);
    expect_result(decrypt(key, &labelled, &cipher), HX_E_INVALID);
    assert_string_equal(hx_last_error(), reason);
    alg.hash = HX_SHA512;
    expect_result(decrypt(key, &alg, &cipher), HX_E_INVALID);
    assert_string_equal(hx_last_error(), reason);
    memset(broken, 0, sizeof broken);
    broken[255] = 1;
    encrypt(key, &alg, broken, sizeof broken, &cipher);
    expect_result(decrypt(key, &alg, &cipher), HX_E_INVALID);
    assert_string_equal(hx_last_error(), reason);
    alg.hash = HX_SHA256;
    encrypt(key, &alg, block.data, block.len, &cipher);
    expect_result(decrypt(key, &alg, &cipher), HX_OK);
    hx_bytes_free(&cipher);
    hx_bytes_free(&block);
    hx_key_close(key);
}

static void a_ciphertext_is_as_wide_as_the_modulus(void **state)
{
    static const size_t lengths[] = { 0, 1, 255, 257, 512 };
    struct hx_key *key = fresh_key(2048);
    unsigned char zeroes[512] = { 0 };
    struct hx_bytes plain = { 0 };

    (void)state;
    forget_calls(fake);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        expect_result(hx_decrypt(key, &oaeps[3], zeroes, lengths[i], &plain), HX_E_INVALID);
        expect_said("'hsm:edge/key/device': the ciphertext has ");
        expect_said("bytes, where the key has 256");
        expect_result(hx_decrypt(key, &raw, zeroes, lengths[i], &plain), HX_E_INVALID);
        expect_result(hx_sign(key, &raw, zeroes, lengths[i], &plain), HX_E_INVALID);
        expect_said("the input has ");
    }
    assert_null(plain.data);
    assert_int_equal(fake->calls[FAKE_DECRYPT] + fake->calls[FAKE_SIGN], 0);
    hx_key_close(key);
}

static void zeroes_that_the_token_cut_are_put_back(void **state)
{
    struct hx_key *key = fresh_key(2048);
    struct hx_bytes cipher = { 0 }, plain = { 0 };
    unsigned char number[256] = { 0 };

    (void)state;
    fake->cut_zeroes = true;
    for (size_t first = 1; first < sizeof number; first += 50) {
        memset(number, 0, sizeof number);
        memset(number + first, 0x5a, sizeof number - first);
        encrypt(key, &raw, number, sizeof number, &cipher);
        expect_result(hx_decrypt(key, &raw, cipher.data, cipher.len, &plain), HX_OK);
        assert_true(bytes_equal(plain.data, plain.len, number, sizeof number));
        hx_bytes_free(&plain);
        expect_result(hx_sign(key, &raw, cipher.data, cipher.len, &plain), HX_OK);
        assert_true(bytes_equal(plain.data, plain.len, number, sizeof number));
        hx_bytes_free(&plain);
    }
    fake->refused_schemes = NO_OAEP; /* its blocks begin with a zero */
    encrypt(key, &oaeps[3], NULL, 0, &cipher);
    expect_result(decrypt(key, &oaeps[3], &cipher), HX_OK);
    fake->cut_zeroes = false;
    fake->long_results = true;
    expect_result(hx_decrypt(key, &raw, cipher.data, cipher.len, &plain), HX_E_DEVICE);
    expect_result(decrypt(key, &oaeps[3], &cipher), HX_E_DEVICE);
    expect_said("token 'edge': decrypt: the token's result has 257 bytes, where the modulus has 256");
    hx_bytes_free(&cipher);
    hx_key_close(key);
}

/* One that unpads and does nothing else, and one that does the bare operation alone. */
static void the_token_is_swapped_behind_our_back(void **state)
{
    static const uint32_t refused[] = { NO_OAEP, NO_RAW, NO_OAEP, NO_OAEP | NO_RAW, NO_RAW };
    struct hx_key *key = fresh_key(2048);
    struct hx_bytes cipher = { 0 };

    (void)state;
    encrypt(key, &oaeps[3], NULL, 0, &cipher);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        fake->refused_schemes = refused[i];
        fake->lose(0);
        for (int j = 0; j < 2; j++)
            expect_result(decrypt(key, &oaeps[3], &cipher),
                          refused[i] == (NO_OAEP | NO_RAW) ? HX_E_UNSUPPORTED : HX_OK);
    }
    hx_bytes_free(&cipher);
    hx_key_close(key);
}

static void a_failure_is_no_inability(void **state)
{
    struct hx_key *key = fresh_key(2048);
    struct hx_bytes cipher = { 0 };

    (void)state;
    encrypt(key, &oaeps[3], NULL, 0, &cipher);
    expect_work(0, HX_RSA_OAEP, 0, 0);
    script(fake, FAKE_DECRYPT, HX_E_DEVICE, 1);
    expect_result(decrypt(key, &oaeps[3], &cipher), HX_E_DEVICE);
    expect_work(1, HX_RSA_OAEP, 0, 0);
    expect_result(decrypt(key, &oaeps[3], &cipher), HX_OK);
    expect_work(1, HX_RSA_OAEP, 1, 0);
    hx_bytes_free(&cipher);
    hx_key_close(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RSA_TEST(what_the_token_does_not_know_the_core_unpads),   RSA_TEST(each_kind_keeps_its_own_way),
        RSA_TEST(a_token_that_cannot_is_refused_with_what_to_do), RSA_TEST(bad_padding_of_any_kind_looks_alike),
        RSA_TEST(a_ciphertext_is_as_wide_as_the_modulus),         RSA_TEST(zeroes_that_the_token_cut_are_put_back),
        RSA_TEST(the_token_is_swapped_behind_our_back),           RSA_TEST(a_failure_is_no_inability),
    };

    return cmocka_run_group_tests(tests, rsa_build, rsa_strike);
}
