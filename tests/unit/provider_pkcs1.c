/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL provider: decryption with PKCS#1 v1.5 padding, or none.  Refused unless allowed; where it is allowed,
 * good and bad padding look alike from outside. */
#include "decrypting.h"

#include <openssl/rand.h>

enum { CLIENT = 0x0303, NEGOTIATED = 0x0301, SECRET = 48, LONGEST = WIDTH - 11, HASH = 32 };

static OSSL_PARAM pkcs1[] = { OSSL_PARAM_END, OSSL_PARAM_END };
static OSSL_PARAM none[] = { OSSL_PARAM_END, OSSL_PARAM_END };
static OSSL_PARAM tls[] = { OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END };
static unsigned client = CLIENT, negotiated = NEGOTIATED;
static int tls_padding = RSA_PKCS1_WITH_TLS_PADDING;

static void fill_params(void)
{
    pkcs1[0] = padding("pkcs1");
    none[0] = padding("none");
    tls[0] = OSSL_PARAM_construct_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, &tls_padding);
    tls[1] = number(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &client);
    tls[2] = number(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, &negotiated);
}

static void without_the_setting_it_is_refused(void **state)
{
    const OSSL_PARAM *modes[] = { pkcs1, none, tls, NULL };
    struct block plain = text("a secret"), cipher, back;
    EVP_PKEY_CTX *ctx;
    EVP_PKEY *key;

    (void)state;
    enter(strict, strict_ours);
    key = open_key(RSA_2048);
    assert_int_equal(encrypt(key, pkcs1, &plain, &cipher), 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(decrypt(key, modes[i], &cipher, &back), 0);
        assert_reason("'allow-rsa-pkcs1-decrypt = yes'");
        assert_int_equal(decrypt(key, modes[i], &cipher, &back), 0);
        assert_reason(i == 1 ? "padding none is switched off" : "padding pkcs1 is switched off");
        assert_int_equal(decrypt(key, modes[i], &cipher, &back), 0);
        assert_reason("use oaep");
    }
    ctx = begin(key, true, pkcs1);
    assert_int_equal(EVP_PKEY_decrypt(ctx, NULL, &back.len, cipher.data, cipher.len), 1);
    assert_int_equal(back.len, WIDTH);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    enter(allowed, allowed_ours);
}

static void a_setting_that_means_nothing_refuses_the_key(void **state)
{
    (void)state;
    libctx = context_with("allow-rsa-pkcs1-decrypt = perhaps");
    assert_null(fetch("hsm:soft/key/rsa", 0));
    assert_reason("'allow-rsa-pkcs1-decrypt = perhaps': say yes or no");
    OSSL_LIB_CTX_free(libctx);
    libctx = allowed;
}

static void good_padding_gives_what_the_twin_gives(void **state)
{
    EVP_PKEY *key = open_key(RSA_2048);
    struct block plain, cipher, mine, expected;

    (void)state;
    RAND_bytes(plain.data, WIDTH);
    for (plain.len = 0; plain.len <= LONGEST; plain.len += 35) {
        assert_int_equal(encrypt(plain.len % 2 ? twin : key, pkcs1, &plain, &cipher), 1);
        assert_int_equal(decrypt(twin, pkcs1, &cipher, &expected), 1);
        assert_int_equal(decrypt(key, plain.len ? pkcs1 : NULL, &cipher, &mine), 1);
        assert_same(&mine, &expected);
        assert_same(&mine, &plain);
        assert_int_equal(decrypt(twin, none, &cipher, &expected), 1);
        assert_int_equal(decrypt(key, none, &cipher, &mine), 1);
        assert_same(&mine, &expected);
    }
    for (unsigned version = NEGOTIATED; version <= CLIENT; version += CLIENT - NEGOTIATED) {
        plain.len = SECRET;
        plain.data[0] = (unsigned char)(version >> 8);
        plain.data[1] = (unsigned char)version;
        assert_int_equal(encrypt(twin, pkcs1, &plain, &cipher), 1);
        assert_int_equal(decrypt(twin, tls, &cipher, &expected), 1);
        assert_int_equal(decrypt(key, tls, &cipher, &mine), 1);
        assert_same(&mine, &expected);
        assert_same(&mine, &plain);
    }
    assert_int_equal(ERR_peek_error(), 0);
    EVP_PKEY_free(key);
}

static void sha256(const void *data, size_t len, unsigned char ret[HASH])
{
    assert_int_equal(EVP_Digest(data, len, ret, NULL, EVP_sha256(), NULL), 1);
}

/* What the provider's decoys come from, by the private key that it does not have: the power of a number that begins
 * with one bit less than the modulus, ends in 01, and is MGF1 of fixed words and the public key between. */
