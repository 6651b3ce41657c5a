/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin by its table, on SoftHSM: loading, choosing a token, login. */
#include "pkcs11-fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int make_tokens(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    make_token("other");
    make_token("sorted");
    make_token("twin");
    make_token("twin");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return fixture_stop();
}

static void a_file_that_is_no_module_is_named_in_one_line(void **state)
{
    char module[600];
    void *token = NULL;

    (void)state;
    snprintf(module, sizeof module, "%s", host.host.option(&host.host, "module"));
    plugin_host_set(&host, "module", "/nonexistent/module.so");
    assert_refused(plugin->open(&host.host, NULL, &token), HX_E_CONFIG,
                   "no such PKCS#11 module: '/nonexistent/module.so'");
    plugin_host_set(&host, "module", "/tmp");
    assert_refused(plugin->open(&host.host, NULL, &token), HX_E_CONFIG, "cannot load PKCS#11 module '/tmp'");
    plugin_host_set(&host, "module", "libc.so.6");
    assert_refused(plugin->open(&host.host, NULL, &token), HX_E_CONFIG, "no C_GetFunctionList");
    assert_null(token);
    plugin_host_set(&host, "module", module);
}

static void a_scan_tells_of_every_token_and_of_the_blank_one(void **state)
{
    struct plugin_tokens tokens;
    unsigned blank = 0, edge = 0, twins = 0;

    (void)state;
    plugin_host_set(&host, "token", NULL);
    plugin_tokens_init(&tokens);
    assert_int_equal(plugin->scan(&host.host, &tokens.tokens), 0);
    for (size_t i = 0; i < tokens.count; i++) {
        blank += tokens.info[i].flags & HX_TOKEN_BLANK ? 1 : 0;
        edge += !strcmp(tokens.info[i].label, "edge") && tokens.info[i].flags == HX_TOKEN_LOGIN;
        twins += !strcmp(tokens.info[i].label, "twin");
    }
    assert_int_equal(edge, 1);
    assert_int_equal(twins, 2);
    assert_int_equal(blank, 1);
    plugin_tokens_free(&tokens);
}

static void the_registered_modules_are_used_when_none_is_configured(void **state)
{
    char module[600];
    struct plugin_tokens tokens;
    bool edge = false;
    void *token = NULL;

    (void)state;
    snprintf(module, sizeof module, "%s", host.host.option(&host.host, "module"));
    plugin_host_set(&host, "module", NULL);
    plugin_host_set(&host, "token", NULL);
    plugin_tokens_init(&tokens);
    assert_int_equal(plugin->scan(&host.host, &tokens.tokens), 0);
    for (size_t i = 0; i < tokens.count; i++) {
        edge = edge || !strcmp(tokens.info[i].label, "edge");
        assert_null(strstr(tokens.info[i].model ? tokens.info[i].model : "", "p11-kit-trust"));
    }
    if (edge) { /* SoftHSM is registered on this system */
        plugin_host_set(&host, "token", "edge");
        assert_int_equal(plugin->open(&host.host, NULL, &token), 0);
        plugin->close(token);
    }
    plugin_tokens_free(&tokens);
    plugin_host_set(&host, "module", module);
}

static void a_token_is_chosen_by_label_or_serial(void **state)
{
    struct plugin_tokens tokens;
    char serials[2][17];
    size_t found = 0;
    void *token = NULL;

    (void)state;
    plugin_host_set(&host, "token", NULL);
    assert_refused(plugin->open(&host.host, NULL, &token), HX_E_AMBIGUOUS, "'token = ");
    assert_true(plugin_host_said(&host, "'other' (serial "));
    plugin_host_set(&host, "token", "none");
    assert_refused(plugin->open(&host.host, NULL, &token), HX_E_NOT_FOUND, "labelled 'none'");
    assert_true(plugin_host_said(&host, "'edge' (serial "));
    plugin->close(open_token("edge  ")); /* padded, as C_GetTokenInfo shows it */
    plugin_host_set(&host, "token", "twin");
    plugin_tokens_init(&tokens);
    assert_int_equal(plugin->scan(&host.host, &tokens.tokens), 0);
    for (size_t i = 0; i < tokens.count && found < 2; i++)
        snprintf(serials[found++], sizeof serials[0], "%s", tokens.info[i].serial);
    assert_int_equal(found, 2);
    plugin_tokens_free(&tokens);
    assert_refused(plugin->open(&host.host, NULL, &token), HX_E_AMBIGUOUS, "'serial = ");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(plugin->open(&host.host, serials[i], &token), 0);
        plugin_tokens_init(&tokens);
        assert_int_equal(plugin->describe(token, &tokens.tokens), 0);
        assert_string_equal(tokens.info[0].serial, serials[i]);
        plugin_tokens_free(&tokens);
        plugin->close(token);
    }
}

