/* SPDX-License-Identifier: Apache-2.0 */
/* Every parameter that a caller can get or set: it has the value that it has with the software twin, or is refused with
 * a reason where the twin refuses it too, or where no token could do it. */
#include "provider-rows.h"

#include <openssl/kdf.h>

enum { VALUE_MAX = 600, NAMES_MAX = 64 };

typedef int init_fn(EVP_PKEY_CTX *ctx);

static const struct {
    const char *name;
    init_fn *init;
    unsigned types;
} operations[] = {
    { "sign", EVP_PKEY_sign_init, HASHING },
    { "verify", EVP_PKEY_verify_init, HASHING },
    { "verify_recover", EVP_PKEY_verify_recover_init, RSA_KEYS },
    { "encrypt", EVP_PKEY_encrypt_init, RSA_KEYS },
    { "decrypt", EVP_PKEY_decrypt_init, RSA_KEYS },
    { "derive", EVP_PKEY_derive_init, EC_KEYS },
};
enum { OPERATIONS = sizeof(operations) / sizeof(*operations) };

static const char *texts[] = { "",   "nonsense", "SHA256", "sha1", "SHA3-256", "X963KDF", "digest", "max",  "auto",
                               "-7", "0",        "20",     "pss",  "pkcs1",    "oaep",    "none",   "x931", "9999999" };
static int numbers[] = { -9, -4, -3, -2, -1, 0, 1, 3, 4, 5, 6, 7, 20, 77, 200 };
enum { TEXTS = sizeof(texts) / sizeof(*texts), NUMBERS = sizeof(numbers) / sizeof(*numbers) };

struct value {
    char text[VALUE_MAX]; /* in words, to compare and to show */
};

static EVP_PKEY_CTX *begin(EVP_PKEY *key, size_t operation)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);

    assert_int_equal(operations[operation].init(ctx), 1);
    return ctx;
}

static void get_value(EVP_PKEY_CTX *ctx, const char *name, unsigned type, struct value *ret)
{
    unsigned char buf[VALUE_MAX / 4] = { 0 };
    void *pointer = NULL;
    OSSL_PARAM params[] = { { name, type, buf, sizeof(buf), OSSL_PARAM_UNMODIFIED }, OSSL_PARAM_construct_end() };
    size_t used = 0;

    if (type == OSSL_PARAM_INTEGER || type == OSSL_PARAM_UNSIGNED_INTEGER)
        params->data_size = type == OSSL_PARAM_INTEGER ? sizeof(int) : sizeof(size_t);
    if (type == OSSL_PARAM_OCTET_PTR)
        params->data = &pointer;
    if (EVP_PKEY_CTX_get_params(ctx, params) != 1) {
        snprintf(ret->text, sizeof(ret->text), "refused");
        ERR_clear_error();
        return;
    }
    if (!OSSL_PARAM_modified(params)) {
        snprintf(ret->text, sizeof(ret->text), "nothing");
        return;
    }
    used = (size_t)snprintf(ret->text, sizeof(ret->text), "%zu: ", params->return_size);
    if (type == OSSL_PARAM_UTF8_STRING)
        snprintf(ret->text, sizeof(ret->text), "%s", (char *)buf);
    for (size_t i = 0; type != OSSL_PARAM_UTF8_STRING && type != OSSL_PARAM_OCTET_PTR && i < params->return_size; i++)
        used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used, "%02x", buf[i]);
}

static int differences;