static void decoy_secret(unsigned char ret[HASH])
{
    static const char words[] = "hsmux: whom does bad PKCS#1 padding tell nothing?";
    unsigned char seed[sizeof(words) + HASH + 2] = { 0 }, *der = NULL;
    struct block question = { .len = WIDTH }, answer;
    int len = i2d_PUBKEY(twin, &der);

    memcpy(seed, words, sizeof(words));
    sha256(der, (size_t)len, seed + sizeof(words));
    for (int i = 0; i < WIDTH / HASH; i++) {
        seed[sizeof(seed) - 1] = (unsigned char)i;
        sha256(seed, sizeof(seed), question.data + i * HASH);
    }
    question.data[0] = (question.data[0] & 0x7f) | 0x40;
    question.data[WIDTH - 1] = 1;
    assert_int_equal(decrypt(twin, none, &question, &answer), 1);
    sha256(answer.data, WIDTH, ret);
    OPENSSL_free(der);
}

static void hmac(const unsigned char key[HASH], const void *data, size_t len, unsigned char ret[HASH])
{
    assert_non_null(EVP_Q_mac(strict, "HMAC", NULL, "SHA256", NULL, key, HASH, data, len, ret, HASH, NULL));
}

/* The pseudo-random function of draft-irtf-cfrg-rsa-guidance. */
static void irprf(const unsigned char key[HASH], const char *label, unsigned char *ret, size_t size)
{
    unsigned char input[16];
    size_t len = strlen(label);

    for (size_t i = 0; i < size / HASH; i++) {
        input[0] = 0;
        input[1] = (unsigned char)i;
        memcpy(input + 2, label, len);
        input[len + 2] = (unsigned char)(size * 8 >> 8);
        input[len + 3] = (unsigned char)(size * 8);
        hmac(key, input, len + 4, ret + i * HASH);
    }
}

static void expected_decoy(const struct block *cipher, struct block *ret)
{
    unsigned char secret[HASH], key[HASH], bytes[WIDTH], lengths[256];

    decoy_secret(secret);
    hmac(secret, cipher->data, cipher->len, key);
    irprf(key, "message", bytes, WIDTH);
    irprf(key, "length", lengths, sizeof(lengths));
    ret->len = 0;
    for (int i = 0; i < 256; i += 2)
        if (lengths[i + 1] <= LONGEST)
            ret->len = lengths[i + 1];
    memcpy(ret->data, bytes + WIDTH - ret->len, ret->len);
}

/* A padded message of 48 bytes that names the client's version. */
static void pad(struct block *ret)
{
    ret->len = WIDTH;
    RAND_bytes(ret->data, WIDTH);
    for (int i = 2; i < WIDTH - SECRET - 1; i++)
        ret->data[i] |= 1;
    ret->data[0] = 0;
    ret->data[1] = 2;
    ret->data[WIDTH - SECRET - 1] = 0;
    ret->data[WIDTH - SECRET] = CLIENT >> 8;
    ret->data[WIDTH - SECRET + 1] = CLIENT & 0xff;
}

enum { NOT_ZERO, NOT_TWO, SIGNATURE, EARLY_ZERO, LATE_ZERO, NO_ZERO, VERSION, BAD };

static void spoil(struct block *block, int how)
{
    pad(block);
    switch (how) {
    case NOT_ZERO:
        block->data[0] = 1;
        break;
    case NOT_TWO:
        block->data[1] = 3;
        break;
    case SIGNATURE:
        block->data[1] = 1;
        break;
    case EARLY_ZERO:
        block->data[2] = 0;
        break;
    case LATE_ZERO:
        block->data[9] = 0;
        break;
    case NO_ZERO:
        for (int i = 2; i < WIDTH; i++)
            block->data[i] |= 1;
        break;
    default:
        block->data[WIDTH - SECRET + 1] = 2;
    }
}

/* The key as another process would have it: opened anew, with nothing remembered. */
static void decrypt_afresh(const OSSL_PARAM params[], const struct block *cipher, struct block *ret)
{
    EVP_PKEY *key = open_key(RSA_2048);

    assert_int_equal(decrypt(key, params, cipher, ret), 1);
    assert_int_equal(ERR_peek_error(), 0);
    EVP_PKEY_free(key);
}

