/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys that the pkcs11 plugin takes in on SoftHSM: what is stored, what is refused, what is replaced,
 * and what is left when the module fails in the middle. */
#include "pkcs11-fixture.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static void *token;

/* A key of libcrypto's and its parts as in plugin.h. */
struct numbers {
    EVP_PKEY *key;
    uint32_t type;
    unsigned char room[8][512];
    struct hx_buf part[8];
    size_t parts;
};

static int make_tokens(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return fixture_stop();
}

/* SoftHSM leaks what it parses of an Ed25519 key. */
__attribute__((weak)) void __lsan_disable(void);
__attribute__((weak)) void __lsan_enable(void);

static int enter(void **state)
{
    (void)state;
    if (__lsan_disable)
        __lsan_disable();
    token = open_and_login("edge");
    return 0;
}

static int leave(void **state)
{
    (void)state;
    unsetenv("P11_COUNTER_FAIL");
    plugin->close(token);
    if (__lsan_enable)
        __lsan_enable();
    return 0;
}

static void add_number(struct numbers *numbers, const char *name, size_t width)
{
    unsigned char *to = numbers->room[numbers->parts];
    BIGNUM *number = NULL;

    assert_int_equal(EVP_PKEY_get_bn_param(numbers->key, name, &number), 1);
    if (!width)
        width = (size_t)BN_num_bytes(number);
    assert_true(BN_bn2binpad(number, to, (int)width) > 0);
    BN_free(number);
    numbers->part[numbers->parts++] = (struct hx_buf){ to, width };
}

static void split_rsa(struct numbers *numbers)
{
    static const char *const names[] = { OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
                                         OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                         OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                         OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };
    size_t width = (size_t)EVP_PKEY_get_size(numbers->key);

    for (size_t i = 0; i < 8; i++)
        add_number(numbers, names[i], i == 1 ? 0 : i > 2 ? width / 2 : width);
}

static void split_ec(struct numbers *numbers)
{
    size_t len = 0;

    add_number(numbers, OSSL_PKEY_PARAM_PRIV_KEY, ((size_t)EVP_PKEY_get_bits(numbers->key) + 7) / 8);
    assert_int_equal(EVP_PKEY_get_octet_string_param(numbers->key, OSSL_PKEY_PARAM_PUB_KEY, numbers->room[1],
                                                     sizeof numbers->room[1], &len),
                     1);
    numbers->part[numbers->parts++] = (struct hx_buf){ numbers->room[1], len };
}

static void split_ed25519(struct numbers *numbers)
{
    size_t len = 32;

    assert_int_equal(EVP_PKEY_get_raw_private_key(numbers->key, numbers->room[0], &len), 1);
    assert_int_equal(EVP_PKEY_get_raw_public_key(numbers->key, numbers->room[1], &len), 1);
    for (numbers->parts = 0; numbers->parts < 2; numbers->parts++)
        numbers->part[numbers->parts] = (struct hx_buf){ numbers->room[numbers->parts], 32 };
}

static struct numbers *make_numbers(uint32_t type)
{
    static const char *const groups[] = { [HX_P256] = "P-256", [HX_P384] = "P-384", [HX_P521] = "P-521" };
    struct numbers *numbers = calloc(1, sizeof *numbers);

    assert_non_null(numbers);
    numbers->type = type;
    if (type == HX_RSA)
        numbers->key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    else if (type == HX_ED25519)
        numbers->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        numbers->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", groups[type]);
    assert_non_null(numbers->key);
    if (type == HX_RSA)
        split_rsa(numbers);
    else if (type == HX_ED25519)
        split_ed25519(numbers);
    else
        split_ec(numbers);
    return numbers;
}

static void free_numbers(struct numbers *numbers)
{
    EVP_PKEY_free(numbers->key);
    free(numbers);
}

static int import(const struct numbers *numbers, const char *label, const char *id, uint32_t flags)
{
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = numbers->type, .label = label, .flags = flags };
    struct plugin_bytes ref;
    int r;

    if (id)
        spec.id = (struct hx_buf){ id, strlen(id) };
    plugin_bytes_init(&ref);
    r = plugin->import(token, &spec, numbers->part, numbers->parts, &ref.out);
    plugin_bytes_free(&ref);
    return r;
}

