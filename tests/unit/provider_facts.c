/* SPDX-License-Identifier: Apache-2.0 */
/* What OpenSSL tells of a key, compares, checks, copies and writes down: all that is public as the software twin has
 * it, and of the private half nothing. */
#include "provider-rows.h"

#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/kdf.h>

static const char *const private_params[] = {
    OSSL_PKEY_PARAM_PRIV_KEY,         OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

static bool is_private(const char *name)
{
    static const char *const prefixes[] = { "rsa-factor", "rsa-exponent", "rsa-coefficient" };

    for (size_t i = 0; i < 3; i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return true;
    return !strcmp(name, OSSL_PKEY_PARAM_PRIV_KEY) || !strcmp(name, OSSL_PKEY_PARAM_RSA_D);
}

static void names_and_sizes_are_the_twins(void **state)
{
    const struct subject *subject = *state;
    char name[80], twin_name[80];

    assert_int_equal(EVP_PKEY_get_id(subject->key), EVP_PKEY_get_id(subject->twin));
    assert_int_equal(EVP_PKEY_get_base_id(subject->key), EVP_PKEY_get_base_id(subject->twin));
    assert_true(EVP_PKEY_is_a(subject->key, kinds[subject->kind].type));
    assert_false(EVP_PKEY_is_a(subject->key, "DSA"));
    assert_string_equal(EVP_PKEY_get0_type_name(subject->key), EVP_PKEY_get0_type_name(subject->twin));
    assert_non_null(EVP_PKEY_get0_description(subject->key));
    assert_int_equal(EVP_PKEY_get_bits(subject->key), EVP_PKEY_get_bits(subject->twin));
    assert_int_equal(EVP_PKEY_get_security_bits(subject->key), EVP_PKEY_get_security_bits(subject->twin));
    assert_int_equal(EVP_PKEY_get_size(subject->key), EVP_PKEY_get_size(subject->twin));
    assert_int_equal(EVP_PKEY_can_sign(subject->key), 1);
    assert_int_equal(EVP_PKEY_get_default_digest_name(subject->key, name, sizeof(name)),
                     EVP_PKEY_get_default_digest_name(subject->twin, twin_name, sizeof(twin_name)));
    assert_string_equal(name, twin_name);
    assert_int_equal(EVP_PKEY_get_group_name(subject->key, name, sizeof(name), NULL),
                     EVP_PKEY_get_group_name(subject->twin, twin_name, sizeof(twin_name), NULL));
    if (type_of(subject->kind) == EC_KEYS)
        assert_string_equal(name, twin_name);
    assert_int_equal(EVP_PKEY_get_ec_point_conv_form(subject->key), EVP_PKEY_get_ec_point_conv_form(subject->twin));
    assert_int_equal(EVP_PKEY_get_field_type(subject->key), EVP_PKEY_get_field_type(subject->twin));
    ERR_clear_error();
}

/* One parameter of the key; -1: it has none of that name. */
static int get_param(EVP_PKEY *key, const OSSL_PARAM *like, unsigned char *buf, size_t size)
{
    OSSL_PARAM params[] = { *like, OSSL_PARAM_construct_end() };

    memset(buf, 0, size);
    params->data = buf;
    params->data_size = like->data_type == OSSL_PARAM_INTEGER ? sizeof(int) : size;
    params->return_size = OSSL_PARAM_UNMODIFIED;
    if (EVP_PKEY_get_params(key, params) != 1 || !OSSL_PARAM_modified(params))
        return -1;
    return (int)params->return_size;
}

static void assert_same_param(const struct subject *subject, const OSSL_PARAM *param)
{
    unsigned char ours_is[2048], twins_is[2048];
    int len = get_param(subject->key, param, ours_is, sizeof(ours_is));
    int twin_len = get_param(subject->twin, param, twins_is, sizeof(twins_is));

    if (is_private(param->key)) {
        if (len >= 0)
            fail_msg("'%s' was told", param->key);
        return;
    }
    if (len != twin_len || memcmp(ours_is, twins_is, sizeof(ours_is)))
        fail_msg("'%s' differs: %d bytes, %d in the twin", param->key, len, twin_len);
}

static void each_parameter_is_the_twins(void **state)
{
    const struct subject *subject = *state;
    const OSSL_PARAM *params[] = { EVP_PKEY_gettable_params(subject->key), EVP_PKEY_gettable_params(subject->twin) };

    for (int i = 0; i < 2; i++)
        for (const OSSL_PARAM *param = params[i]; param->key; param++)
            assert_same_param(subject, param);
    ERR_clear_error();
}

static void the_private_half_is_not_told(void **state)
{
    const struct subject *subject = *state;
    unsigned char *der = NULL, raw[80];
    OSSL_PARAM *params = NULL;
    size_t len = sizeof(raw);
    BIGNUM *number = NULL;
    BIO *out = BIO_new(BIO_s_mem());

    for (size_t i = 0; i < sizeof(private_params) / sizeof(*private_params); i++) {
        assert_int_not_equal(EVP_PKEY_get_bn_param(subject->key, private_params[i], &number), 1);
        assert_null(number);
    }
    /* OpenSSL tries some of these on its way to us: a reason left on the queue would look like a failure. */
    assert_int_not_equal(EVP_PKEY_todata(subject->key, EVP_PKEY_KEYPAIR, &params), 1);
    assert_int_not_equal(EVP_PKEY_get_raw_private_key(subject->key, raw, &len), 1);
    assert_true(i2d_PrivateKey(subject->key, &der) <= 0);
    assert_null(EVP_PKEY2PKCS8(subject->key));
    assert_int_not_equal(PEM_write_bio_PrivateKey_traditional(out, subject->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_not_equal(i2d_PKCS8PrivateKey_bio(out, subject->key, NULL, NULL, 0, NULL, NULL), 1);
    ERR_clear_error();
    assert_int_equal(BIO_ctrl_pending(out), 0);
    BIO_free(out);
}

/* Programs of the days before providers ask for the RSA or EC_KEY inside: they get none. */
static void a_legacy_key_is_refused(void **state)
{
    const struct subject *subject = *state;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    assert_null(EVP_PKEY_get1_RSA(subject->key));
    assert_reason();
    assert_null(EVP_PKEY_get1_EC_KEY(subject->key));
    assert_reason();
    assert_null(EVP_PKEY_get0_RSA(subject->key));
    assert_null(EVP_PKEY_get0_EC_KEY(subject->key));
    assert_null(EVP_PKEY_get0(subject->key));
    ERR_clear_error();
#pragma GCC diagnostic pop
    assert_int_equal(EVP_PKEY_eq(subject->key, subject->public), 1);
}

static void the_public_half_is_exported(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(plain, kinds[subject->kind].type, NULL);
    unsigned char raw[2][80], *point = NULL;
    size_t len[2] = { sizeof(raw[0]), sizeof(raw[1]) };
    OSSL_PARAM *params = NULL;
    EVP_PKEY *copy = NULL;

    assert_int_equal(EVP_PKEY_todata(subject->key, EVP_PKEY_PUBLIC_KEY, &params), 1);
    assert_null(OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PRIV_KEY));
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &copy, EVP_PKEY_PUBLIC_KEY, params), 1);
    assert_int_equal(EVP_PKEY_eq(copy, subject->public), 1);
    EVP_PKEY_free(copy);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    if (type_of(subject->kind) == ED_KEYS) {
        assert_int_equal(EVP_PKEY_get_raw_public_key(subject->key, raw[0], &len[0]), 1);
        assert_int_equal(EVP_PKEY_get_raw_public_key(subject->twin, raw[1], &len[1]), 1);
        assert_memory_equal(raw[0], raw[1], 32);
    }
    if (type_of(subject->kind) == EC_KEYS) {
        assert_true(EVP_PKEY_get1_encoded_public_key(subject->key, &point) > 0);
        OPENSSL_free(point);
    }
}

static void equality_holds_across_providers(void **state)
{
    const struct subject *subject = *state;
    const struct subject *other = &subjects[other_kind(subject->kind)];
    EVP_PKEY *again = open_key(subject->kind);
    EVP_PKEY *same[] = { subject->key, subject->twin, subject->public, again };

    for (int i = 0; i < 4; i++) {
        assert_int_equal(EVP_PKEY_eq(subject->key, same[i]), 1);
        assert_int_equal(EVP_PKEY_eq(same[i], subject->key), 1);
        assert_int_equal(EVP_PKEY_parameters_eq(subject->key, same[i]), 1);
        assert_int_equal(EVP_PKEY_parameters_eq(same[i], subject->key), 1);
    }
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_not_equal(EVP_PKEY_eq(subject->key, other->key), 1);
    assert_int_not_equal(EVP_PKEY_eq(subject->key, other->public), 1);
    assert_int_not_equal(EVP_PKEY_eq(other->public, subject->key), 1);
    assert_int_equal(EVP_PKEY_parameters_eq(subject->key, other->key),
                     EVP_PKEY_parameters_eq(subject->twin, other->twin));
    EVP_PKEY_free(again);
    ERR_clear_error();
}

typedef int check_fn(EVP_PKEY_CTX *ctx);

static int check(OSSL_LIB_CTX *in_context, EVP_PKEY *key, check_fn *fn)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(in_context, key, NULL);
    int good = fn(ctx);

    EVP_PKEY_CTX_free(ctx);
    return good;
}