static void bad_padding_gives_a_decoy_for_ever(void **state)
{
    EVP_PKEY *key = open_key(RSA_2048);
    struct block block, cipher, back, again, expected;

    (void)state;
    for (int how = 0; how < VERSION; how++) {
        spoil(&block, how);
        assert_int_equal(encrypt(twin, none, &block, &cipher), 1);
        assert_int_equal(decrypt(key, pkcs1, &cipher, &back), 1);
        assert_int_equal(ERR_peek_error(), 0);
        expected_decoy(&cipher, &expected);
        assert_same(&back, &expected);
        assert_int_equal(decrypt(key, pkcs1, &cipher, &again), 1);
        assert_same(&back, &again);
        decrypt_afresh(pkcs1, &cipher, &again);
        assert_same(&back, &again);
    }
    EVP_PKEY_free(key);
}

/* Only a public look at the ciphertext may end in an error: its length, and that it is below the modulus. */
static void any_ciphertext_decrypts(void **state)
{
    EVP_PKEY *key = open_key(RSA_2048);
    EVP_PKEY_CTX *ctx = begin(key, true, pkcs1);
    bool slow = is_softhsm() || is_tpm();
    int rounds = slow ? 300 : 10000, lengths = 0;
    struct block cipher = { .len = WIDTH }, back;
    bool seen[WIDTH] = { false };

    (void)state;
    for (int i = 0; i < rounds; i++) {
        RAND_bytes(cipher.data, WIDTH);
        cipher.data[0] &= 0x7f;
        back.len = WIDTH;
        assert_int_equal(EVP_PKEY_decrypt(ctx, back.data, &back.len, cipher.data, WIDTH), 1);
        assert_true(back.len <= LONGEST);
        assert_int_equal(ERR_peek_error(), 0);
        lengths += !seen[back.len];
        seen[back.len] = true;
    }
    assert_true(lengths > (slow ? 100 : 235)); /* they are spread over all that can be */
    memset(cipher.data, 0xff, WIDTH);
    assert_int_equal(EVP_PKEY_decrypt(ctx, back.data, &back.len, cipher.data, WIDTH), 0);
    ERR_clear_error();
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static void a_bad_premaster_secret_is_a_random_one(void **state)
{
    EVP_PKEY *key = open_key(RSA_2048);
    struct block block, cipher, back, again;

    (void)state;
    for (int how = 0; how < BAD; how++) {
        spoil(&block, how);
        assert_int_equal(encrypt(twin, none, &block, &cipher), 1);
        assert_int_equal(decrypt(key, tls, &cipher, &back), 1);
        assert_int_equal(decrypt(key, tls, &cipher, &again), 1);
        assert_int_equal(ERR_peek_error(), 0);
        assert_int_equal(back.len, SECRET);
        assert_int_equal(again.len, SECRET);
        assert_memory_not_equal(back.data, block.data + WIDTH - SECRET, SECRET);
        assert_memory_not_equal(back.data, again.data, SECRET);
    }
    EVP_PKEY_free(key);
}

static void a_premaster_secret_needs_room_and_a_version(void **state)
{
    EVP_PKEY *key = open_key(RSA_2048);
    EVP_PKEY_CTX *ctx = begin(key, true, tls);
    OSSL_PARAM bare[] = { tls[0], OSSL_PARAM_construct_end() };
    struct block block, cipher, back;
    size_t len = 0;

    (void)state;
    pad(&block);
    assert_int_equal(encrypt(twin, none, &block, &cipher), 1);
    assert_int_equal(EVP_PKEY_decrypt(ctx, NULL, &len, cipher.data, WIDTH), 1);
    assert_int_equal(len, SECRET);
    assert_int_equal(EVP_PKEY_decrypt(ctx, back.data, &len, cipher.data, WIDTH), 1);
    assert_memory_equal(back.data, block.data + WIDTH - SECRET, SECRET);
    len = SECRET - 1;
    assert_int_equal(EVP_PKEY_decrypt(ctx, back.data, &len, cipher.data, WIDTH), 0);
    assert_reason("room for 47 bytes, not 48");
    assert_int_equal(decrypt(key, bare, &cipher, &back), 0);
    assert_reason("no tls client version");
    assert_int_equal(encrypt(key, tls, &block, &cipher), 0);
    assert_reason("encryption: not of 256 bytes");
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_setting_it_is_refused),
        cmocka_unit_test(a_setting_that_means_nothing_refuses_the_key),
        cmocka_unit_test(good_padding_gives_what_the_twin_gives),
        cmocka_unit_test(bad_padding_gives_a_decoy_for_ever),
        cmocka_unit_test(any_ciphertext_decrypts),
        cmocka_unit_test(a_bad_premaster_secret_is_a_random_one),
        cmocka_unit_test(a_premaster_secret_needs_room_and_a_version),
    };

    fill_params();
    return can_run() ? cmocka_run_group_tests(tests, set_up_allowed, tear_down_allowed) : 77;
}
