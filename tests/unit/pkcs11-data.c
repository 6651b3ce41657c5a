/* SPDX-License-Identifier: Apache-2.0 */
/* Data that the pkcs11 plugin takes in on SoftHSM: who may read it; and what it takes in of no kind. */
#include "pkcs11-fixture.h"

#include <stdlib.h>
#include <string.h>

static void *token;

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
    return 0;
}

static int import_data(const char *label, uint32_t flags, const char *text)
{
    struct hx_spec spec = { .kind = HX_DATA, .label = label, .flags = flags };
    const struct hx_buf part = { text, strlen(text) };
    struct plugin_bytes ref;
    int r;

    plugin_bytes_init(&ref);
    r = plugin->import(token, &spec, &part, 1, &ref.out);
    plugin_bytes_free(&ref);
    return r;
}

static void assert_data(const char *label, const char *text)
{
    void *data = load_by_label(token, HX_DATA, label);
    struct plugin_bytes value;

    plugin_bytes_init(&value);
    assert_int_equal(plugin->read(data, HX_VALUE, &value.out), 0);
    assert_string_equal((char *)value.data, text);
    plugin_bytes_free(&value);
    plugin->unload(data);
}

static void data_comes_and_goes_and_is_private_unless_asked(void **state)
{
    struct hx_object want = { .kind = HX_DATA, .label = "pin" };
    struct plugin_objects found;

    (void)state;
    assert_int_equal(import_data("pin", 0, "1234"), 0);
    assert_refused(import_data("pin", 0, "5678"), HX_E_EXISTS, "already has a data with the label 'pin'");
    assert_int_equal(import_data("pin", HX_REPLACE, "5678"), 0);
    assert_int_equal(import_data("open", HX_EXTRACTABLE, "for all"), 0);
    assert_data("pin", "5678");
    assert_refused(import_data(NULL, 0, "x"), HX_E_INVALID, "has a label");
    assert_refused(import_data("empty", 0, ""), HX_E_INVALID, "1 to 1048576 bytes");
    plugin->close(token);
    token = open_token("edge");
    assert_data("open", "for all");
    plugin_objects_init(&found, &want);
    assert_refused(plugin->list(token, &found.list), HX_E_LOGIN, "only after login");
    assert_int_equal(login(token, TEST_PIN), 0);
    assert_int_equal(plugin->list(token, &found.list), 0);
    assert_int_equal(found.count, 1);
    assert_int_equal(plugin->remove(token, HX_DATA, found.object[0].ref.data, found.object[0].ref.len), 0);
    plugin_objects_free(&found);
    found = list(token, HX_DATA, "pin");
    assert_int_equal(found.count, 0);
    plugin_objects_free(&found);
}

static void other_kinds_are_refused(void **state)
{
    struct hx_spec spec = { .kind = HX_PUBLIC_KEY, .type = HX_P256, .label = "odd" };
    const struct hx_buf part[2] = { { "x", 1 }, { "y", 1 } };
    struct plugin_bytes ref;

    (void)state;
    plugin_bytes_init(&ref);
    assert_refused(plugin->import(token, &spec, part, 1, &ref.out), HX_E_UNSUPPORTED, "and nothing else");
    assert_refused(plugin->import(token, &spec, part, 2, &ref.out), HX_E_INVALID, "2 parts");
    plugin->close(token);
    token = open_token("edge");
    spec.kind = HX_PRIVATE_KEY;
    assert_refused(plugin->import(token, &spec, part, 2, &ref.out), HX_E_LOGIN, "only after login");
}

int pkcs11_data_tests(void)
{
#define inside(test) cmocka_unit_test_setup_teardown(test, enter, leave)
    const struct CMUnitTest tests[] = {
        inside(data_comes_and_goes_and_is_private_unless_asked),
        inside(other_kinds_are_refused),
    };

    return cmocka_run_group_tests_name("data", tests, make_tokens, stop);
}