/* What the token holds under that label: one private key with that public half, or none. */
static bool holds(const char *label, const struct numbers *numbers)
{
    struct plugin_objects keys = list(token, HX_PRIVATE_KEY, label);
    size_t count = keys.count;
    EVP_PKEY *public;
    bool same;

    plugin_objects_free(&keys);
    if (count != 1)
        return false;
    public = public_key(token, label);
    same = EVP_PKEY_eq(public, numbers->key) == 1;
    EVP_PKEY_free(public);
    return same;
}

static size_t count(uint32_t kind, const char *label)
{
    struct plugin_objects objects = list(token, kind, label);
    size_t found = objects.count;

    plugin_objects_free(&objects);
    return found;
}

/* As X509_pubkey_digest() reckons it of a certificate. */
static void reckon_id(EVP_PKEY *key, unsigned char ret[20])
{
    X509_PUBKEY *spki = NULL;
    const unsigned char *bits;
    int len;

    assert_int_equal(X509_PUBKEY_set(&spki, key), 1);
    assert_int_equal(X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, spki), 1);
    assert_int_equal(EVP_Digest(bits, (size_t)len, ret, NULL, EVP_sha1(), NULL), 1);
    X509_PUBKEY_free(spki);
}

static void every_type_comes_in_and_signs(void **state)
{
    static const struct {
        uint32_t type, scheme, hash, usage;
    } rows[] = {
        { HX_RSA, HX_RSA_PKCS1, HX_SHA256, HX_SIGN_DIGEST | HX_DECRYPT },
        { HX_P256, HX_ECDSA, HX_SHA256, HX_SIGN_DIGEST | HX_DERIVE },
        { HX_P384, HX_ECDSA, HX_SHA384, HX_SIGN_DIGEST | HX_DERIVE },
        { HX_P521, HX_ECDSA, HX_SHA512, HX_SIGN_DIGEST | HX_DERIVE },
        { HX_ED25519, HX_EDDSA, 0, HX_SIGN_MESSAGE },
    };
    struct plugin_objects keys;
    struct numbers *numbers;
    unsigned char id[20];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        numbers = make_numbers(rows[i].type);
        assert_int_equal(import(numbers, "came", NULL, HX_REPLACE), 0);
        assert_true(holds("came", numbers));
        sign_and_verify(token, "came", rows[i].scheme, rows[i].hash, 0);
        reckon_id(numbers->key, id);
        keys = list(token, 0, "came");
        assert_int_equal(keys.count, 2);
        for (size_t j = 0; j < 2; j++) {
            assert_int_equal(keys.object[j].type, rows[i].type);
            assert_int_equal(keys.object[j].id.len, 20);
            assert_memory_equal(keys.object[j].id.data, id, 20);
        }
        assert_int_equal(keys.object[0].flags, HX_IN_HARDWARE);
        assert_int_equal(keys.object[0].usage, rows[i].usage);
        plugin_objects_free(&keys);
        free_numbers(numbers);
    }
}

static void only_what_is_made_extractable_may_leave(void **state)
{
    struct numbers *numbers = make_numbers(HX_P256);
    struct plugin_objects keys;

    (void)state;
    assert_int_equal(import(numbers, "open", "an id", HX_EXTRACTABLE), 0);
    keys = list(token, HX_PRIVATE_KEY, "open");
    assert_int_equal(keys.object[0].flags, HX_EXTRACTABLE);
    assert_int_equal(keys.object[0].id.len, 5);
    plugin_objects_free(&keys);
    assert_refused(import(numbers, "both", NULL, HX_EXTRACTABLE | HX_IN_HARDWARE), HX_E_INVALID, "in hardware");
    assert_refused(import(numbers, "odd", NULL, HX_RESTRICTED), HX_E_UNSUPPORTED, "properties");
    free_numbers(numbers);
}

