/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin's RSA decryption on SoftHSM, and raw RSA, over which the core pads what a token cannot. */
#include "pkcs11-fixture.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 256

static int make_tokens(void **state)
{
    void *fresh;
    int r;

    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    fresh = open_and_login("edge");
    r = generate(fresh, HX_RSA, 8 * WIDTH, "rsa", "rsa", 0);
    plugin->close(fresh);
    return r;
}

static int stop(void **state)
{
    (void)state;
    return fixture_stop();
}

static void *token, *key;

static void find_key(void)
{
    token = open_and_login("edge");
    key = load_by_label(token, HX_PRIVATE_KEY, "rsa");
}

static int enter(void **state)
{
    (void)state;
    find_key();
    return 0;
}

static int leave(void **state)
{
    (void)state;
    plugin->unload(key);
    plugin->close(token);
    unsetenv("P11_COUNTER_FAIL");
    return 0;
}

/* By libcrypto and the public key alone. */
static void encrypt(int padding, const EVP_MD *md, const void *in, size_t len, unsigned char ret[WIDTH])
{
    EVP_PKEY *public = public_key(token, "rsa");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(public, NULL);
    size_t ret_len = WIDTH;

    assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, padding) > 0);
    if (md)
        assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) > 0);
    assert_int_equal(EVP_PKEY_encrypt(ctx, ret, &ret_len, in, len), 1);
    assert_int_equal(ret_len, WIDTH);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(public);
}

static int decrypt(const struct hx_alg *alg, const unsigned char *in, size_t len, struct plugin_bytes *ret)
{
    plugin_bytes_init(ret);
    return plugin->decrypt(key, alg, in, len, &ret->out);
}

static const struct hx_alg oaep = { .scheme = HX_RSA_OAEP, .hash = HX_SHA1 }, raw = { .scheme = HX_RSA_RAW };

static void oaep_texts_of_every_length_are_decrypted_by_two_calls(void **state)
{
    static const size_t lengths[] = { 0, 1, 32, WIDTH - 42 };
    unsigned char plain[WIDTH], text[WIDTH];
    struct plugin_bytes out;

    (void)state;
    memset(plain, 0, sizeof plain);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        encrypt(RSA_PKCS1_OAEP_PADDING, EVP_sha1(), plain, lengths[i], text);
        forget_calls();
        assert_int_equal(decrypt(&oaep, text, WIDTH, &out), 0);
        assert_int_equal(out.len, lengths[i]);
        assert_memory_equal(out.data, plain, lengths[i]);
        plugin_bytes_free(&out);
        assert_int_equal(calls(NULL), 2);
    }
}

/* With and without a module that leaves out leading zeros. */
static void a_raw_number_keeps_its_leading_zeros(void **state)
{
    unsigned char number[WIDTH], text[WIDTH];
    struct plugin_bytes out;

    (void)state;
    RAND_bytes(number, sizeof number);
    memset(number, 0, 3);
    encrypt(RSA_NO_PADDING, NULL, number, WIDTH, text);
    for (int i = 0; i < 2; i++) {
        if (i)
            setenv("P11_COUNTER_SHORT", "1", 1);
        assert_int_equal(decrypt(&raw, text, WIDTH, &out), 0);
        assert_int_equal(out.len, WIDTH);
        assert_memory_equal(out.data, number, WIDTH);
        plugin_bytes_free(&out);
    }
    unsetenv("P11_COUNTER_SHORT");
    assert_int_equal(plugin->sign(key, &raw, text, WIDTH, &out.out), 0);
    assert_int_equal(out.len, WIDTH);
    assert_memory_equal(out.data, number, WIDTH);
    plugin_bytes_free(&out);
}

static int sign_pss(uint32_t mgf, struct plugin_bytes *ret)
{
    struct hx_alg pss = { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .mgf_hash = mgf, .salt_len = 32 };
    unsigned char digest[32] = { 5 };

    plugin_bytes_init(ret);
    return plugin->sign(key, &pss, digest, sizeof digest, &ret->out);
}

