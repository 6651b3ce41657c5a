/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin's secret keys on SoftHSM: taken in, made, read only where they may leave, HMACs as libcrypto's. */
#include "pkcs11-fixture.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define LONG (32 * 1024)

static void *token;
static unsigned char secret[64], message[3 * LONG];

static int make_tokens(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (unsigned char)(200 + i);
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (unsigned char)(i * 7 + i / 251);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return fixture_stop();
}

static int enter(void **state)
{
    (void)state;
    token = open_and_login("edge");
    return 0;
}

static int leave(void **state)
{
    (void)state;
    plugin->close(token);
    unsetenv("P11_COUNTER_FAIL");
    return 0;
}

static int import(const char *label, const char *id, uint32_t flags, size_t len)
{
    struct hx_spec spec = { .kind = HX_SECRET_KEY, .type = HX_GENERIC, .label = label, .flags = flags };
    const struct hx_buf part = { secret, len };
    struct plugin_bytes ref;
    int r;

    if (id)
        spec.id = (struct hx_buf){ id, strlen(id) };
    plugin_bytes_init(&ref);
    r = plugin->import(token, &spec, &part, 1, &ref.out);
    plugin_bytes_free(&ref);
    return r;
}

static int generate_secret(const char *label, uint32_t bits, uint32_t flags)
{
    struct hx_spec spec = { .kind = HX_SECRET_KEY, .type = HX_GENERIC, .bits = bits, .label = label, .flags = flags };
    struct plugin_bytes ref;
    int r;

    plugin_bytes_init(&ref);
    r = plugin->generate(token, &spec, &ref.out);
    plugin_bytes_free(&ref);
    return r;
}

static int mac(void *key, uint32_t hash, const void *data, size_t len, struct plugin_bytes *ret)
{
    struct hx_alg alg = { .scheme = HX_HMAC, .hash = hash };

    plugin_bytes_init(ret);
    return plugin->sign(key, &alg, data, len, &ret->out);
}

static void mac_and_compare(void *key, uint32_t hash, const void *value, size_t value_len, size_t len)
{
    const EVP_MD *const mds[] = { NULL, EVP_sha1(), EVP_sha256(), EVP_sha384(), EVP_sha512() };
    unsigned char expected[EVP_MAX_MD_SIZE];
    unsigned expected_len;
    struct plugin_bytes tag;

    assert_non_null(HMAC(mds[hash], value, (int)value_len, message, len, expected, &expected_len));
    if (mac(key, hash, len ? message : NULL, len, &tag))
        fail_msg("hash %u, %zu bytes: %s", hash, len, host.reason);
    assert_int_equal(tag.len, expected_len);
    assert_memory_equal(tag.data, expected, expected_len);
    plugin_bytes_free(&tag);
}

static void a_secret_taken_in_makes_the_codes_that_libcrypto_makes(void **state)
{
    static const size_t lengths[] = { 0, 1, 1000, LONG, LONG + 1, 3 * LONG };
    static const unsigned costs[] = { 2, 2, 2, 2, 4, 5 };
    struct plugin_objects listed;
    void *key;

    (void)state;
    assert_int_equal(import("sas", "sas", 0, 64), 0);
    listed = list(token, HX_SECRET_KEY, "sas");
    assert_int_equal(listed.count, 1);
    assert_int_equal(listed.object[0].type, HX_GENERIC);
    assert_int_equal(listed.object[0].bits, 512);
    assert_int_equal(listed.object[0].usage, HX_SIGN_MESSAGE);
    assert_int_equal(listed.object[0].flags, HX_IN_HARDWARE);
    assert_int_equal(listed.object[0].scheme, 0);
    assert_memory_equal(listed.object[0].id.data, "sas", 3);
    key = load(token, &listed.object[0]);
    plugin_objects_free(&listed);
    for (uint32_t hash = HX_SHA1; hash <= HX_SHA512; hash++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            forget_calls();
            mac_and_compare(key, hash, secret, 64, lengths[i]);
            assert_int_equal(calls(NULL), costs[i]);
        }
    plugin->unload(key);
}