/* Nothing of it comes to the module. */
static void a_damaged_key_is_refused(void **state)
{
    static const uint32_t types[] = { HX_RSA, HX_P256, HX_ED25519 };
    struct numbers *numbers;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        numbers = make_numbers(types[i]);
        forget_calls();
        for (size_t j = 0; j < numbers->parts; j++) {
            numbers->room[j][numbers->part[j].len / 2] ^= 2;
            assert_refused(import(numbers, "odd", NULL, 0), HX_E_INVALID, "do not fit");
            numbers->room[j][numbers->part[j].len / 2] ^= 2;
            numbers->part[j].len--;
            assert_int_equal(import(numbers, "odd", NULL, 0), HX_E_INVALID);
            numbers->part[j].len = 0;
            assert_int_equal(import(numbers, "odd", NULL, 0), HX_E_INVALID);
            numbers->part[j].len = types[i] != HX_RSA ? 32 : j == 1 ? 3 : j > 2 ? 128 : 256;
            if (types[i] == HX_P256 && j == 1)
                numbers->part[j].len = 65;
        }
        numbers->parts--;
        assert_refused(import(numbers, "odd", NULL, 0), HX_E_INVALID, "too few or too many");
        numbers->parts++;
        assert_int_equal(calls(NULL), 0);
        assert_int_equal(import(numbers, "mended", NULL, HX_REPLACE), 0);
        numbers->type = 99;
        assert_refused(import(numbers, "odd", NULL, 0), HX_E_UNSUPPORTED, "P-521 or Ed25519");
        free_numbers(numbers);
    }
}

static void what_is_half_done_is_undone(void **state)
{
    struct numbers *numbers = make_numbers(HX_P256);
    size_t before = count_objects("edge");

    (void)state;
    setenv("P11_COUNTER_FAIL", "C_CreateObject:1:0x31", 1);
    assert_refused(import(numbers, "half", NULL, 0), HX_E_FULL, "C_CreateObject on 'edge': CKR_DEVICE_MEMORY");
    setenv("P11_COUNTER_FAIL", "C_CreateObject:2:0x31", 1);
    assert_refused(import(numbers, "half", NULL, 0), HX_E_FULL, "C_CreateObject on 'edge': CKR_DEVICE_MEMORY");
    assert_int_equal(login(token, TEST_PIN), 0);
    assert_int_equal(count_objects("edge"), before);
    setenv("P11_COUNTER_FAIL", "C_CreateObject:2:0xd1,C_DestroyObject:0:0x6", 1);
    assert_refused(import(numbers, "half", NULL, 0), HX_E_UNSUPPORTED, "made half of the private key 'half'");
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(count_objects("edge"), before + 1);
    assert_refused(import(numbers, NULL, NULL, 0), HX_E_EXISTS, "a public key with the same id"); /* of another label */
    assert_int_equal(import(numbers, "half", NULL, 0), 0); /* what was left is taken for its own */
    assert_int_equal(count_objects("edge"), before + 2);
    assert_true(holds("half", numbers));
    free_numbers(numbers);
}

static void a_label_or_id_that_is_taken_wants_replace(void **state)
{
    struct numbers *one = make_numbers(HX_P256), *two = make_numbers(HX_P384);

    (void)state;
    assert_int_equal(import(one, "mine", "mine", 0), 0);
    assert_refused(import(two, "mine", NULL, 0), HX_E_EXISTS, "already has a private key with the label 'mine'");
    assert_refused(import(two, "other", "mine", 0), HX_E_EXISTS, "already has a private key with the same id");
    assert_true(holds("mine", one));
    assert_int_equal(import(two, "mine", NULL, HX_REPLACE), 0);
    assert_true(holds("mine", two));
    assert_int_equal(count(0, "mine"), 2);
    assert_int_equal(import(two, "mine", NULL, HX_REPLACE), 0); /* the same again */
    assert_true(holds("mine", two));
    assert_int_equal(count(0, "mine"), 2);
    assert_int_equal(generate(token, HX_P256, 0, "mine", NULL, HX_REPLACE), 0);
    assert_int_equal(count(0, "mine"), 2);
    free_numbers(one);
    free_numbers(two);
}