/* SoftHSM itself knows no other OAEP than with SHA-1 and no label, and no PSS with two hashes. */
static void what_the_token_does_not_know_is_unsupported(void **state)
{
    static const char *const refusals[] = { "0x70", "0x71", "0x7" };
    struct hx_alg sha256 = { .scheme = HX_RSA_OAEP, .hash = HX_SHA256 }, masked = oaep, labelled = oaep;
    unsigned char text[WIDTH] = { 0 };
    struct plugin_bytes out;
    char rules[64];

    (void)state;
    masked.mgf_hash = HX_SHA512;
    labelled.param = (struct hx_buf){ "label", 5 };
    assert_refused(decrypt(&sha256, text, WIDTH, &out), HX_E_UNSUPPORTED, "C_DecryptInit on 'edge'");
    assert_refused(decrypt(&masked, text, WIDTH, &out), HX_E_UNSUPPORTED, "C_DecryptInit on 'edge'");
    assert_refused(decrypt(&labelled, text, WIDTH, &out), HX_E_UNSUPPORTED, "forgets the label");
    assert_refused(sign_pss(HX_SHA1, &out), HX_E_UNSUPPORTED, "C_SignInit on 'edge'");
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        snprintf(rules, sizeof rules, "C_DecryptInit:0:%s,C_SignInit:0:%s", refusals[i], refusals[i]);
        setenv("P11_COUNTER_FAIL", rules, 1);
        assert_refused(decrypt(&oaep, text, WIDTH, &out), HX_E_UNSUPPORTED, "C_DecryptInit on 'edge'");
        assert_refused(sign_pss(0, &out), HX_E_UNSUPPORTED, "C_SignInit on 'edge'");
    }
    unsetenv("P11_COUNTER_FAIL");
}

/* The same words for each kind, and nothing in the queue where OpenSSL would say more. */
static void no_two_bad_texts_can_be_told_apart(void **state)
{
    static const char *const answers[] = { "0x40", "0x41", "0x5", "0x20", "0x21", "0x80000001" };
    unsigned char number[WIDTH] = { 0 }, text[WIDTH];
    struct plugin_bytes out;
    char rule[32];

    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        if (kind == 4)
            memset(text, 0xff, sizeof text); /* not below the modulus */
        else if (kind == 3)
            encrypt(RSA_PKCS1_OAEP_PADDING, EVP_sha256(), number, 20, text); /* another hash of the label */
        else {
            RAND_bytes(number + 1, sizeof number - 1);
            number[0] = kind == 0 ? 1 : 0;
            memset(number + 1, 0, kind == 1 ? WIDTH - 1 : 0);
            encrypt(RSA_NO_PADDING, NULL, number, WIDTH, text);
        }
        ERR_clear_error();
        assert_refused(decrypt(&oaep, text, WIDTH, &out), HX_E_INVALID, "");
        assert_string_equal(host.reason, "token 'edge' cannot decrypt that with key 'rsa'");
        assert_int_equal(out.len, 0);
        assert_int_equal(ERR_peek_error(), 0);
    }
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        snprintf(rule, sizeof rule, "C_Decrypt:1:%s", answers[i]);
        setenv("P11_COUNTER_FAIL", rule, 1);
        assert_refused(decrypt(&oaep, text, WIDTH, &out), HX_E_INVALID, "");
        assert_string_equal(host.reason, "token 'edge' cannot decrypt that with key 'rsa'");
        unsetenv("P11_COUNTER_FAIL");
        leave(NULL); /* the module still waits for the decryption that never came */
        find_key();
    }
}

static void a_lost_token_is_no_bad_text(void **state)
{
    unsigned char text[WIDTH] = { 0 };
    struct plugin_bytes out;

    (void)state;
    setenv("P11_COUNTER_FAIL", "C_Decrypt:1:0x32,C_DecryptInit:2:0x101,C_DecryptInit:3:0x30", 1);
    assert_refused(decrypt(&raw, text, WIDTH, &out), HX_E_LOST, "C_Decrypt on 'edge': CKR_DEVICE_REMOVED");
    assert_refused(decrypt(&raw, text, WIDTH, &out), HX_E_LOGIN, "CKR_USER_NOT_LOGGED_IN");
    assert_refused(decrypt(&raw, text, WIDTH, &out), HX_E_LOST, "CKR_DEVICE_ERROR");
    unsetenv("P11_COUNTER_FAIL");
    close_all_sessions();
}