static void a_blank_token_is_opened_only_by_its_serial(void **state)
{
    struct plugin_tokens tokens;
    const char *serial = NULL;
    void *token = NULL;

    (void)state;
    plugin_host_set(&host, "token", NULL);
    plugin_tokens_init(&tokens);
    assert_int_equal(plugin->scan(&host.host, &tokens.tokens), 0);
    for (size_t i = 0; i < tokens.count; i++)
        if (tokens.info[i].flags & HX_TOKEN_BLANK)
            serial = tokens.info[i].serial;
    assert_non_null(serial);
    if (*serial) {
        assert_int_equal(plugin->open(&host.host, serial, &token), 0);
        plugin->close(token);
    }
    plugin_tokens_free(&tokens);
}

static void two_tokens_of_one_module_keep_their_objects_apart(void **state)
{
    void *edge = open_and_login("edge"), *other = open_and_login("other");
    struct plugin_objects objects;

    (void)state;
    assert_int_equal(generate(other, HX_P256, 0, "apart", NULL, 0), 0);
    objects = list(edge, HX_PRIVATE_KEY, "apart");
    assert_int_equal(objects.count, 0);
    plugin_objects_free(&objects);
    sign_and_verify(other, "apart", HX_ECDSA, HX_SHA256, 0);
    plugin->close(edge);
    sign_and_verify(other, "apart", HX_ECDSA, HX_SHA256, 0);
    plugin->close(other);
}

static void a_wrong_pin_is_refused_and_three_lock(void **state)
{
    void *token = open_token("other");
    struct plugin_tokens tokens;
    char lock[96];

    (void)state;
    snprintf(lock, sizeof lock, "%s/lock", directory);
    setenv("P11_COUNTER_LOCK", lock, 1);
    assert_refused(plugin->login(token, NULL, 0), HX_E_LOGIN, "wants a PIN");
    assert_refused(login(token, "0000"), HX_E_PIN, "the PIN was refused (CKR_PIN_INCORRECT)");
    assert_refused(login(token, "0001"), HX_E_PIN, "CKR_PIN_INCORRECT");
    plugin_tokens_init(&tokens);
    assert_int_equal(plugin->describe(token, &tokens.tokens), 0);
    assert_int_equal(tokens.info[0].flags, HX_TOKEN_LOGIN | HX_PIN_LOW | HX_PIN_FINAL);
    plugin_tokens_free(&tokens);
    assert_refused(login(token, "0002"), HX_E_PIN, "CKR_PIN_INCORRECT");
    forget_calls();
    assert_refused(login(token, TEST_PIN), HX_E_LOCKED,
                   "the PIN is locked: unblock it with the vendor's tool (CKR_PIN_LOCKED)");
    assert_int_equal(calls("C_Login"), 1);
    assert_int_equal(plugin->describe(token, &tokens.tokens), 0);
    assert_true(tokens.info[0].flags & HX_PIN_LOCKED);
    plugin_tokens_free(&tokens);
    unlink(lock);
    assert_int_equal(login(token, TEST_PIN), 0);
    assert_int_equal(login(token, TEST_PIN), 0);
    unsetenv("P11_COUNTER_LOCK");
    plugin->close(token);
}