static void a_piece_that_fails_is_named_and_the_next_code_is_right(void **state)
{
    void *key = load_by_label(token, HX_SECRET_KEY, "sas");
    struct plugin_bytes tag;

    (void)state;
    setenv("P11_COUNTER_FAIL", "C_SignInit:1:0x5,C_SignUpdate:1:0x30", 1);
    assert_refused(mac(key, HX_SHA256, message, 3 * LONG, &tag), HX_E_DEVICE, "C_SignInit");
    assert_refused(mac(key, HX_SHA256, message, 3 * LONG, &tag), HX_E_LOST, "C_SignUpdate on 'edge': CKR_DEVICE_ERROR");
    unsetenv("P11_COUNTER_FAIL");
    plugin->unload(key);
    assert_int_equal(login(token, TEST_PIN), 0);
    key = load_by_label(token, HX_SECRET_KEY, "sas");
    mac_and_compare(key, HX_SHA256, secret, 64, 3 * LONG);
    plugin->unload(key);
}

/* Careless modules go on with what failed, which must not be the next caller's to pay for. */
static void what_failed_halfway_goes_with_its_session(void **state)
{
    static const char *const rules[] = { "C_SignUpdate:2:0x5", "C_SignFinal:1:0x5", "C_Sign:1:0x150" };
    void *key = load_by_label(token, HX_SECRET_KEY, "sas");
    struct plugin_bytes tag;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        setenv("P11_COUNTER_FAIL", rules[i], 1);
        forget_calls();
        assert_refused(mac(key, HX_SHA256, message, i < 2 ? 3 * LONG : 10, &tag), HX_E_DEVICE, "C_Sign");
        assert_int_equal(calls("C_CloseSession"), 1);
        unsetenv("P11_COUNTER_FAIL");
        assert_int_equal(login(token, TEST_PIN), 0);
        plugin->unload(key);
        key = load_by_label(token, HX_SECRET_KEY, "sas");
        mac_and_compare(key, HX_SHA256, secret, 64, 10);
    }
    setenv("P11_COUNTER_FAIL", "C_Sign:1:0x5", 1);
    assert_refused(mac(key, HX_SHA256, message, 10, &tag), HX_E_DEVICE, "C_Sign");
    assert_refused(mac(key, HX_SHA256, message, 10, &tag), HX_E_BUSY, "CKR_OPERATION_ACTIVE"); /* the core asks again */
    plugin->unload(key);
    assert_int_equal(login(token, TEST_PIN), 0);
    key = load_by_label(token, HX_SECRET_KEY, "sas");
    mac_and_compare(key, HX_SHA256, secret, 64, 10);
    plugin->unload(key);
}

static int read_value(void *key, struct plugin_bytes *ret)
{
    plugin_bytes_init(ret);
    return plugin->read(key, HX_VALUE, &ret->out);
}

static void only_a_secret_made_extractable_can_be_read(void **state)
{
    void *key = load_by_label(token, HX_SECRET_KEY, "sas");
    struct plugin_objects listed;
    struct plugin_bytes value;

    (void)state;
    forget_calls();
    assert_refused(read_value(key, &value), HX_E_UNSUPPORTED, "cannot be read");
    assert_refused(plugin->read(key, HX_PUBLIC, &value.out), HX_E_UNSUPPORTED, "no asymmetric key");
    assert_int_equal(calls(NULL), 0);
    plugin->unload(key);
    assert_int_equal(import("open", NULL, HX_EXTRACTABLE, 33), 0);
    listed = list(token, HX_SECRET_KEY, "open");
    assert_int_equal(listed.object[0].flags, HX_EXTRACTABLE);
    key = load(token, &listed.object[0]);
    plugin_objects_free(&listed);
    assert_int_equal(read_value(key, &value), 0);
    assert_int_equal(value.len, 33);
    assert_memory_equal(value.data, secret, 33);
    plugin_bytes_free(&value);
    plugin->unload(key);
    assert_refused(import("both", NULL, HX_EXTRACTABLE | HX_IN_HARDWARE, 32), HX_E_INVALID, "not kept in hardware");
}