static void a_stranger_of_the_same_id_stays(void **state)
{
    struct numbers *stranger = make_numbers(HX_P384), *one = make_numbers(HX_P256), *two = make_numbers(HX_P256);

    (void)state;
    assert_int_equal(import(one, "shared", "shared", 0), 0);
    assert_int_equal(import(stranger, "stranger", "shared", HX_REPLACE), 0);
    assert_int_equal(import(two, "shared", "shared", HX_REPLACE), 0);
    assert_true(holds("stranger", stranger));
    assert_true(holds("shared", two));
    assert_int_equal(count(0, "stranger"), 2);
    assert_int_equal(generate(token, HX_P256, 0, "shared", "shared", HX_REPLACE), 0);
    assert_true(holds("stranger", stranger));
    assert_int_equal(count(0, "shared"), 2);
    free_numbers(stranger);
    free_numbers(one);
    free_numbers(two);
}

static void without_a_label_the_id_is_the_name(void **state)
{
    struct numbers *one = make_numbers(HX_P256), *two = make_numbers(HX_P256);
    size_t before = count_objects("edge");

    (void)state;
    assert_int_equal(import(one, NULL, "nameless", 0), 0);
    assert_refused(import(two, NULL, "nameless", 0), HX_E_EXISTS, "same id");
    assert_int_equal(import(two, NULL, "nameless", HX_REPLACE), 0);
    assert_int_equal(count_objects("edge"), before + 2);
    free_numbers(one);
    free_numbers(two);
}

static void an_old_key_that_cannot_go_is_told_of(void **state)
{
    struct numbers *one = make_numbers(HX_P256), *two = make_numbers(HX_P256);
    size_t before;

    (void)state;
    assert_int_equal(import(one, "stuck", NULL, 0), 0);
    before = count_objects("edge");
    setenv("P11_COUNTER_FAIL", "C_CreateObject:2:0x6", 1);
    assert_refused(import(two, "stuck", NULL, HX_REPLACE), HX_E_DEVICE, "CKR_FUNCTION_FAILED");
    assert_true(holds("stuck", one));
    setenv("P11_COUNTER_FAIL", "C_DestroyObject:1:0x1b", 1);
    assert_refused(import(two, "stuck", NULL, HX_REPLACE), HX_E_UNSUPPORTED,
                   "keeps the old private key 'stuck', which cannot be destroyed (CKR_ACTION_PROHIBITED): nothing was");
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(count_objects("edge"), before);
    assert_true(holds("stuck", one));
    setenv("P11_COUNTER_FAIL", "C_DestroyObject:1:0x1b", 1);
    assert_refused(generate(token, HX_P256, 0, "stuck", NULL, HX_REPLACE), HX_E_UNSUPPORTED, "nothing was");
    assert_true(holds("stuck", one));
    setenv("P11_COUNTER_FAIL", "C_DestroyObject:0:0x1b", 1);
    assert_refused(import(two, "stuck", NULL, HX_REPLACE), HX_E_UNSUPPORTED, "both are there, remove one");
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(count(HX_PRIVATE_KEY, "stuck"), 2);
    assert_int_equal(import(two, "stuck", NULL, HX_REPLACE), 0);
    assert_int_equal(count_objects("edge"), before);
    assert_true(holds("stuck", two));
    free_numbers(one);
    free_numbers(two);
}

int pkcs11_import_tests(void)
{
#define inside(test) cmocka_unit_test_setup_teardown(test, enter, leave)
    const struct CMUnitTest tests[] = {
        inside(every_type_comes_in_and_signs),
        inside(only_what_is_made_extractable_may_leave),
        inside(a_damaged_key_is_refused),
        inside(what_is_half_done_is_undone),
        inside(a_label_or_id_that_is_taken_wants_replace),
        inside(a_stranger_of_the_same_id_stays),
        inside(without_a_label_the_id_is_the_name),
        inside(an_old_key_that_cannot_go_is_told_of),
    };

    return cmocka_run_group_tests_name("import", tests, make_tokens, stop);
}