/* A token's key passes what its twin passes; its public half what the twin's does. */
static void checks_say_what_they_say_of_the_twin(void **state)
{
    static check_fn *const checks[] = { EVP_PKEY_public_check,  EVP_PKEY_public_check_quick,
                                        EVP_PKEY_param_check,   EVP_PKEY_param_check_quick,
                                        EVP_PKEY_private_check, EVP_PKEY_pairwise_check,
                                        EVP_PKEY_check };
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, kinds[subject->kind].type, "provider=hsmux");
    OSSL_PARAM *params = NULL;
    EVP_PKEY *public = NULL;

    assert_int_equal(EVP_PKEY_todata(subject->key, EVP_PKEY_PUBLIC_KEY, &params), 1);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &public, EVP_PKEY_PUBLIC_KEY, params), 1);
    assert_ptr_equal(EVP_PKEY_get0_provider(public), ours);
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        if (check(libctx, subject->key, checks[i]) != check(libctx, subject->twin, checks[i]))
            fail_msg("check %zu: not as the twin", i);
        if (check(libctx, public, checks[i]) != check(plain, subject->public, checks[i]))
            fail_msg("check %zu of the public half: not as the twin's", i);
    }
    ERR_clear_error();
    EVP_PKEY_free(public);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
}

static void parameters_are_copied(void **state)
{
    const struct subject *subject = *state;
    const unsigned char no_point = 0xff;
    EVP_PKEY *to = EVP_PKEY_new(), *blank = EVP_PKEY_new();

    assert_int_equal(EVP_PKEY_missing_parameters(subject->key), 0);
    assert_int_equal(EVP_PKEY_copy_parameters(subject->public, subject->key), 1);
    assert_int_equal(EVP_PKEY_copy_parameters(subject->key, subject->public), 1);
    assert_int_equal(EVP_PKEY_copy_parameters(to, subject->key), EVP_PKEY_copy_parameters(to, subject->twin));
    /* Where there is nothing to copy, OpenSSL leaves a key of our type with nothing inside; Ed25519 never gets here. */
    EVP_PKEY_copy_parameters(blank, subject->key);
    if (type_of(subject->kind) != ED_KEYS)
        assert_int_not_equal(EVP_PKEY_set1_encoded_public_key(blank, &no_point, sizeof(no_point)), 1);
    EVP_PKEY_free(blank);
    EVP_PKEY_free(to);
    ERR_clear_error();
}

