/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL provider: decryption and encryption with OAEP, and the parameters of both. */
#include "decrypting.h"

struct oaep {
    const char *digest, *mgf, *label;
};

/* The parameters for it, ended. */
static void oaep_params(const struct oaep *oaep, OSSL_PARAM ret[MANY])
{
    void *label = (void *)(uintptr_t)oaep->label;

    *ret++ = padding("oaep");
    if (oaep->digest)
        *ret++ = word(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, oaep->digest);
    if (oaep->mgf)
        *ret++ = word(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, oaep->mgf);
    if (oaep->label)
        *ret++ = OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label, strlen(oaep->label));
    *ret = OSSL_PARAM_construct_end();
}

static const struct oaep oaeps[] = {
    { NULL, NULL, NULL },          { "SHA1", NULL, NULL },      { "SHA256", NULL, NULL },
    { "SHA2-384", NULL, NULL },    { "SHA-512", NULL, NULL },   { "SHA256", "SHA1", NULL },
    { "SHA1", "SHA256", "label" }, { "SHA256", NULL, "label" }, { NULL, NULL, "another label" },
};

static void assert_both_ways(EVP_PKEY *key, const struct oaep *oaep, size_t len)
{
    struct block plain = { .len = len }, cipher, back;
    OSSL_PARAM params[MANY];

    oaep_params(oaep, params);
    memset(plain.data, 0x5a, len);
    assert_int_equal(encrypt(twin, params, &plain, &cipher), 1);
    if (!decrypt(key, params, &cipher, &back)) {
        ERR_print_errors_fp(stderr);
        fail_msg("oaep with %s, %s, label %s", oaep->digest, oaep->mgf, oaep->label);
    }
    assert_same(&plain, &back);
    assert_int_equal(encrypt(key, params, &plain, &cipher), 1);
    assert_int_equal(cipher.len, WIDTH);
    assert_int_equal(decrypt(twin, params, &cipher, &back), 1);
    assert_same(&plain, &back);
    assert_int_equal(ERR_peek_error(), 0);
}

static void oaep_goes_both_ways(void **state)
{
    EVP_PKEY *key = open_key(RSA_2048);

    (void)state;
    for (size_t i = 0; i < sizeof(oaeps) / sizeof(*oaeps); i++) {
        assert_both_ways(key, &oaeps[i], 0);
        assert_both_ways(key, &oaeps[i], 1);
        assert_both_ways(key, &oaeps[i], WIDTH - 2 * 64 - 2);
    }
    assert_both_ways(key, &oaeps[0], WIDTH - 2 * 20 - 2);
    EVP_PKEY_free(key);
}

static void another_label_or_digest_does_not_fit(void **state)
{
    static const struct oaep right = { "SHA256", NULL, "label" };
    static const struct oaep wrong[] = {
        { "SHA256", NULL, "lapel" }, { "SHA256", NULL, NULL }, { "SHA256", "SHA1", "label" }, { "SHA1", NULL, "label" }
    };
    struct block plain = text("a secret"), cipher, back;
    EVP_PKEY *key = open_key(RSA_2048);
    OSSL_PARAM params[MANY];

    (void)state;
    oaep_params(&right, params);
    assert_int_equal(encrypt(twin, params, &plain, &cipher), 1);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        oaep_params(&wrong[i], params);
        assert_int_equal(decrypt(key, params, &cipher, &back), 0);
        assert_reason("token 'soft'");
    }
    oaep_params(&right, params);
    assert_int_equal(decrypt(key, params, &cipher, &back), 1);
    cipher.data[100] ^= 1;
    assert_int_equal(decrypt(key, params, &cipher, &back), 0);
    assert_reason("token 'soft'");
    EVP_PKEY_free(key);
}

