/* SPDX-License-Identifier: Apache-2.0 */
/* Keys made on a token by EVP_PKEY_generate(): what they can be, and what is refused because they cannot. */
#include "provider-rows.h"

static EVP_PKEY_CTX *begin_keygen(const struct subject *subject)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, kinds[subject->kind].type, "provider=hsmux");

    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    return ctx;
}

/* What a token's key cannot have is refused when it is asked for, or when the key is made: never passed over. */
static void key_generation_refuses_what_it_cannot(void **state)
{
    static const char *const names[] = { "hsm-token", "bits",      "e",          "primes",    "group",
                                         "encoding",  "p",         "a",          "b",         "seed",
                                         "order",     "generator", "field-type", "dhkem-ikm", "anything" };
    const struct subject *subject = *state;
    unsigned char bytes[] = { 0xff, 0xfe, 0xfd };
    char text[] = "nonsense", label[64];
    int number = 4;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        OSSL_PARAM values[] = { OSSL_PARAM_construct_utf8_string(names[i], text, 0),
                                OSSL_PARAM_construct_int(names[i], &number),
                                OSSL_PARAM_construct_octet_string(names[i], bytes, sizeof(bytes)) };

        for (int type = 0; type < 3; type++) {
            OSSL_PARAM params[] = { values[type], OSSL_PARAM_construct_end() };
            EVP_PKEY_CTX *ctx = begin_keygen(subject);
            EVP_PKEY *key = NULL;

            snprintf(label, sizeof(label), "refused-%s-%zu-%d", kinds[subject->kind].label, i, type);
            assert_int_equal(EVP_PKEY_CTX_ctrl_str(ctx, "hsm-label", label), 1);
            if (EVP_PKEY_CTX_set_params(ctx, params) == 1 && EVP_PKEY_generate(ctx, &key) == 1)
                fail_msg("'%s', value %d: is taken", names[i], type);
            assert_reason();
            EVP_PKEY_free(key);
            EVP_PKEY_CTX_free(ctx);
        }
    }
}

static void a_key_is_made_like_another(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, subject->key, NULL);
    char label[32];
    EVP_PKEY *key = NULL;

    snprintf(label, sizeof(label), "like-%s", kinds[subject->kind].label);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_ctrl_str(ctx, "hsm-label", label), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    assert_ptr_equal(EVP_PKEY_get0_provider(key), ours);
    assert_int_equal(EVP_PKEY_parameters_eq(key, subject->key), 1);
    if (type_of(subject->kind) == EC_KEYS)
        assert_int_equal(EVP_PKEY_get_bits(key), EVP_PKEY_get_bits(subject->key));
    assert_int_not_equal(EVP_PKEY_eq(key, subject->key), 1);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
}

static void parameters_alone_are_not_made(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, kinds[subject->kind].type, "provider=hsmux");

    assert_int_not_equal(EVP_PKEY_paramgen_init(ctx), 1);
    assert_reason();
    EVP_PKEY_CTX_free(ctx);
}

/* A size that our tables do not know: all that is told of it comes from its public half. */
static void assert_good_key(EVP_PKEY *key)
{
    const struct way way = { .digest = "SHA256" };
    unsigned char sig[512], hash[32] = { 1 }, *der = NULL;
    const unsigned char *at;
    size_t len = sizeof(sig);
    EVP_PKEY *public;
    int der_len;

    der_len = i2d_PUBKEY(key, &der);
    at = der;
    public = d2i_PUBKEY_ex(NULL, &at, der_len, plain, NULL);
    assert_int_equal(EVP_PKEY_get_bits(key), 2304);
    assert_int_equal(EVP_PKEY_get_size(key), EVP_PKEY_get_size(public));
    assert_int_equal(EVP_PKEY_get_security_bits(key), EVP_PKEY_get_security_bits(public));
    assert_true(sign_hash(key, &way, hash, 32, sig, &len));
    assert_true(verify_hash(plain, public, &way, hash, 32, sig, len));
    OPENSSL_free(der);
    EVP_PKEY_free(public);
}

/* A TPM has none but the usual ones. */
static void an_unusual_size_is_a_key_too(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = begin_keygen(subject);
    EVP_PKEY *key = NULL;
    char label[32];

    snprintf(label, sizeof(label), "unusual-%s", kinds[subject->kind].label);
    assert_int_equal(EVP_PKEY_CTX_ctrl_str(ctx, "hsm-label", label), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2304), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), !is_tpm());
    if (is_tpm())
        assert_reason();
    else
        assert_good_key(key);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(ctx);
}

int main(void)
{
    static const struct row rows[] = {
        { "what cannot be", key_generation_refuses_what_it_cannot, ALL_TYPES },
        { "a key like another", a_key_is_made_like_another, ALL_TYPES },
        { "an unusual size", an_unusual_size_is_a_key_too, RSA_KEYS },
        { "parameters alone", parameters_alone_are_not_made, ALL_TYPES },
    };

    return run_rows(rows, sizeof(rows) / sizeof(*rows));
}