static long print(EVP_PKEY *key, int (*fn)(BIO *, const EVP_PKEY *, int, ASN1_PCTX *), char *ret, size_t size)
{
    BIO *out = BIO_new(BIO_s_mem());
    int ok = fn(out, key, 4, NULL);
    int len = BIO_read(out, ret, (int)size - 1);

    ret[len > 0 ? len : 0] = '\0';
    BIO_free(out);
    return ok == 1 ? len : -1;
}

static void a_key_is_printed(void **state)
{
    const struct subject *subject = *state;
    char text[8192], twins_text[8192], *at;

    assert_true(print(subject->key, EVP_PKEY_print_public, text, sizeof(text)) > 0);
    assert_true(print(subject->public, EVP_PKEY_print_public, twins_text, sizeof(twins_text)) > 0);
    assert_string_equal(text, twins_text);
    assert_true(print(subject->key, EVP_PKEY_print_private, text, sizeof(text)) > 0);
    at = strstr(text, "Key in a token: hsm:soft/key/");
    assert_non_null(at);
    at = strchr(at, '\n');
    assert_non_null(strstr(text, twins_text));
    if (type_of(subject->kind) == EC_KEYS) {
        assert_true(print(subject->key, EVP_PKEY_print_params, text, sizeof(text)) > 0);
        assert_true(print(subject->twin, EVP_PKEY_print_params, twins_text, sizeof(twins_text)) > 0);
        assert_string_equal(text, twins_text);
    }
}