static void a_digest_that_tokens_lack_is_refused(void **state)
{
    static const struct oaep lacking[] = { { "SHA224", NULL, NULL }, { "SHA256", "MD5", NULL } };
    struct block plain = text("a secret"), cipher, back;
    EVP_PKEY *key = open_key(RSA_2048);
    OSSL_PARAM params[MANY];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        oaep_params(&lacking[i], params);
        assert_int_equal(encrypt(key, params, &plain, &cipher), 1);
        assert_int_equal(decrypt(twin, params, &cipher, &back), 1);
        assert_same(&plain, &back);
        assert_int_equal(decrypt(key, params, &cipher, &back), 0);
        assert_reason(i ? "digest 'MD5': tokens do not know it" : "digest 'SHA224': tokens do not know it");
    }
    EVP_PKEY_free(key);
}

static void sizes_are_asked_and_kept(void **state)
{
    struct block plain = text("a secret"), cipher, back;
    unsigned char more[WIDTH + 1] = { 0 }, out[WIDTH];
    EVP_PKEY *key = open_key(RSA_2048);
    OSSL_PARAM params[MANY];
    EVP_PKEY_CTX *ctx;
    size_t len = 0;

    (void)state;
    oaep_params(&oaeps[2], params);
    ctx = begin(key, false, params);
    assert_int_equal(EVP_PKEY_encrypt(ctx, NULL, &len, plain.data, plain.len), 1);
    assert_int_equal(len, WIDTH);
    EVP_PKEY_CTX_free(ctx);
    ctx = begin(key, true, params);
    do
        assert_int_equal(encrypt(twin, params, &plain, &cipher), 1);
    while (cipher.data[0]);
    len = 0;
    assert_int_equal(EVP_PKEY_decrypt(ctx, NULL, &len, cipher.data, cipher.len), 1);
    assert_int_equal(len, WIDTH);
    len = WIDTH - 1;
    assert_int_equal(EVP_PKEY_decrypt(ctx, out, &len, cipher.data, cipher.len), 0);
    assert_reason("room for 255 bytes, not 256");
    memcpy(more + 1, cipher.data, WIDTH);
    len = WIDTH;
    assert_int_equal(EVP_PKEY_decrypt(ctx, out, &len, more, sizeof(more)), 0);
    assert_reason("257 bytes, the key has 256");
    /* A number is the same without its leading zero, and the default provider takes it, too. */
    back.len = WIDTH;
    assert_int_equal(EVP_PKEY_decrypt(ctx, back.data, &back.len, cipher.data + 1, WIDTH - 1), 1);
    assert_same(&plain, &back);
    memset(cipher.data, 0xff, WIDTH);
    back.len = WIDTH;
    assert_int_equal(EVP_PKEY_decrypt(ctx, back.data, &back.len, cipher.data, WIDTH), 0);
    assert_reason("token 'soft'");
    EVP_PKEY_CTX_free(ctx);
    oaep_params(&oaeps[2], params);
    plain.len = WIDTH - 2 * 32 - 1;
    assert_int_equal(encrypt(key, params, &plain, &cipher), 0);
    assert_reason("encryption: not of 191 bytes");
    EVP_PKEY_free(key);
}

/* What a context answers when it is asked for everything, as one text. */
static void describe(EVP_PKEY_CTX *ctx, char *ret, size_t size)
{
    char digest[64] = "-", mgf[64] = "-", mode[64] = "-";
    unsigned client = 1, negotiated = 1;
    void *label = NULL;
    int pad = -1;
    OSSL_PARAM wanted[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, digest, sizeof(digest)),
        OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, mgf, sizeof(mgf)),
        OSSL_PARAM_construct_octet_ptr(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, &label, 0),
        OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &client),
        OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, &negotiated),
        OSSL_PARAM_construct_end(),
    };
    OSSL_PARAM mode_too[] = { OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, mode, sizeof(mode)),
                              OSSL_PARAM_construct_end() };

    assert_int_equal(EVP_PKEY_CTX_get_params(ctx, wanted), 1);
    assert_true(EVP_PKEY_CTX_get_rsa_padding(ctx, &pad) > 0);
    assert_int_equal(EVP_PKEY_CTX_get_params(ctx, mode_too), 1);
    snprintf(ret, size, "%s/%s/%d/%s/%.*s/%zu/%u/%u", digest, mgf, pad, mode, (int)wanted[2].return_size,
             label ? (char *)label : "", wanted[2].return_size, client, negotiated);
}