static void what_is_no_text_for_the_key_never_reaches_the_module(void **state)
{
    struct hx_alg odd = oaep, unknown = oaep, named = raw;
    unsigned char text[WIDTH + 1] = { 0 };
    struct plugin_bytes out;
    void *ec;

    (void)state;
    odd.spare[1] = 1;
    unknown.mgf_hash = 99;
    named.param = (struct hx_buf){ "label", 5 };
    assert_int_equal(generate(token, HX_P256, 0, "ec", NULL, HX_REPLACE), 0);
    ec = load_by_label(token, HX_PRIVATE_KEY, "ec");
    forget_calls();
    assert_refused(decrypt(&oaep, text, WIDTH - 1, &out), HX_E_INVALID, "255 bytes");
    assert_refused(decrypt(&raw, text, WIDTH + 1, &out), HX_E_INVALID, "257 bytes");
    assert_refused(decrypt(&odd, text, WIDTH, &out), HX_E_UNSUPPORTED, "unknown parameters");
    assert_refused(decrypt(&named, text, WIDTH, &out), HX_E_UNSUPPORTED, "unknown parameters");
    assert_refused(decrypt(&unknown, text, WIDTH, &out), HX_E_UNSUPPORTED, "unknown hash");
    assert_refused(plugin->decrypt(ec, &oaep, text, 32, &out.out), HX_E_UNSUPPORTED, "'ec'");
    assert_int_equal(calls(NULL), 0);
    plugin->unload(ec);
}

static void a_key_made_to_sign_only_does_not_decrypt(void **state)
{
    struct hx_spec spec = {
        .kind = HX_PRIVATE_KEY, .type = HX_RSA, .bits = 8 * WIDTH, .usage = HX_SIGN_DIGEST, .label = "signs"
    };
    unsigned char text[WIDTH] = { 0 };
    struct plugin_objects listed;
    struct plugin_bytes out;
    void *signs;

    (void)state;
    plugin_bytes_init(&out);
    assert_int_equal(plugin->generate(token, &spec, &out.out), 0);
    plugin_bytes_free(&out);
    listed = list(token, HX_PRIVATE_KEY, "signs");
    assert_int_equal(listed.object[0].usage, HX_SIGN_DIGEST);
    signs = load(token, &listed.object[0]);
    assert_refused(plugin->decrypt(signs, &raw, text, WIDTH, &out.out), HX_E_UNSUPPORTED, "NOT_PERMITTED");
    plugin->unload(signs);
    plugin_objects_free(&listed);
    spec.usage = HX_DERIVE;
    spec.label = "derives";
    assert_refused(plugin->generate(token, &spec, &out.out), HX_E_UNSUPPORTED, "no such usage");
}

/* There is room for the results of 8192 bits. */
static void a_key_that_is_too_wide_is_not_asked_for_a_result(void **state)
{
    struct hx_alg pkcs1 = { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256 };
    unsigned char text[2048] = { 0 };
    struct plugin_bytes out;

    (void)state;
    leave(NULL);
    setenv("P11_COUNTER_WIDE", "1", 1);
    find_key();
    plugin_bytes_init(&out);
    assert_refused(decrypt(&raw, text, sizeof text, &out), HX_E_UNSUPPORTED, "more than 8192 bits");
    assert_refused(decrypt(&oaep, text, sizeof text, &out), HX_E_UNSUPPORTED, "more than 8192 bits");
    assert_refused(plugin->sign(key, &pkcs1, text, 32, &out.out), HX_E_UNSUPPORTED, "more than 8192 bits");
    unsetenv("P11_COUNTER_WIDE");
}

int pkcs11_decrypt_tests(void)
{
#define with_key(test) cmocka_unit_test_setup_teardown(test, enter, leave)
    const struct CMUnitTest tests[] = {
        with_key(oaep_texts_of_every_length_are_decrypted_by_two_calls),
        with_key(a_raw_number_keeps_its_leading_zeros),
        with_key(what_the_token_does_not_know_is_unsupported),
        with_key(no_two_bad_texts_can_be_told_apart),
        with_key(a_lost_token_is_no_bad_text),
        with_key(what_is_no_text_for_the_key_never_reaches_the_module),
        with_key(a_key_made_to_sign_only_does_not_decrypt),
        with_key(a_key_that_is_too_wide_is_not_asked_for_a_result),
    };

    return cmocka_run_group_tests_name("decryption", tests, make_tokens, stop);
}