static void the_public_half_is_written(void **state)
{
    const struct subject *subject = *state;
    unsigned char *der[2] = { NULL };
    BIO *pem = BIO_new(BIO_s_mem());
    int len[2];
    EVP_PKEY *copy;

    len[0] = i2d_PUBKEY(subject->key, &der[0]);
    len[1] = i2d_PUBKEY(subject->twin, &der[1]);
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(der[0], der[1], len[1]);
    OPENSSL_free(der[0]);
    OPENSSL_free(der[1]);
    assert_int_equal(PEM_write_bio_PUBKEY(pem, subject->key), 1);
    copy = PEM_read_bio_PUBKEY_ex(pem, NULL, NULL, NULL, plain, NULL);
    assert_int_equal(EVP_PKEY_eq(copy, subject->public), 1);
    EVP_PKEY_free(copy);
    BIO_free(pem);
    der[0] = der[1] = NULL;
    len[0] = i2d_PublicKey(subject->key, &der[0]);
    len[1] = i2d_PublicKey(subject->twin, &der[1]);
    if (len[0] != len[1] || (len[1] > 0 && memcmp(der[0], der[1], (size_t)len[1])))
        fail_msg("i2d_PublicKey: %d bytes, twin %d", len[0], len[1]);
    OPENSSL_free(der[0]);
    OPENSSL_free(der[1]);
    ERR_clear_error();
}

/* In place of the private half its reference is written, whoever asks. */
static void the_private_half_is_written_as_a_reference(void **state)
{
    const struct subject *subject = *state;
    char phrase[] = "phrase";
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(libctx, "AES-256-CBC", NULL);

    for (int i = 0; i < 3; i++) {
        BIO *pem = BIO_new(BIO_s_mem());
        unsigned char sig[512];
        size_t len = sizeof(sig);
        EVP_PKEY *copy;

        assert_int_equal(i == 0   ? PEM_write_bio_PrivateKey(pem, subject->key, NULL, NULL, 0, NULL, NULL)
                         : i == 1 ? PEM_write_bio_PKCS8PrivateKey(pem, subject->key, NULL, NULL, 0, NULL, NULL)
                                  : PEM_write_bio_PrivateKey(pem, subject->key, cipher, NULL, 0, NULL, phrase),
                         1);
        copy = read_pem(pem);
        assert_int_equal(EVP_PKEY_eq(copy, subject->key), 1);
        assert_true(sign(copy, subject->kind, sig, &len));
        EVP_PKEY_free(copy);
        BIO_free(pem);
    }
    EVP_CIPHER_free(cipher);
}

int main(void)
{
    static const struct row rows[] = {
        { "names and sizes", names_and_sizes_are_the_twins, ALL_TYPES },
        { "each parameter", each_parameter_is_the_twins, ALL_TYPES },
        { "nothing private", the_private_half_is_not_told, ALL_TYPES },
        { "legacy keys", a_legacy_key_is_refused, ALL_TYPES },
        { "todata", the_public_half_is_exported, ALL_TYPES },
        { "eq and parameters_eq", equality_holds_across_providers, ALL_TYPES },
        { "checks", checks_say_what_they_say_of_the_twin, ALL_TYPES },
        { "copy_parameters", parameters_are_copied, ALL_TYPES },
        { "print", a_key_is_printed, ALL_TYPES },
        { "write the public half", the_public_half_is_written, ALL_TYPES },
        { "write the private half", the_private_half_is_written_as_a_reference, ALL_TYPES },
    };

    return run_rows(rows, sizeof(rows) / sizeof(*rows));
}