static void a_token_that_another_process_is_writing_to_is_asked_again(void **state)
{
    struct plugin_tokens tokens;
    void *token;

    (void)state;
    setenv("P11_COUNTER_FAIL", "C_GetTokenInfo:1:0x5,C_GetTokenInfo:2:0x5", 1);
    token = open_token("edge");
    setenv("P11_COUNTER_FAIL", "C_GetTokenInfo:1:0x5", 1);
    plugin_tokens_init(&tokens);
    assert_int_equal(plugin->describe(token, &tokens.tokens), 0);
    plugin_tokens_free(&tokens);
    setenv("P11_COUNTER_FAIL", "C_Login:1:0x5,C_Login:2:0x102", 1);
    assert_refused(login(token, TEST_PIN), HX_E_BUSY, "another process was writing to it");
    assert_refused(login(token, TEST_PIN), HX_E_BUSY, "CKR_USER_PIN_NOT_INITIALIZED");
    assert_int_equal(login(token, TEST_PIN), 0);
    setenv("P11_COUNTER_FAIL", "C_Login:1:0x30", 1);
    assert_refused(login(token, TEST_PIN), HX_E_LOST, "CKR_DEVICE_ERROR");
    unsetenv("P11_COUNTER_FAIL");
    plugin->close(token);
}

/* Looked for in the order in which they must come. */
static void a_listing_is_sorted_by_kind_label_and_id(void **state)
{
    static const char *const labels[] = { "a", "a", "b", "c", "d" }, *const ids[] = { "1", "2", "0", "9", "5" };
    void *token = open_and_login("sorted");
    struct plugin_objects all;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        size_t j = i * 3 % 5; /* another order than theirs */

        run("pkcs11-tool --module $P11_COUNTER_MODULE --token-label sorted --login --pin " TEST_PIN
            " --keypairgen --key-type EC:prime256v1 --label %s --id 3%s",
            labels[j], ids[j]);
    }
    all = list(token, 0, NULL);
    assert_int_equal(all.count, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(all.object[i].kind, i < 5 ? HX_PRIVATE_KEY : HX_PUBLIC_KEY);
        assert_string_equal(all.object[i].label, labels[i % 5]);
        assert_memory_equal(all.object[i].id.data, ids[i % 5], 1);
    }
    plugin_objects_free(&all);
    plugin->close(token);
}

static void a_key_that_may_leave_is_not_in_hardware(void **state)
{
    void *token = open_and_login("other");
    struct plugin_objects keys;

    (void)state;
    run("pkcs11-tool --module $P11_COUNTER_MODULE --token-label other --login --pin " TEST_PIN
        " --keypairgen --key-type EC:prime256v1 --label leaves --id 77 --extractable --sensitive");
    keys = list(token, HX_PRIVATE_KEY, "leaves");
    assert_int_equal(keys.count, 1);
    assert_int_equal(keys.object[0].flags, HX_EXTRACTABLE);
    plugin_objects_free(&keys);
    assert_int_equal(generate(token, HX_P256, 0, "stays", "stays", 0), 0);
    keys = list(token, HX_PRIVATE_KEY, "stays");
    assert_int_equal(keys.object[0].flags, HX_IN_HARDWARE);
    plugin_objects_free(&keys);
    plugin->close(token);
}

/* CKR_DEVICE_MEMORY costs the session, and with the only one, where there is no other to be had, the login: the private
 * keys are hidden, not gone. */
static void a_login_that_ended_with_the_last_session_is_asked_for_again(void **state)
{
    void *token = open_and_login("edge"), *key;
    struct hx_object private = { .kind = HX_PRIVATE_KEY };
    struct plugin_objects objects;
    struct plugin_bytes out;

    (void)state;
    assert_int_equal(generate(token, HX_P256, 256, "last", NULL, 0), 0);
    key = load_by_label(token, HX_PRIVATE_KEY, "last");
    setenv("P11_COUNTER_FAIL", "C_Sign:1:0x31,C_OpenSession:1:0xb1", 1);
    assert_refused(sign(key, HX_ECDSA, HX_SHA256, 0, &out), HX_E_FULL, "CKR_DEVICE_MEMORY");
    unsetenv("P11_COUNTER_FAIL");
    plugin->unload(key);
    plugin_objects_init(&objects, &private);
    assert_refused(plugin->list(token, &objects.list), HX_E_LOGIN, "after login");
    plugin_objects_free(&objects);
    assert_int_equal(login(token, TEST_PIN), 0);
    sign_and_verify(token, "last", HX_ECDSA, HX_SHA256, 0);
    plugin->close(token);
}