static void the_token_makes_secrets_of_the_bits_asked_for(void **state)
{
    static const uint32_t asked[] = { 0, 512, 8192 }, got[] = { 256, 512, 8192 };
    struct plugin_bytes value;
    struct plugin_objects listed;
    void *key;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(generate_secret("made", asked[i], HX_EXTRACTABLE | HX_REPLACE), 0);
        listed = list(token, HX_SECRET_KEY, "made");
        assert_int_equal(listed.count, 1);
        assert_int_equal(listed.object[0].bits, got[i]);
        key = load(token, &listed.object[0]);
        plugin_objects_free(&listed);
        assert_int_equal(read_value(key, &value), 0);
        assert_int_equal(value.len * 8, got[i]);
        mac_and_compare(key, HX_SHA256, value.data, value.len, 100);
        plugin_bytes_free(&value);
        plugin->unload(key);
    }
    assert_int_equal(generate_secret("kept", 256, HX_IN_HARDWARE), 0);
    key = load_by_label(token, HX_SECRET_KEY, "kept");
    assert_refused(read_value(key, &value), HX_E_UNSUPPORTED, "cannot be read");
    plugin->unload(key);
    assert_refused(generate_secret("odd", 250, 0), HX_E_UNSUPPORTED, "whole bytes");
    assert_refused(generate_secret("odd", 64, 0), HX_E_UNSUPPORTED, "128 to 8192");
    assert_refused(generate_secret("odd", 8200, 0), HX_E_UNSUPPORTED, "128 to 8192");
    setenv("P11_COUNTER_FAIL", "C_GenerateKey:1:0x70", 1);
    assert_refused(generate_secret("odd", 256, 0), HX_E_UNSUPPORTED, "C_GenerateKey on 'edge': CKR_MECHANISM_INVALID");
}

static void a_label_or_id_is_taken_once_and_replaced_when_asked(void **state)
{
    size_t objects;
    struct plugin_objects listed;
    void *key;

    (void)state;
    assert_int_equal(import("one", "first", 0, 64), 0);
    objects = count_objects("edge");
    assert_refused(import("one", NULL, 0, 32), HX_E_EXISTS, "already has a secret key with the label 'one'");
    assert_refused(import("two", "first", 0, 32), HX_E_EXISTS, "same id");
    assert_refused(generate_secret("one", 256, 0), HX_E_EXISTS, "'one'");
    setenv("P11_COUNTER_FAIL", "C_CreateObject:1:0x31", 1);
    assert_refused(import("one", "first", HX_REPLACE, 32), HX_E_FULL, "CKR_DEVICE_MEMORY");
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(count_objects("edge"), objects); /* the old one stays until there is a new one */
    assert_int_equal(import("one", "first", HX_REPLACE, 32), 0);
    assert_int_equal(count_objects("edge"), objects);
    assert_int_equal(generate(token, HX_P256, 0, "one", "first", 0), 0); /* another kind of object */
    listed = list(token, HX_SECRET_KEY, "one");
    assert_int_equal(listed.count, 1);
    assert_int_equal(listed.object[0].bits, 256);
    key = load(token, &listed.object[0]);
    mac_and_compare(key, HX_SHA256, secret, 32, 10);
    plugin->unload(key);
    assert_int_equal(plugin->remove(token, HX_SECRET_KEY, listed.object[0].ref.data, listed.object[0].ref.len), 0);
    assert_refused(plugin->remove(token, HX_SECRET_KEY, listed.object[0].ref.data, listed.object[0].ref.len),
                   HX_E_NOT_FOUND, "no secret key 'one'");
    plugin_objects_free(&listed);
    listed = list(token, HX_PRIVATE_KEY, "one");
    assert_int_equal(listed.count, 1);
    plugin_objects_free(&listed);
}

static void what_is_no_secret_is_refused(void **state)
{
    struct hx_spec spec = { .kind = HX_SECRET_KEY, .type = HX_GENERIC, .label = "odd" };
    const struct hx_buf parts[] = { { secret, 32 }, { secret, 32 } };
    struct plugin_bytes ref;

    (void)state;
    plugin_bytes_init(&ref);
    forget_calls();
    assert_refused(import("odd", NULL, 0, 0), HX_E_INVALID, "1 to 1024 bytes");
    assert_refused(import("odd", NULL, 0, 1025), HX_E_INVALID, "1 to 1024 bytes");
    assert_refused(import("odd", NULL, HX_RESTRICTED, 32), HX_E_UNSUPPORTED, "properties");
    assert_refused(plugin->import(token, &spec, parts, 2, &ref.out), HX_E_INVALID, "2 parts");
    spec.bits = 128;
    assert_refused(plugin->import(token, &spec, parts, 1, &ref.out), HX_E_INVALID, "256 bits, not 128");
    spec.bits = 0;
    spec.usage = HX_DECRYPT;
    assert_refused(plugin->import(token, &spec, parts, 1, &ref.out), HX_E_UNSUPPORTED, "no such usage");
    spec.usage = HX_SIGN_MESSAGE;
    spec.kind = HX_PRIVATE_KEY;
    assert_refused(plugin->generate(token, &spec, &ref.out), HX_E_UNSUPPORTED, "only private keys and secrets");
    assert_int_equal(calls(NULL), 0);
}