/* Not a failure at once, since the whole list tells more. */
static void differs(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void differs(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vprint_error(fmt, args);
    va_end(args);
    print_error("\n");
    differences++;
}

static void assert_no_differences(void)
{
    int found = differences;

    differences = 0;
    assert_int_equal(found, 0);
}

/* A digest has several names. */
static bool is_same_digest(const char *one, const char *other)
{
    EVP_MD *md = EVP_MD_fetch(plain, one, NULL);
    bool same = md && EVP_MD_is_a(md, other);

    EVP_MD_free(md);
    return same;
}

static void compare_value(EVP_PKEY_CTX *ctx, EVP_PKEY_CTX *twin_ctx, const char *name, unsigned type, const char *when)
{
    struct value value, twin_value;

    get_value(ctx, name, type, &value);
    get_value(twin_ctx, name, type, &twin_value);
    /* Where the default provider tells nothing, we may. */
    if (!strcmp(value.text, twin_value.text) || !strcmp(twin_value.text, "nothing") ||
        (strstr(name, "digest") && is_same_digest(value.text, twin_value.text)))
        return;
    differs("%s: '%s' is '%s', the twin's '%s'", when, name, value.text, twin_value.text);
}

/* All that can be asked of the two, some of it in numbers and in words, is the same. */
static void compare_values(EVP_PKEY_CTX *ctx, EVP_PKEY_CTX *twin_ctx, const char *when)
{
    const OSSL_PARAM *lists[] = { EVP_PKEY_CTX_gettable_params(ctx), EVP_PKEY_CTX_gettable_params(twin_ctx) };

    for (int i = 0; i < 2; i++) {
        for (const OSSL_PARAM *param = lists[i]; param && param->key; param++) {
            compare_value(ctx, twin_ctx, param->key, param->data_type, when);
            if (!strcmp(param->key, "pad-mode") || !strcmp(param->key, "saltlen"))
                compare_value(ctx, twin_ctx, param->key, OSSL_PARAM_INTEGER, when);
        }
    }
    ERR_clear_error();
}

static void values_begin_as_the_twins(void **state)
{
    const struct subject *subject = *state;

    for (size_t i = 0; i < OPERATIONS; i++) {
        EVP_PKEY_CTX *ctx, *twin_ctx;

        if (!(operations[i].types & type_of(subject->kind)))
            continue;
        ctx = begin(subject->key, i);
        twin_ctx = begin(subject->twin, i);
        compare_values(ctx, twin_ctx, operations[i].name);
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_CTX_free(twin_ctx);
    }
    assert_no_differences();
}

/* The default provider takes any word for a padding or a salt length, and paddings that no token has; and PKCS#1
 * decryption without implicit rejection.  On the other hand we take "" for no digest, OpenSSL 3.1's -4 for a salt
 * length and any type of number, and refuse to recover from pss later. */
static bool may_differ(size_t operation, const OSSL_PARAM *param, const char *value, bool stricter)
{
    static const char *const strict[] = { "pad-mode", "saltlen", "implicit-rejection", "digest-size" };

    for (size_t i = 0; i < sizeof(strict) / sizeof(*strict) && stricter; i++)
        if (!strcmp(param->key, strict[i]))
            return true;
    if (stricter)
        return false;
    if (!strcmp(param->key, "pad-mode"))
        return !strcmp(operations[operation].name, "verify_recover");
    if (!strcmp(param->key, "saltlen"))
        return !strcmp(value, "-4") || param->data_type == OSSL_PARAM_UNSIGNED_INTEGER;
    return !strcmp(param->key, "digest") && !*value;
}

static void try_setting(const struct subject *subject, size_t operation, const char *padding, OSSL_PARAM param,
                        const char *value)
{
    EVP_PKEY_CTX *ctx = begin(subject->key, operation), *twin_ctx = begin(subject->twin, operation);
    OSSL_PARAM params[] = { param, OSSL_PARAM_construct_end() };
    const struct way way = { .padding = !strcmp(padding, "pss") ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_OAEP_PADDING };
    char when[128];
    int is_set, twin_is_set;

    if (*padding && (!set_way(ctx, &way, false) || !set_way(twin_ctx, &way, false)))
        fail_msg("padding %s is refused", padding);
    ERR_clear_error();
    twin_is_set = EVP_PKEY_CTX_set_params(twin_ctx, params);
    ERR_clear_error();
    is_set = EVP_PKEY_CTX_set_params(ctx, params);
    snprintf(when, sizeof(when), "%s %s: '%s' = '%s'", operations[operation].name, padding, param.key, value);
    if (is_set != 1 && !ERR_peek_error())
        differs("%s: refused without a reason", when);
    if (is_set != twin_is_set && !may_differ(operation, &param, value, is_set != 1))
        differs("%s: gives %d, and for the twin %d", when, is_set, twin_is_set);
    if (is_set == 1 && twin_is_set == 1)
        compare_values(ctx, twin_ctx, when);
    ERR_clear_error();
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_CTX_free(twin_ctx);
}

static void try_values(const struct subject *subject, size_t operation, const char *padding, const char *name)
{
    char number[16];
    size_t size = 20;

    for (size_t i = 0; i < TEXTS; i++)
        try_setting(subject, operation, padding, OSSL_PARAM_construct_utf8_string(name, (char *)(uintptr_t)texts[i], 0),
                    texts[i]);
    for (size_t i = 0; i < NUMBERS; i++) {
        snprintf(number, sizeof(number), "%d", numbers[i]);
        try_setting(subject, operation, padding, OSSL_PARAM_construct_int(name, &numbers[i]), number);
    }
    try_setting(subject, operation, padding, OSSL_PARAM_construct_size_t(name, &size), "20 bytes");
    try_setting(subject, operation, padding, OSSL_PARAM_construct_octet_string(name, &size, 3), "3 octets");
}

/* The parameters that either of the two knows, each once. */
static void try_parameters(const struct subject *subject, size_t operation, const char *padding)
{
    EVP_PKEY_CTX *ctx = begin(subject->key, operation), *twin_ctx = begin(subject->twin, operation);
    const OSSL_PARAM *lists[] = { EVP_PKEY_CTX_settable_params(ctx), EVP_PKEY_CTX_settable_params(twin_ctx) };

    for (int i = 0; i < 2; i++)
        for (const OSSL_PARAM *param = lists[i]; param && param->key; param++)
            if (!i || !OSSL_PARAM_locate_const(lists[0], param->key))
                try_values(subject, operation, padding, param->key);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_CTX_free(twin_ctx);
}

static void each_parameter_is_set_or_refused(void **state)
{
    const struct subject *subject = *state;

    for (size_t i = 0; i < OPERATIONS; i++) {
        if (!(operations[i].types & type_of(subject->kind)))
            continue;
        try_parameters(subject, i, "");
        if (i < 2 && type_of(subject->kind) == RSA_KEYS)
            try_parameters(subject, i, "pss");
        if ((i == 3 || i == 4) && type_of(subject->kind) == RSA_KEYS)
            try_parameters(subject, i, "oaep");
    }
    assert_no_differences();
}

/* What a certificate's signer asks of the context: the algorithm's identifier above all. */
static void a_signer_tells_the_twins_algorithm(void **state)
{
    static const struct way ways[] = { { "SHA256", 0, NULL, NULL },
                                       { "SHA512", 0, NULL, NULL },
                                       { "SHA3-256", 0, NULL, NULL },
                                       { "SHA384", RSA_PKCS1_PSS_PADDING, "digest", NULL },
                                       { "SHA256", RSA_PKCS1_PSS_PADDING, "20", "SHA1" } };
    const struct subject *subject = *state;
    unsigned type = type_of(subject->kind);

    for (size_t i = 0; i < (type == RSA_KEYS ? 5 : type == EC_KEYS ? 3 : 1); i++) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new(), *twin_ctx = EVP_MD_CTX_new();
        const char *digest = type == ED_KEYS ? NULL : ways[i].digest;
        EVP_PKEY_CTX *pctx, *twin_pctx;

        assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, digest, libctx, NULL, subject->key, NULL), 1);
        assert_int_equal(EVP_DigestSignInit_ex(twin_ctx, &twin_pctx, digest, libctx, NULL, subject->twin, NULL), 1);
        assert_true(set_way(pctx, &ways[i], false) && set_way(twin_pctx, &ways[i], false));
        compare_values(pctx, twin_pctx, ways[i].digest);
        if (digest) {
            const struct way other = { .digest = "SHA224" };

            assert_false(set_way(pctx, &other, true));
            assert_reason();
        }
        EVP_MD_CTX_free(ctx);
        EVP_MD_CTX_free(twin_ctx);
    }
    assert_no_differences();
}

