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

    differences = 0;
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
    assert_int_equal(differences, 0);
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
    assert_int_equal(differences, 0);
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
    assert_int_equal(differences, 0);
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

static EVP_PKEY_CTX *begin_keygen(const struct subject *subject)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, kinds[subject->kind].type, "provider=hsmux");

    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    return ctx;
}

/* What a token's key cannot have is refused when it is asked for, or when the key is made: never passed over. */
static void key_generation_refuses_what_it_cannot(void **state)
{
    static const char *const names[] = { "hsm-token",  "bits",      "e",       "primes", "group",
                                         "encoding",  "p",          "a",         "b",       "seed",   "order",
                                         "generator", "field-type", "dhkem-ikm", "anything" };
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
                differs("key generation, '%s', value %d", names[i], type);
            else if (!key && !ERR_peek_error())
                differs("key generation, '%s', value %d: no reason", names[i], type);
            ERR_clear_error();
            EVP_PKEY_free(key);
            EVP_PKEY_CTX_free(ctx);
        }
    }
    assert_int_equal(differences, 0);
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

static void the_provider_tells_of_itself(void **state)
{
    const OSSL_PARAM *known = OSSL_PROVIDER_gettable_params(ours);
    int count = 0;

    (void)state;
    for (; known->key; known++, count++) {
        char *text = NULL;
        int number = 0;
        bool is_text = known->data_type == OSSL_PARAM_UTF8_PTR;
        OSSL_PARAM params[] = { is_text ? OSSL_PARAM_construct_utf8_ptr(known->key, &text, 0)
                                        : OSSL_PARAM_construct_int(known->key, &number),
                                OSSL_PARAM_construct_end() };

        assert_int_equal(OSSL_PROVIDER_get_params(ours, params), 1);
        assert_true(is_text ? *text : number == 1);
    }
    assert_int_equal(count, 4);
    assert_int_equal(OSSL_PROVIDER_self_test(ours), 1);
}

static void a_store_takes_what_it_can(void **state)
{
    const struct subject *subject = *state;
    char address[64];
    OSSL_STORE_CTX *store;
    OSSL_STORE_SEARCH *search = OSSL_STORE_SEARCH_by_alias("rsa");

    snprintf(address, sizeof(address), "hsm:soft/key/%s", kinds[subject->kind].label);
    store = OSSL_STORE_open_ex(address, libctx, NULL, NULL, NULL, NULL, NULL, NULL);
    assert_int_equal(OSSL_STORE_supports_search(store, OSSL_STORE_SEARCH_BY_ALIAS), 0);
    ERR_clear_error();
    assert_int_not_equal(OSSL_STORE_find(store, search), 1);
    assert_reason();
    assert_int_equal(OSSL_STORE_expect(store, OSSL_STORE_INFO_CERT), 1);
    assert_null(OSSL_STORE_load(store));
    assert_int_equal(OSSL_STORE_eof(store), 1);
    assert_int_equal(OSSL_STORE_error(store), 0);
    OSSL_STORE_SEARCH_free(search);
    OSSL_STORE_close(store);
}

int main(void)
{
    static const struct row rows[] = {
        { "values at the beginning", values_begin_as_the_twins, ALL_TYPES },
        { "each parameter", each_parameter_is_set_or_refused, ALL_TYPES },
        { "a signer's parameters", a_signer_tells_the_twins_algorithm, ALL_TYPES },
        { "EVP_PKEY_set_params", a_key_does_not_change, ALL_TYPES },
        { "parameters of key generation", key_generation_refuses_what_it_cannot, ALL_TYPES },
        { "key generation with a template", a_key_is_made_like_another, ALL_TYPES },
        { "EVP_PKEY_paramgen", parameters_alone_are_not_made, ALL_TYPES },
        { "parameters of a store", a_store_takes_what_it_can, ALL_TYPES },
        { "parameters of the provider", the_provider_tells_of_itself, ED_KEYS },
    };

    return run_rows(rows, sizeof(rows) / sizeof(*rows));
}