static void a_key_for_one_hash_says_so_and_makes_no_other_code(void **state)
{
    static const unsigned long types[] = { 0x28, 0x2b, 0x2c, 0x2d }; /* CKK_SHA_1_HMAC, CKK_SHA256_HMAC... */
    unsigned char value[64] = { 7 };
    struct plugin_objects listed;
    struct plugin_bytes tag;
    char label[16];
    void *key;

    (void)state;
    for (uint32_t hash = HX_SHA1; hash <= HX_SHA512; hash++) {
        snprintf(label, sizeof label, "only%u", hash);
        make_secret("edge", label, types[hash - 1]);
        listed = list(token, HX_SECRET_KEY, label);
        assert_int_equal(listed.count, 1);
        assert_int_equal(listed.object[0].scheme, HX_HMAC);
        assert_int_equal(listed.object[0].hash, hash);
        key = load(token, &listed.object[0]);
        plugin_objects_free(&listed);
        mac_and_compare(key, hash, value, sizeof value, 100);
        assert_refused(mac(key, hash == HX_SHA1 ? HX_SHA256 : HX_SHA1, message, 10, &tag), HX_E_UNSUPPORTED,
                       "made for another hash");
        plugin->unload(key);
    }
}

static void what_a_secret_cannot_do_is_refused(void **state)
{
    struct hx_alg other = { .scheme = HX_ECDSA, .hash = HX_SHA256 }, odd = { .scheme = HX_HMAC, .hash = HX_SHA256 };
    void *key = load_by_label(token, HX_SECRET_KEY, "sas"), *pair;
    struct plugin_bytes out;

    (void)state;
    odd.spare[3] = 1;
    plugin_bytes_init(&out);
    assert_int_equal(generate(token, HX_P256, 0, "pair", NULL, HX_REPLACE), 0);
    pair = load_by_label(token, HX_PRIVATE_KEY, "pair");
    forget_calls();
    assert_refused(plugin->sign(key, &other, message, 32, &out.out), HX_E_UNSUPPORTED, "for a secret key");
    assert_refused(plugin->sign(key, &odd, message, 32, &out.out), HX_E_UNSUPPORTED, "unknown parameters");
    assert_refused(mac(key, 99, message, 32, &out), HX_E_UNSUPPORTED, "unknown hash");
    assert_refused(mac(pair, HX_SHA256, message, 32, &out), HX_E_UNSUPPORTED, "no such scheme");
    assert_refused(plugin->decrypt(key, &other, message, 32, &out.out), HX_E_UNSUPPORTED, "no private key");
    assert_refused(plugin->derive(key, &other, message, 32, &out.out), HX_E_UNSUPPORTED, "no private key");
    assert_int_equal(calls(NULL), 0);
    plugin->unload(pair);
    plugin->unload(key);
    assert_int_equal(import("short", NULL, HX_REPLACE, 16), 0); /* SoftHSM wants as many bytes as the hash has */
    key = load_by_label(token, HX_SECRET_KEY, "short");
    assert_refused(mac(key, HX_SHA256, message, 32, &out), HX_E_UNSUPPORTED, "CKR_KEY_SIZE_RANGE");
    plugin->unload(key);
}

int pkcs11_secret_tests(void)
{
#define inside(test) cmocka_unit_test_setup_teardown(test, enter, leave)
    const struct CMUnitTest tests[] = {
        inside(a_secret_taken_in_makes_the_codes_that_libcrypto_makes),
        inside(a_piece_that_fails_is_named_and_the_next_code_is_right),
        inside(what_failed_halfway_goes_with_its_session),
        inside(only_a_secret_made_extractable_can_be_read),
        inside(the_token_makes_secrets_of_the_bits_asked_for),
        inside(a_label_or_id_is_taken_once_and_replaced_when_asked),
        inside(what_is_no_secret_is_refused),
        inside(a_key_for_one_hash_says_so_and_makes_no_other_code),
        inside(what_a_secret_cannot_do_is_refused),
    };

    return cmocka_run_group_tests_name("secrets", tests, make_tokens, stop);
}
