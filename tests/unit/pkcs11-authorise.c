/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin and keys with CKA_ALWAYS_AUTHENTICATE, on SoftHSM: the PIN goes with one operation, in its session.
 */
#include "pkcs11-fixture.h"

#include <stdlib.h>
#include <string.h>

static void *token, *key;

static int make_tokens(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    run("pkcs11-tool --module '%s' --token-label edge --login --pin " TEST_PIN
        " --keypairgen --key-type rsa:2048 --label device --id 01 --always-auth",
        getenv("P11_COUNTER_MODULE"));
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
    key = load_by_label(token, HX_PRIVATE_KEY, "device");
    forget_calls();
    return 0;
}

static int leave(void **state)
{
    (void)state;
    plugin->unload(key);
    plugin->close(token);
    unsetenv("P11_COUNTER_FAIL");
    unsetenv("P11_COUNTER_PINPAD");
    return 0;
}

static int authorise(const char *pin)
{
    return plugin->authorise(key, pin, pin ? strlen(pin) : 0);
}

static int sign_once(void)
{
    struct plugin_bytes signature;
    int r;

    plugin_bytes_init(&signature);
    r = sign(key, HX_RSA_PKCS1, HX_SHA256, 0, &signature);
    plugin_bytes_free(&signature);
    return r;
}

static int decrypt_once(void)
{
    const struct hx_alg raw = { .scheme = HX_RSA_RAW };
    unsigned char text[256] = { 1 };
    struct plugin_bytes plain;
    int r;

    plugin_bytes_init(&plain);
    r = plugin->decrypt(key, &raw, text, sizeof text, &plain.out);
    plugin_bytes_free(&plain);
    return r;
}

static void each_operation_takes_one_pin_and_three_calls(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(authorise(TEST_PIN), 0);
        assert_int_equal(sign_once(), 0);
        assert_int_equal(authorise(TEST_PIN), 0);
        assert_int_equal(decrypt_once(), 0);
    }
    assert_int_equal(calls("C_Login"), 6);
    assert_int_equal(calls(NULL), 18);
}

static void without_a_pin_the_module_is_not_asked(void **state)
{
    (void)state;
    assert_refused(sign_once(), HX_E_UNSUPPORTED, "wants the PIN for each operation");
    assert_refused(decrypt_once(), HX_E_UNSUPPORTED, "wants the PIN for each operation");
    assert_refused(authorise(NULL), HX_E_LOGIN, "no pinpad");
    assert_int_equal(authorise(TEST_PIN), 0);
    assert_int_equal(sign_once(), 0);
    assert_refused(sign_once(), HX_E_UNSUPPORTED, "wants the PIN for each operation");
    assert_int_equal(calls(NULL), 3);
}

/* The session in which the operation stays begun is not used again. */
static void a_wrong_pin_is_refused_and_spoils_nothing(void **state)
{
    (void)state;
    assert_int_equal(authorise("00000000"), 0);
    assert_refused(sign_once(), HX_E_PIN, "the PIN was refused (CKR_PIN_INCORRECT)");
    assert_int_equal(calls("C_Sign"), 0);
    leave(NULL); /* the login has ended with the last session */
    enter(NULL);
    assert_int_equal(authorise("00000000"), 0);
    assert_refused(decrypt_once(), HX_E_PIN, "the PIN was refused");
    assert_int_equal(calls("C_Decrypt"), 0);
    leave(NULL);
    enter(NULL);
    assert_int_equal(authorise(TEST_PIN), 0);
    assert_int_equal(decrypt_once(), 0);
    assert_int_equal(authorise(TEST_PIN), 0);
    assert_int_equal(sign_once(), 0);
}

static void a_pin_does_not_outlive_an_operation_that_failed(void **state)
{
    (void)state;
    assert_int_equal(authorise(TEST_PIN), 0);
    setenv("P11_COUNTER_FAIL", "C_SignInit:0:0x30", 1); /* CKR_DEVICE_ERROR */
    assert_int_equal(sign_once(), HX_E_LOST);
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(calls("C_Login"), 0);
    assert_refused(sign_once(), HX_E_UNSUPPORTED, "wants the PIN");
    assert_int_equal(authorise(TEST_PIN), 0); /* and is wiped by unload(), too */
}

static void a_pinpad_is_asked_with_no_pin(void **state)
{
    (void)state;
    leave(NULL);
    setenv("P11_COUNTER_PINPAD", TEST_PIN, 1);
    token = open_token("edge");
    assert_int_equal(plugin->login(token, NULL, 0), 0);
    key = load_by_label(token, HX_PRIVATE_KEY, "device");
    assert_int_equal(authorise(NULL), 0);
    assert_int_equal(sign_once(), 0);
    setenv("P11_COUNTER_PINPAD", "", 1); /* nobody */
    assert_int_equal(authorise(NULL), 0);
    assert_refused(sign_once(), HX_E_DEVICE, "CKR_FUNCTION_CANCELED");
}

int pkcs11_authorise_tests(void)
{
#define with_key(test) cmocka_unit_test_setup_teardown(test, enter, leave)
    const struct CMUnitTest tests[] = {
        with_key(each_operation_takes_one_pin_and_three_calls),
        with_key(without_a_pin_the_module_is_not_asked),
        with_key(a_wrong_pin_is_refused_and_spoils_nothing),
        with_key(a_pin_does_not_outlive_an_operation_that_failed),
        with_key(a_pinpad_is_asked_with_no_pin),
    };

    return cmocka_run_group_tests_name("authorisation", tests, make_tokens, stop);
}
