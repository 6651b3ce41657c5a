/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin initialises blank tokens of SoftHSM, completes what was left half done, and erases only when told
 * to. */
#include "pkcs11-fixture.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdlib.h>
#include <string.h>

#define SO_PIN "55667788"

static int make_tokens(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("other");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    unsetenv("P11_COUNTER_FAIL");
    return fixture_stop();
}

static int initialise(const char *label, uint32_t flags, const char *so_pin, const char *pin)
{
    struct hx_spec spec = { .label = label, .flags = flags };
    const struct hx_buf pins[2] = { { so_pin, strlen(so_pin) }, { pin, strlen(pin) } };
    int r;

    plugin_host_clear(&host);
    r = plugin->initialise(&host.host, NULL, &spec, pins, 2);
    unsetenv("P11_COUNTER_FAIL");
    return r;
}

/* How many objects the token has for its user; none of anybody else's PINs fits. */
static size_t count_of(const char *label)
{
    void *token = open_and_login(label);
    struct plugin_objects objects = list(token, 0, NULL);
    size_t count = objects.count;

    plugin_objects_free(&objects);
    plugin->close(token);
    return count;
}

static void a_blank_token_gets_its_label_and_pins(void **state)
{
    void *token;

    (void)state;
    plugin_host_set(&host, "token", "edge");
    assert_refused(plugin->open(&host.host, NULL, &token), HX_E_NOT_FOUND, "there: 'other'");
    assert_refused(initialise(NULL, 0, "", ""), HX_E_LOGIN, "wants the SO PIN");
    assert_refused(initialise(NULL, 0, SO_PIN, ""), HX_E_LOGIN, "wants the user PIN");
    assert_int_equal(initialise(NULL, 0, SO_PIN, TEST_PIN), 0);
    assert_true(plugin_host_logged(&host, "initialised, with the label 'edge'"));
    assert_int_equal(count_of("edge"), 0);
    token = open_and_login("edge");
    assert_int_equal(generate(token, HX_P256, 0, "device", NULL, 0), 0);
    sign_and_verify(token, "device", HX_ECDSA, HX_SHA256, 0);
    plugin->close(token);
}

static void one_that_is_not_blank_stays_as_it_is_unless_told(void **state)
{
    (void)state;
    plugin_host_set(&host, "token", "edge");
    forget_calls();
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_EXISTS, "not blank: 'edge' (serial ");
    assert_refused(initialise(NULL, 0, "", ""), HX_E_EXISTS, "is initialised already");
    assert_int_equal(calls("C_InitToken") + calls("C_Login"), 0);
    assert_refused(initialise(NULL, HX_REPLACE, "wrong-pin", TEST_PIN), HX_E_PIN, "the SO PIN was refused");
    assert_int_equal(count_of("edge"), 2);
    assert_int_equal(initialise(NULL, HX_REPLACE, SO_PIN, TEST_PIN), 0);
    assert_int_equal(count_of("edge"), 0);
}

static void the_label_is_the_one_that_the_options_name(void **state)
{
    (void)state;
    plugin_host_set(&host, "token", "new");
    forget_calls();
    assert_refused(initialise("newer", 0, SO_PIN, TEST_PIN), HX_E_INVALID, "its section says token = new");
    plugin_host_set(&host, "token", "a label that is longer than thirty-two bytes");
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_INVALID, "longer than 32 bytes");
    plugin_host_set(&host, "token", NULL);
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_INVALID, "needs a label");
    assert_refused(initialise("new", 0, SO_PIN, TEST_PIN), HX_E_AMBIGUOUS, "2 tokens fit");
    assert_refused(initialise("new", HX_RESTRICTED, SO_PIN, TEST_PIN), HX_E_UNSUPPORTED, "a label, an SO PIN");
    plugin_host_set(&host, "serial", "nix");
    assert_refused(initialise("new", 0, SO_PIN, TEST_PIN), HX_E_NOT_FOUND, "no blank token");
    plugin_host_set(&host, "serial", NULL);
    assert_int_equal(calls("C_InitToken") + calls("C_Login"), 0);
}