/* Each step is done to our context and to one of the default provider: both say the same after it. */
static void parameters_read_as_with_the_default_provider(void **state)
{
    static char label[] = "label", empty[] = "";
    unsigned client = 0x303, negotiated = 0x301;
    int none = RSA_NO_PADDING;
    const OSSL_PARAM steps[] = {
        padding("none"),
        padding("pkcs1"),
        padding("oaep"),
        word(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, "SHA256"),
        word(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, "SHA512"),
        word(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, "MD5"),
        OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label, 5),
        padding("oeap"),
        OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, empty, 0),
        number(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &client),
        number(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, &negotiated),
        OSSL_PARAM_construct_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, &none),
    };
    EVP_PKEY *key = open_key(RSA_2048);
    char mine[256], expected[256];

    (void)state;
    for (int decrypts = 0; decrypts < 2; decrypts++) {
        EVP_PKEY_CTX *ctx = begin(key, decrypts, NULL), *other = begin(twin, decrypts, NULL);

        for (size_t i = 0; i <= sizeof(steps) / sizeof(*steps); i++) {
            OSSL_PARAM one[] = { i ? steps[i - 1] : OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end() };

            assert_int_equal(EVP_PKEY_CTX_set_params(ctx, one), 1);
            assert_int_equal(EVP_PKEY_CTX_set_params(other, one), 1);
            describe(ctx, mine, sizeof(mine));
            describe(other, expected, sizeof(expected));
            assert_string_equal(mine, expected);
        }
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_CTX_free(other);
    }
    assert_int_equal(ERR_peek_error(), 0);
    EVP_PKEY_free(key);
}