/* By the functions that have names, and as text on a command line. */
static void the_named_functions_agree_with_the_parameters(void **state)
{
    static const struct {
        int operation;
        const char *name, *value;
    } texts_of[] = {
        { 0, "digest", "sha256" },
        { 0, "digest", "nonsense" },
        { 0, "rsa_padding_mode", "pkcs1" },
        { 0, "rsa_padding_mode", "pss" },
        { 0, "rsa_pss_saltlen", "20" },
        { 0, "rsa_mgf1_md", "sha256" },
        { 0, "anything", "1" },
        { 0, "rsa_oaep_md", "sha256" },
        { 1, "rsa_padding_mode", "pss" },
        { 4, "rsa_padding_mode", "oaep" },
        { 4, "rsa_oaep_md", "sha256" },
        { 4, "rsa_oaep_label", "6162" },
        { 4, "rsa_mgf1_md", "sha384" },
        { 4, "anything", "1" },
        { 5, "ecdh_cofactor_mode", "1" },
        { 5, "ecdh_kdf_md", "sha256" },
        { 5, "anything", "1" },
    };
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = NULL, *twin_ctx = NULL;
    int last = -1;

    for (size_t i = 0; i < sizeof(texts_of) / sizeof(*texts_of); i++) {
        int operation = texts_of[i].operation;

        if (!(operations[operation].types & type_of(subject->kind)))
            continue;
        if (operation != last) {
            EVP_PKEY_CTX_free(ctx);
            EVP_PKEY_CTX_free(twin_ctx);
            ctx = begin(subject->key, (size_t)operation);
            twin_ctx = begin(subject->twin, (size_t)operation);
        }
        last = operation;
        if (EVP_PKEY_CTX_ctrl_str(ctx, texts_of[i].name, texts_of[i].value) !=
            EVP_PKEY_CTX_ctrl_str(twin_ctx, texts_of[i].name, texts_of[i].value))
            differs("%s: '%s'", operations[operation].name, texts_of[i].name);
        compare_values(ctx, twin_ctx, texts_of[i].name);
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_CTX_free(twin_ctx);
    ERR_clear_error();
    assert_no_differences();
}

static void the_named_functions_tell_what_was_set(void **state)
{
    static const struct way pss = { "SHA384", RSA_PKCS1_PSS_PADDING, "20", "SHA256" }, other = { .digest = "SHA384" };
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = begin(subject->key, 0);
    bool rsa = type_of(subject->kind) == RSA_KEYS;
    int padding, salt;
    const EVP_MD *md;
    char name[32];

    assert_true(set_way(ctx, rsa ? &pss : &other, true));
    assert_int_equal(EVP_PKEY_CTX_get_signature_md(ctx, &md), 1);
    assert_true(EVP_MD_is_a(md, "SHA384"));
    if (rsa) {
        assert_true(EVP_PKEY_CTX_get_rsa_padding(ctx, &padding) > 0);
        assert_int_equal(padding, RSA_PKCS1_PSS_PADDING);
        assert_true(EVP_PKEY_CTX_get_rsa_pss_saltlen(ctx, &salt) > 0);
        assert_int_equal(salt, 20);
        assert_true(EVP_PKEY_CTX_get_rsa_mgf1_md(ctx, &md) > 0);
        assert_true(EVP_MD_is_a(md, "SHA256"));
        assert_true(EVP_PKEY_CTX_get_rsa_mgf1_md_name(ctx, name, sizeof(name)) > 0);
    }
    EVP_PKEY_CTX_free(ctx);
}

static void a_key_does_not_change(void **state)
{
    const struct subject *subject = *state;
    const OSSL_PARAM *known = EVP_PKEY_settable_params(subject->twin);
    unsigned char bytes[] = "abc";

    for (; known && known->key; known++) {
        int number = 1;
        OSSL_PARAM params[] = { OSSL_PARAM_construct_int(known->key, &number), OSSL_PARAM_construct_end() };

        if (known->data_type != OSSL_PARAM_INTEGER)
            params[0] = (OSSL_PARAM){ known->key, known->data_type, bytes, sizeof(bytes), 0 };
        assert_int_not_equal(EVP_PKEY_set_params(subject->key, params), 1);
        assert_reason();
    }
    assert_int_equal(EVP_PKEY_eq(subject->key, subject->public), 1);
}

int main(void)
{
    static const struct row rows[] = {
        { "values at the beginning", values_begin_as_the_twins, ALL_TYPES },
        { "each parameter", each_parameter_is_set_or_refused, ALL_TYPES },
        { "a signer's parameters", a_signer_tells_the_twins_algorithm, ALL_TYPES },
        { "parameters as text", the_named_functions_agree_with_the_parameters, HASHING },
        { "named functions", the_named_functions_tell_what_was_set, HASHING },
        { "EVP_PKEY_set_params", a_key_does_not_change, ALL_TYPES },
    };

    return run_rows(rows, sizeof(rows) / sizeof(*rows));
}