static void labels_are_taken_once(void **state)
{
    void *token = open_and_login("other");

    (void)state;
    assert_int_equal(generate(token, HX_P256, 0, "taken", NULL, 0), 0);
    assert_refused(generate(token, HX_P256, 0, "taken", NULL, 0), HX_E_EXISTS,
                   "token 'other' already has a private key with the label 'taken'");
    plugin->close(token);
}

static void what_is_private_wants_a_login(void **state)
{
    void *token = open_and_login("edge"), *key = NULL;
    struct plugin_objects objects, none;
    struct hx_object want = { .kind = HX_SECRET_KEY };

    (void)state;
    assert_int_equal(generate(token, HX_P256, 0, "hidden", "hidden", 0), 0);
    objects = list(token, HX_PRIVATE_KEY, "hidden");
    assert_int_equal(objects.count, 1);
    plugin->close(token);
    token = open_token("edge");
    forget_calls();
    plugin_objects_init(&none, NULL);
    assert_refused(plugin->list(token, &none.list), HX_E_LOGIN, "login");
    none.list.want = &want;
    assert_refused(plugin->list(token, &none.list), HX_E_LOGIN, "login");
    assert_int_equal(calls(NULL), 0);
    assert_refused(
        plugin->load(token, HX_PRIVATE_KEY, objects.object[0].ref.data, objects.object[0].ref.len, &none.list, &key),
        HX_E_LOGIN, "login");
    assert_refused(generate(token, HX_P256, 0, "early", NULL, 0), HX_E_LOGIN, "login");
    assert_int_equal(calls("C_Login"), 0);
    want.kind = HX_PUBLIC_KEY;
    assert_int_equal(plugin->list(token, &none.list), 0);
    plugin_objects_free(&none);
    assert_int_equal(login(token, TEST_PIN), 0);
    plugin->unload(load(token, &objects.object[0]));
    plugin_objects_free(&objects);
    plugin->close(token);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_is_no_module_is_named_in_one_line),
        cmocka_unit_test(a_scan_tells_of_every_token_and_of_the_blank_one),
        cmocka_unit_test(the_registered_modules_are_used_when_none_is_configured),
        cmocka_unit_test(a_token_is_chosen_by_label_or_serial),
        cmocka_unit_test(a_blank_token_is_opened_only_by_its_serial),
        cmocka_unit_test(two_tokens_of_one_module_keep_their_objects_apart),
        cmocka_unit_test(a_wrong_pin_is_refused_and_three_lock),
        cmocka_unit_test(what_is_private_wants_a_login),
        cmocka_unit_test(a_token_that_another_process_is_writing_to_is_asked_again),
        cmocka_unit_test(a_listing_is_sorted_by_kind_label_and_id),
        cmocka_unit_test(a_key_that_may_leave_is_not_in_hardware),
        cmocka_unit_test(a_login_that_ended_with_the_last_session_is_asked_for_again),
        cmocka_unit_test(labels_are_taken_once),
    };

    if (argc > 1)
        return pkcs11_call_main(argc, argv);
    return cmocka_run_group_tests_name("tokens", tests, make_tokens, stop) + pkcs11_object_tests() +
           pkcs11_decrypt_tests() + pkcs11_derive_tests() + pkcs11_secret_tests() + pkcs11_import_tests() +
           pkcs11_initialise_tests() + pkcs11_data_tests() + pkcs11_random_tests() + pkcs11_authorise_tests() +
           pkcs11_call_tests() + pkcs11_session_tests() + pkcs11_recovery_tests() + pkcs11_copy_tests() +
           pkcs11_place_tests();
}
