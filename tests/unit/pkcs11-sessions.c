/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that end up on another token, that a bad text costs, that are the only ones, or that others held. */
#include "pkcs11-core.h"

#include <pthread.h>

static void another_token_in_the_same_slot_is_neither_used_nor_sent_a_pin(void **state)
{
    void *token = open_and_login("edge"), *key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    struct plugin_tokens tokens;
    struct plugin_bytes out;

    (void)state;
    plugin_tokens_init(&tokens);
    setenv("P11_COUNTER_SWAP", "1", 1);
    forget_calls();
    assert_refused(plugin->describe(token, &tokens.tokens), HX_E_LOST, "another token is in the place of 'edge'");
    assert_refused(generate(token, HX_P256, 256, "swapped", NULL, 0), HX_E_LOST, "another token");
    assert_refused(sign(key, HX_ECDSA, HX_SHA256, 0, &out), HX_E_LOST, "another token");
    assert_int_equal(calls("C_SignInit") + calls("C_GenerateKeyPair"), 0);
    plugin->unload(key);
    plugin->close(token);
    plugin_tokens_free(&tokens);
}

static int decrypt_garbage(struct hx_key *key)
{
    struct hx_alg alg = { .scheme = HX_RSA_OAEP, .hash = HX_SHA1 };
    const unsigned char garbage[256] = { 0, 1 };
    struct hx_bytes plain = { 0 };
    int r = hx_decrypt(key, &alg, garbage, sizeof garbage, &plain);

    hx_bytes_free(&plain);
    return r;
}

static void a_device_error_for_each_bad_text_reopens_the_token_once(void **state)
{
    struct hx_key *key = open_key("hsm:edge/key/rsa");

    (void)state;
    setenv("P11_COUNTER_FAIL", "C_Decrypt:0:0x30", 1);
    assert_int_equal(decrypt_garbage(key), HX_E_INVALID);
    forget_calls();
    for (int i = 0; i < 10; i++)
        assert_int_equal(decrypt_garbage(key), HX_E_INVALID);
    assert_int_equal(calls("C_Decrypt"), 10);
    assert_int_equal(calls("C_Login") + calls("C_GetSlotList") + calls("C_FindObjects"), 0);
    hx_key_close(key);
}

static int make_key(const char *label)
{
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .label = label };

    return hx_generate(ctx, "edge", &spec, NULL);
}

static void a_token_with_one_session_signs_and_changes(void **state)
{
    struct hx_key *key;

    (void)state;
    close_all_sessions(); /* those that were said to be gone */
    setenv("P11_COUNTER_SESSIONS", "1", 1);
    forget_calls();
    must(make_key("single"));
    assert_int_equal(calls("C_Login"), 1);
    must(hx_remove(ctx, "hsm:edge/key/single"));
    hx_free(ctx);
    must(hx_new(conf, &ctx));
    key = open_key("hsm:edge/key/p256");
    must(sign_with(key));
    must(make_key("single"));
    must(sign_with(key));
    must(hx_remove(ctx, "hsm:edge/key/single"));
    hx_key_close(key);
}

static void *keep_signing(void *key)
{
    struct plugin_bytes out;

    for (int i = 0; i < 20; i++) {
        if (sign(key, HX_ECDSA, HX_SHA256, 0, &out))
            return key;
        plugin_bytes_free(&out);
    }
    return NULL;
}

static unsigned sessions_of_two_threads(void *key)
{
    pthread_t thread[2];
    void *bad;

    forget_calls();
    setenv("P11_COUNTER_DELAY_MS", "5", 1);
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, keep_signing, key);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], &bad);
        assert_null(bad);
    }
    unsetenv("P11_COUNTER_DELAY_MS");
    return calls("C_OpenSession");
}

static void sessions_that_others_held_are_asked_for_again_later(void **state)
{
    void *token = open_and_login("edge"), *key = load_by_label(token, HX_PRIVATE_KEY, "p256");

    (void)state;
    setenv("P11_COUNTER_SESSIONS", "1", 1);
    assert_int_equal(sessions_of_two_threads(key), 1);
    unsetenv("P11_COUNTER_SESSIONS");
    assert_int_equal(sessions_of_two_threads(key), 0);
    sleep(3);
    assert_int_equal(sessions_of_two_threads(key), 1);
    plugin->unload(key);
    plugin->close(token);
}

int pkcs11_session_tests(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_token_in_the_same_slot_is_neither_used_nor_sent_a_pin),
        TEST(a_device_error_for_each_bad_text_reopens_the_token_once),
        TEST(a_token_with_one_session_signs_and_changes),
        TEST(sessions_that_others_held_are_asked_for_again_later),
    };

    return cmocka_run_group_tests_name("sessions", tests, make_tokens, stop);
}