static void what_was_left_half_done_is_completed_with_nothing_erased(void **state)
{
    (void)state;
    plugin_host_set(&host, "token", "half");
    setenv("P11_COUNTER_FAIL", "C_InitPIN:1:0xa2", 1);
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_INVALID, "takes no such user PIN (CKR_PIN_LEN_RANGE)");
    forget_calls();
    assert_refused(initialise(NULL, 0, "wrong-pin", TEST_PIN), HX_E_PIN, "the SO PIN was refused");
    assert_int_equal(initialise(NULL, 0, SO_PIN, TEST_PIN), 0);
    assert_int_equal(calls("C_InitToken"), 0);
    assert_int_equal(count_of("half"), 0);
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_EXISTS, "is initialised already");
}

static void what_the_module_refuses_is_told_in_words(void **state)
{
    (void)state;
    plugin_host_set(&host, "token", "words");
    setenv("P11_COUNTER_FAIL", "C_InitToken:1:0xa2", 1);
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_INVALID, "takes no such SO PIN (CKR_PIN_LEN_RANGE)");
    setenv("P11_COUNTER_FAIL", "C_InitToken:1:0xa4", 1);
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_LOCKED, "the SO PIN is locked");
    setenv("P11_COUNTER_FAIL", "C_InitToken:1:0xe2", 1);
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_UNSUPPORTED, "CKR_TOKEN_WRITE_PROTECTED");
    setenv("P11_COUNTER_FAIL", "C_OpenSession:1:0x30", 1);
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_LOST, "C_OpenSession on 'words': CKR_DEVICE_ERROR");
    assert_int_equal(initialise(NULL, 0, SO_PIN, TEST_PIN), 0);
    assert_int_equal(count_of("words"), 0);
}

static CK_FUNCTION_LIST *fn, real; /* the module's list, as the plugin sees it, and as it was */

/* Tells of a blank token, and then it is one no more. */
static CK_RV be_quicker(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    unsigned char label[33] = "somebody elses                  ";
    CK_RV rv = real.C_GetTokenInfo(slot, info);

    if (rv == CKR_OK && !(info->flags & CKF_TOKEN_INITIALIZED)) {
        fn->C_GetTokenInfo = real.C_GetTokenInfo;
        assert_int_equal(real.C_InitToken(slot, (unsigned char *)(uintptr_t)SO_PIN, strlen(SO_PIN), label), CKR_OK);
    }
    return rv;
}

static void what_others_have_initialised_meanwhile_is_not_erased(void **state)
{
    CK_C_GetFunctionList get;

    (void)state;
    *(void **)&get = dlsym(dlopen(host.host.option(&host.host, "module"), RTLD_NOW | RTLD_LOCAL), "C_GetFunctionList");
    assert_int_equal(get(&fn), CKR_OK);
    real = *fn;
    plugin_host_set(&host, "token", "late");
    forget_calls();
    fn->C_GetTokenInfo = be_quicker;
    assert_refused(initialise(NULL, 0, SO_PIN, TEST_PIN), HX_E_BUSY, "changed a moment ago");
    *fn = real;
    assert_int_equal(calls("C_InitToken"), 1);
}

int pkcs11_initialise_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blank_token_gets_its_label_and_pins),
        cmocka_unit_test(one_that_is_not_blank_stays_as_it_is_unless_told),
        cmocka_unit_test(the_label_is_the_one_that_the_options_name),
        cmocka_unit_test(what_was_left_half_done_is_completed_with_nothing_erased),
        cmocka_unit_test(what_the_module_refuses_is_told_in_words),
        cmocka_unit_test(what_others_have_initialised_meanwhile_is_not_erased),
    };

    return cmocka_run_group_tests_name("initialise", tests, make_tokens, stop);
}
