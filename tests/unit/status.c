/* SPDX-License-Identifier: Apache-2.0 */
/* What `hsmux status` shows, line by line. */
#include "scene.h"

static char shown[4096]; /* "subject name result text\n" */

static int show(void *arg, const char *subject, const char *name, int result, const char *text)
{
    size_t used = strlen(shown);

    (void)arg;
    snprintf(shown + used, sizeof shown - used, "%s|%s|%d|%s\n", subject, name, result, text);
    return 0;
}

static void expect_status(const char *wanted)
{
    char line[256];

    shown[0] = '\0';
    expect_result(hx_status(ctx, show, NULL), HX_OK);
    snprintf(line, sizeof line, "configuration|%s|0|", conf_path);
    assert_memory_equal(shown, line, strlen(line));
    assert_string_equal(strchr(shown, '\n') + 1, wanted);
}

static void a_device_in_order_shows_its_credential(void **state)
{
    (void)state;
    configure("");
    put_key(0, "device", 1);
    put_key(0, "bare", 2);
    put_cert(0, "device", 1, FAKE_EXPIRED, 0);
    expect_status("token|first|0|plugin fake, label 'first', serial 'F0001'\n"
                  "candidate|hsm:first/key/device|0|certificate 'hsm:first/cert/device?id=01', expired\n"
                  "candidate|hsm:first/key/bare|0|a key without certificate\n"
                  "credential|hsm:first/key/device|0|the only key with a certificate\n");
    assert_non_null(strstr(shown, "it names no token"));
}

static void the_state_of_the_pin_is_shown(void **state)
{
    static const char *const texts[] = { "PIN LOCKED", "ONE PIN TRY LEFT: hsmux login edge", "a wrong PIN was given" };

    (void)state;
    configure(EDGE);
    fake->token[0].tries = 3;
    for (unsigned left = 0; left < 3; left++) {
        shown[0] = '\0';
        fake->token[0].tries_left = left;
        expect_result(hx_status(ctx, show, NULL), HX_OK);
        assert_non_null(strstr(shown, texts[left]));
    }
}

static void without_a_configuration_what_is_forbidden_is_shown_and_what_is_absent_is_not(void **state)
{
    (void)state;
    two_tokens();
    put_key(1, "key", 1);
    configure("");
    fake->token[0].absent = true;
    expect_status("token|second|0|plugin fake, label 'second', serial 'F0002'\n"
                  "candidate|hsm:second/key/key|0|a key without certificate\n"
                  "credential|hsm:second/key/key|0|the only key that can sign; it has no certificate\n");
    configure("");
    fake->token[0].absent = false;
    expect_credential(NULL, "address", "hsm:second/key/key");
    hx_free(ctx); /* closes the tokens */
    ctx = NULL;
    configure("");
    fake->script[FAKE_OPEN] = (struct fake_script){ .result = HX_E_ACCESS, .times = 1 };
    shown[0] = '\0';
    expect_result(hx_status(ctx, show, NULL), HX_OK);
    assert_non_null(strstr(shown, "token|first|-15|"));
}

static void what_was_passed_over_is_shown_with_its_reason(void **state)
{
    (void)state;
    configure("");
    fake->script[FAKE_SCAN] = (struct fake_script){ .result = HX_E_ACCESS, .times = 2 };
    shown[0] = '\0';
    expect_result(hx_status(ctx, show, NULL), HX_OK);
    assert_non_null(strstr(shown, "passed-over|fake|-15|plugin 'fake': scan: permission denied\n"));
    assert_non_null(strstr(shown, "credential||-3|no credential: no token holds a key that can sign"));
}

static void a_configured_token_that_is_absent_is_shown_with_its_reason(void **state)
{
    (void)state;
    configure(EDGE);
    fake->token[0].absent = true;
    shown[0] = '\0';
    expect_result(hx_status(ctx, show, NULL), HX_OK);
    assert_non_null(strstr(shown, "token|edge|-3|"));
    assert_non_null(strstr(shown, "token 'first' is absent\n"));
    assert_non_null(strstr(shown, "credential||-3|"));
}

static void named_credentials_are_shown(void **state)
{
    (void)state;
    put_key(0, "one", 1);
    put_key(0, "two", 2);
    configure(EDGE "[credential web]\nkey = hsm:edge/key/one\n[credential bad]\nkey = hsm:edge/key/none\n");
    shown[0] = '\0';
    expect_result(hx_status(ctx, show, NULL), HX_OK);
    assert_non_null(strstr(shown, "named-credential|hsm:web|0|hsm:edge/key/one\n"));
    assert_non_null(strstr(shown, "named-credential|hsm:bad|-3|"));
    assert_non_null(strstr(shown, "candidate|hsm:edge/key/two|0|"));
    assert_non_null(strstr(shown, "credential||-4|more than one credential"));
}

static void a_configured_credential_needs_no_candidates(void **state)
{
    char wanted[256];

    (void)state;
    put_key(0, "one", 1);
    put_key(0, "two", 2);
    configure(EDGE "[credential]\nkey = hsm:edge/key/one\n");
    snprintf(wanted, sizeof wanted,
             "token|edge|0|plugin fake, label 'first', serial 'F0001'\n"
             "credential|hsm:edge/key/one|0|[credential] in %s:4\n",
             conf_path);
    expect_status(wanted);
}

static int stop(void *arg, const char *subject, const char *name, int result, const char *text)
{
    (void)arg, (void)subject, (void)name, (void)result, (void)text;
    return 42;
}

static void status_stops_when_told_to(void **state)
{
    (void)state;
    configure(EDGE);
    assert_int_equal(hx_status(ctx, stop, NULL), 42);
    assert_int_equal(fake->calls[FAKE_OPEN], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_device_in_order_shows_its_credential),
        SCENE_TEST(the_state_of_the_pin_is_shown),
        SCENE_TEST(without_a_configuration_what_is_forbidden_is_shown_and_what_is_absent_is_not),
        SCENE_TEST(what_was_passed_over_is_shown_with_its_reason),
        SCENE_TEST(a_configured_token_that_is_absent_is_shown_with_its_reason),
        SCENE_TEST(named_credentials_are_shown),
        SCENE_TEST(a_configured_credential_needs_no_candidates),
        SCENE_TEST(status_stops_when_told_to),
    };

    return cmocka_run_group_tests(tests, scene_build, scene_strike);
}