static void what_cannot_be_is_refused_with_a_reason(void **state)
{
    static int pss = RSA_PKCS1_PSS_PADDING, eight = 8;
    static unsigned off = 0;
    const struct {
        OSSL_PARAM param;
        const char *reason;
    } refused[] = {
        { padding("x931"), "oaep, pkcs1 or none" },
        { padding("pss"), "oaep, pkcs1 or none" },
        { padding("0aep"), "oaep, pkcs1 or none" },
        { padding(""), "oaep, pkcs1 or none" },
        { padding(NULL), "oaep, pkcs1 or none" },
        { OSSL_PARAM_construct_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, &pss), "oaep, pkcs1 or none" },
        { OSSL_PARAM_construct_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, &eight), "oaep, pkcs1 or none" },
        { word(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, "SHA257"), "digest 'SHA257'" },
        { word(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL), "digest: not a name" },
        { word(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, ""), "digest ''" },
        { word(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL), "digest: not a name" },
        { OSSL_PARAM_construct_int(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, &pss), "digest: not a name" },
        { word(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, "label"), "not a string of bytes" },
        { word(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, "1.2"), "not a number" },
        { word(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, "1.2"), "not a number" },
        { number("implicit-rejection", &off), "cannot be switched off" },
    };
    EVP_PKEY *key = open_key(RSA_2048);
    EVP_PKEY_CTX *ctx = begin(key, true, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        OSSL_PARAM one[] = { refused[i].param, OSSL_PARAM_construct_end() };

        assert_int_equal(EVP_PKEY_CTX_set_params(ctx, one), 0);
        assert_reason(refused[i].reason);
        assert_null(begin(key, false, one));
        assert_reason(refused[i].reason);
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static void properties_choose_among_what_there_is(void **state)
{
    EVP_PKEY *key = open_key(RSA_2048);
    EVP_PKEY_CTX *ctx = begin(key, true, NULL);
    unsigned on = 0;
    OSSL_PARAM rejection[] = { number("implicit-rejection", &on), OSSL_PARAM_construct_end() };

    (void)state;
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, "SHA256", "provider=default"), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, "SHA256", "?fips=yes"), 1);
    assert_int_not_equal(EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, "SHA256", "provider=another"), 1);
    assert_reason("none has the properties 'provider=another'");
    assert_int_not_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, "SHA256", "fips=yes"), 1);
    assert_reason("none has the properties 'fips=yes'");
    assert_int_equal(EVP_PKEY_CTX_get_params(ctx, rejection), 1);
    assert_int_equal(on, 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(ctx, rejection), 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

/* A duplicate is made after each step, and goes on by itself when its original and the key are gone. */
static void a_duplicate_goes_on_from_any_stage(void **state)
{
    static const struct oaep oaep = { "SHA256", "SHA1", "label" };
    struct block plain = text("a secret"), cipher, back;
    OSSL_PARAM params[MANY], one[2] = { OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end() };

    (void)state;
    oaep_params(&oaep, params);
    assert_int_equal(encrypt(twin, params, &plain, &cipher), 1);
    for (int stage = 0; stage <= 5; stage++) {
        EVP_PKEY *key = open_key(RSA_2048);
        EVP_PKEY_CTX *ctx = begin(key, true, NULL), *copy = NULL;

        EVP_PKEY_free(key);
        for (int step = 0; step <= 4; step++) {
            if (step == stage) {
                copy = EVP_PKEY_CTX_dup(ctx);
                assert_non_null(copy);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
                EVP_PKEY_CTX_free(ctx);
                ctx = copy;
            }
            one[0] = params[step];
            assert_int_equal(EVP_PKEY_CTX_set_params(ctx, one), 1);
        }
        back.len = WIDTH;
        assert_int_equal(EVP_PKEY_decrypt(ctx, back.data, &back.len, cipher.data, cipher.len), 1);
        assert_same(&plain, &back);
        copy = EVP_PKEY_CTX_dup(ctx);
        EVP_PKEY_CTX_free(ctx);
        memset(&back, 0, sizeof(back));
        back.len = WIDTH;
        assert_int_equal(EVP_PKEY_decrypt(copy, back.data, &back.len, cipher.data, cipher.len), 1);
        assert_same(&plain, &back);
        EVP_PKEY_CTX_free(copy);
    }
}

/* The properties keep OpenSSL from giving the public key to the default provider. */
static void a_public_key_encrypts_only(void **state)
{
    EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(libctx, "RSA", "provider=hsmux"), *ctx;
    struct block plain = text("a secret"), cipher = { .len = WIDTH }, back;
    OSSL_PARAM params[MANY], *numbers = NULL;
    EVP_PKEY *key = NULL;

    (void)state;
    assert_int_equal(EVP_PKEY_todata(twin, EVP_PKEY_PUBLIC_KEY, &numbers), 1);
    assert_int_equal(EVP_PKEY_fromdata_init(make), 1);
    assert_int_equal(EVP_PKEY_fromdata(make, &key, EVP_PKEY_PUBLIC_KEY, numbers), 1);
    oaep_params(&oaeps[7], params);
    ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, "provider=hsmux");
    assert_int_equal(EVP_PKEY_encrypt_init_ex(ctx, params), 1);
    assert_ptr_equal(EVP_PKEY_CTX_get0_provider(ctx), ours);
    assert_int_equal(EVP_PKEY_encrypt(ctx, cipher.data, &cipher.len, plain.data, plain.len), 1);
    assert_int_equal(decrypt(twin, params, &cipher, &back), 1);
    assert_same(&plain, &back);
    assert_int_not_equal(EVP_PKEY_decrypt_init_ex(ctx, params), 1);
    assert_reason("a public key cannot decrypt");
    OSSL_PARAM_free(numbers);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_CTX_free(make);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oaep_goes_both_ways),
        cmocka_unit_test(another_label_or_digest_does_not_fit),
        cmocka_unit_test(a_digest_that_tokens_lack_is_refused),
        cmocka_unit_test(sizes_are_asked_and_kept),
        cmocka_unit_test(parameters_read_as_with_the_default_provider),
        cmocka_unit_test(what_cannot_be_is_refused_with_a_reason),
        cmocka_unit_test(properties_choose_among_what_there_is),
        cmocka_unit_test(a_duplicate_goes_on_from_any_stage),
        cmocka_unit_test(a_public_key_encrypts_only),
    };

    return can_run() ? cmocka_run_group_tests(tests, set_up_allowed, tear_down_allowed) : 77;
}
