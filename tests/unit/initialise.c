/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of blank tokens: where their label and PINs come from, what is closed before, and that an SO PIN which was
 * refused is not sent twice. */
#include "box.h"
#include "bytes.h"

static void put_conf(const char *lines)
{
    char conf[256];

    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\n%s\n", lines);
    put("hsmux.conf", 0600, conf);
}

static int initialise(hx *ctx, const char *label, uint32_t flags, const char *so_pin, const char *pin)
{
    struct hx_spec spec = { .label = label, .flags = flags };
    const struct hx_buf pins[2] = { { so_pin, strlen(so_pin) }, { pin, strlen(pin) } };

    return hx_initialise(ctx, NULL, &spec, pins, 2);
}

/* arg: the SO PIN, and a blank and the user PIN, or nothing; "!" before it: erase; "^": with the token open. */
static int program(const char *arg)
{
    char text[64], *pin;
    uint32_t flags = *arg == '!' ? HX_REPLACE : 0;
    AUTO_BYTES struct hx_bytes thing = { 0 };
    bool open = *arg == '^';
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    snprintf(text, sizeof text, "%s", arg + (flags || open));
    pin = strchr(text, ' ');
    if (pin)
        *pin++ = '\0';
    if (!result && open)
        (void)hx_read(ctx, "hsm:t/data/thing", HX_VALUE, &thing);
    if (!result)
        result = initialise(ctx, NULL, flags, text, pin ? pin : "");
    hx_free(ctx);
    return result;
}

static int start_blank(void **state)
{
    int result = reset_fake(state);

    fake->token[0].flags |= HX_TOKEN_BLANK;
    fake->token[0].pin[0] = '\0';
    setenv("STATE_DIRECTORY", UNWRITABLE, 1);
    put_conf("");
    return result;
}

static unsigned sent(void)
{
    return fake->calls[FAKE_INITIALISE];
}

static void a_token_gets_what_it_is_given_and_is_closed_before(void **state)
{
    (void)state;
    assert_int_equal(in_process(program, "^12345678 1234"), 0);
    assert_string_equal(fake->token[0].last_so_pin, "12345678");
    assert_string_equal(fake->token[0].pin, "1234");
    assert_string_equal(fake->token[0].label, "t"); /* the section's name */
    assert_int_equal(in_process(program, "12345678 1234"), HX_E_EXISTS);
    says("token 't': initialise");
    assert_int_equal(in_process(program, "!12345678 4321"), 0);
    assert_string_equal(fake->token[0].pin, "4321");
}

static void what_is_not_given_comes_from_credentials_and_the_section(void **state)
{
    (void)state;
    assert_int_equal(in_process(program, ""), HX_E_LOGIN);
    assert_int_equal(in_process(program, "12345678"), HX_E_LOGIN);
    assert_string_equal(fake->token[0].last_so_pin, "");
    put_conf("pin = 2468");
    assert_int_equal(mkdir(in_box("credentials"), 0700), 0);
    put("credentials/hsmux.t.so-pin", 0600, "from a credential\n");
    assert_int_equal(in_process(program, ""), 0);
    assert_string_equal(fake->token[0].last_so_pin, "from a credential");
    assert_string_equal(fake->token[0].pin, "2468");
    assert_int_equal(unlink(in_box("credentials/hsmux.t.so-pin")), 0);
}

static void an_so_pin_that_was_refused_is_sent_once(void **state)
{
    (void)state;
    setenv("STATE_DIRECTORY", in_box("state"), 1);
    strcpy(fake->token[0].so_pin, "right");
    fake->token[0].flags &= ~(uint32_t)HX_TOKEN_BLANK;
    for (int i = 0; i < 3; i++)
        assert_int_equal(in_process(program, "!wrong 1234"), HX_E_PIN);
    says("refused before");
    assert_int_equal(sent(), 1);
    assert_int_equal(in_process(program, "!right 1234"), 0);
    assert_int_equal(sent(), 2);
}

static int read_thing(const char *arg)
{
    struct hx_bytes thing = { 0 };
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    (void)arg;
    if (!result)
        result = hx_read(ctx, "hsm:t/data/thing", HX_VALUE, &thing);
    hx_bytes_free(&thing);
    hx_free(ctx);
    return result;
}

/* It was the wrong one, before it became the right one. */
static void the_new_user_pin_is_sent_though_it_was_refused_before(void **state)
{
    struct fake_object thing = { .kind = HX_DATA, .label = "thing", .locked = true, .value = "x", .value_len = 1 };

    (void)state;
    setenv("STATE_DIRECTORY", in_box("state2"), 1);
    put_conf("pin = 1234");
    strcpy(fake->token[0].pin, "another");
    fake->token[0].flags &= ~(uint32_t)HX_TOKEN_BLANK;
    assert_int_equal(in_process(read_thing, ""), HX_E_PIN);
    assert_int_equal(in_process(program, "!so-pin"), 0);
    assert_true(fake->add(0, &thing) >= 0);
    assert_int_equal(in_process(read_thing, ""), 0);
}

static void a_plugin_that_cannot_says_so(void **state)
{
    (void)state;
    fake->script[FAKE_INITIALISE] = (struct fake_script){ .result = HX_E_UNSUPPORTED, .times = FAKE_ALWAYS };
    assert_int_equal(in_process(program, "12345678 1234"), HX_E_UNSUPPORTED);
    says("token 't': initialise");
}

static int misuse(const char *arg)
{
    struct hx_spec spec = { .label = "x", .spare = { 0, 1, 0 } };
    const struct hx_buf pins[3] = { { "a", 1 }, { "b", 1 }, { "c", 1 } };
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    if (!result)
        result = hx_initialise(ctx, *arg == 'n' ? "nix" : "t", &spec, pins, *arg == '3' ? 3 : 2);
    hx_free(ctx);
    return result;
}

static void the_callers_mistakes_come_to_no_token(void **state)
{
    (void)state;
    assert_int_equal(in_process(misuse, "3"), HX_E_INVALID);
    assert_int_equal(in_process(misuse, "spare"), HX_E_UNSUPPORTED);
    says("spare field");
    assert_int_equal(sent(), 0);
}

int main(void)
{
#define story(test) cmocka_unit_test_setup_teardown(test, start_blank, keeps_the_contract)
    const struct CMUnitTest tests[] = {
        story(a_token_gets_what_it_is_given_and_is_closed_before),
        story(what_is_not_given_comes_from_credentials_and_the_section),
        story(an_so_pin_that_was_refused_is_sent_once),
        story(the_new_user_pin_is_sent_though_it_was_refused_before),
        story(a_plugin_that_cannot_says_so),
        story(the_callers_mistakes_come_to_no_token),
    };

    return cmocka_run_group_tests(tests, make_box, remove_box);
}
