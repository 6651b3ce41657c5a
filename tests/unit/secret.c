/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of where a PIN comes from: the INI, a file, a systemd credential, an object of another token. */
#include "box.h"

#include "pinfile.h"

#include <sys/prctl.h>

static int read_thing(const char *address)
{
    AUTO_BYTES struct hx_bytes thing = { NULL, 0 };
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    if (!result)
        result = hx_read(ctx, address, HX_VALUE, &thing);
    hx_free(ctx);
    return result;
}

/* With these lines in the token's section, it is this PIN that is sent, once. */
static void sends(const char *lines, const char *pin)
{
    char conf[512];

    reset_fake(NULL);
    snprintf(fake->token[0].pin, sizeof fake->token[0].pin, "%s", pin);
    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\n%s\n", lines);
    put("hsmux.conf", 0600, conf);
    if (in_process(read_thing, "hsm:t/data/thing"))
        fail_msg("%s: %s", lines, told->reason);
    assert_string_equal(fake->token[0].last_pin, pin);
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
}

/* With them, none is sent, and the reason says so. */
static void sends_none(const char *lines, int result, const char *reason)
{
    char conf[512];

    reset_fake(NULL);
    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\n%s\n", lines);
    put("hsmux.conf", 0600, conf);
    assert_int_equal(in_process(read_thing, "hsm:t/data/thing"), result);
    says(reason);
    says("'t'");
    assert_int_equal(fake->calls[FAKE_LOGIN], 0);
}

static const char *file_line(void)
{
    static char line[128];

    snprintf(line, sizeof line, "pin-file = %s", in_box("pin"));
    return line;
}

static void a_pin_in_the_ini_is_sent(void **state)
{
    (void)state;
    sends("pin = 1234", "1234");
}

static void without_a_pin_the_reason_says_what_to_write(void **state)
{
    (void)state;
    sends_none("", HX_E_LOGIN, "pin-file = in [token t]");
}

static void the_line_end_of_a_pin_file_is_not_sent(void **state)
{
    (void)state;
    put("pin", 0600, "1234\n");
    sends(file_line(), "1234");
    put("pin", 0400, "1234\r\n");
    sends(file_line(), "1234");
    put("pin", 0640, "1234");
    sends(file_line(), "1234");
    put("pin", 0600, " 12 ;34 \n");
    sends(file_line(), " 12 ;34 ");
}

static void a_pin_file_that_others_can_read_or_write_is_not_believed(void **state)
{
    (void)state;
    put("pin", 0644, "1234\n");
    sends_none(file_line(), HX_E_CONFIG, "can be read by others: chmod");
    put("pin", 0660, "1234\n");
    sends_none(file_line(), HX_E_CONFIG, "can be written by others: chmod");
}

static void a_pin_file_that_holds_no_pin_is_an_error(void **state)
{
    static char nul[] = "12\00034\n";
    char *big = malloc(5000);

    (void)state;
    put("pin", 0600, "");
    sends_none(file_line(), HX_E_CONFIG, "empty");
    put("pin", 0600, "\r\n");
    sends_none(file_line(), HX_E_CONFIG, "empty");
    put("pin", 0600, "1234\n5678\n");
    sends_none(file_line(), HX_E_CONFIG, "more than one line");
    put_bytes("pin", 0600, nul, sizeof nul - 1);
    sends_none(file_line(), HX_E_CONFIG, "a NUL");
    memset(big, '1', 5000);
    put_bytes("pin", 0600, big, 5000);
    free(big);
    sends_none(file_line(), HX_E_CONFIG, "longer than");
}

static void a_pin_file_that_is_not_there_is_the_administrators_mistake(void **state)
{
    (void)state;
    unlink(in_box("pin"));
    sends_none(file_line(), HX_E_CONFIG, in_box("pin"));
    assert_int_equal(mkdir(in_box("pin"), 0700), 0);
    sends_none(file_line(), HX_E_CONFIG, "not a regular file");
    assert_int_equal(rmdir(in_box("pin")), 0);
    assert_int_equal(mkfifo(in_box("pin"), 0600), 0);
    sends_none(file_line(), HX_E_CONFIG, "not a regular file");
    assert_int_equal(unlink(in_box("pin")), 0);
}

static int read_as_nobody(const char *path)
{
    AUTO_BYTES struct hx_bytes pin = { NULL, 0 };
    int result = seteuid(65534) ? -1 : pinfile_read(path, "PIN file", &pin);

    if (seteuid(0) || prctl(PR_SET_DUMPABLE, 1)) /* or no leak could be looked for */
        return -1;
    return result;
}

static void what_to_permit_is_said_of_what_forbids(void **state)
{
    char path[128];

    (void)state;
    if (geteuid())
        return;
    put("pin", 0600, "1234");
    assert_int_equal(chmod(in_box(""), 0711), 0);
    snprintf(path, sizeof path, "%s", in_box("pin"));
    assert_int_equal(in_process(read_as_nobody, path), HX_E_ACCESS);
    says("chgrp it to a group of user 65534's and chmod 640");
    assert_int_equal(chmod(in_box(""), 0700), 0);
    assert_int_equal(in_process(read_as_nobody, path), HX_E_ACCESS);
    says("may not enter a directory above it");
}

static void a_systemd_credential_is_sent(void **state)
{
    (void)state;
    put("credentials/edge", 0400, "9876");
    sends("pin-credential = edge", "9876");
    sends_none("pin-credential = other", HX_E_CONFIG, "credentials/other");
    sends_none("pin-credential = ../pin", HX_E_CONFIG, "no systemd credential '../pin'");
}

static int read_scanned(const char *address)
{
    AUTO_BYTES struct hx_bytes thing = { NULL, 0 };
    hx *ctx = NULL;
    int result = setenv("HSMUX_CONF", in_box("empty.conf"), 1) ? HX_E_DEVICE : hx_new(NULL, &ctx);

    if (!result)
        result = hx_read(ctx, address, HX_VALUE, &thing);
    hx_free(ctx);
    return result;
}

static void with_no_ini_the_tokens_own_credential_is_sent(void **state)
{
    (void)state;
    put("empty.conf", 0644, "");
    strcpy(fake->token[0].label, "edge");
    assert_int_equal(in_process(read_scanned, "hsm:edge/data/thing"), HX_E_LOGIN);
    says("hsmux.edge");
    put("credentials/hsmux.edge", 0400, "right\n");
    assert_int_equal(in_process(read_scanned, "hsm:edge/data/thing"), 0);
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
}

/* Two tokens, a and b, whose things are behind their PINs, a's being b's. */
static void put_two(const char *b_lines)
{
    struct fake_object pin = { .kind = HX_DATA, .label = "pin", .locked = true, .value = "right", .value_len = 5 };
    char conf[512];

    reset_fake(NULL);
    fake->tokens = 2;
    fake->token[1] = fake->token[0];
    strcpy(fake->token[1].serial, "F0002");
    strcpy(fake->token[1].pin, "other");
    assert_true(fake->add(1, &pin) >= 0);
    assert_true(fake->add(0, &pin) >= 0);
    snprintf(conf, sizeof conf,
             "[token a]\nplugin = fake\nserial = F0001\npin-credential = hsm:b/data/pin\n"
             "[token b]\nplugin = fake\nserial = F0002\n%s\n",
             b_lines);
    put("hsmux.conf", 0600, conf);
}

static struct fake_object *find_pin(unsigned token)
{
    struct fake_object *object = fake->token[token].object;

    while (!object->label[0] || strcmp(object->label, "pin"))
        object++;
    return object;
}

static void the_pin_is_read_from_another_token(void **state)
{
    (void)state;
    put_two("pin = other");
    assert_int_equal(in_process(read_thing, "hsm:a/data/thing"), 0);
    assert_string_equal(fake->token[0].last_pin, "right");
    assert_string_equal(fake->token[1].last_pin, "other");
    assert_int_equal(fake->calls[FAKE_LOGIN], 2);
}

/* What another token keeps was a PIN file before, and is read as one. */
static void the_line_end_of_a_pin_from_another_token_is_not_sent(void **state)
{
    static const char *const kept[] = { "right\n", "right\r\n", "right" };
    struct fake_object *pin;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        put_two("pin = other");
        pin = find_pin(1);
        pin->value_len = strlen(kept[i]);
        memcpy(pin->value, kept[i], pin->value_len);
        assert_int_equal(in_process(read_thing, "hsm:a/data/thing"), 0);
        assert_string_equal(fake->token[0].last_pin, "right");
    }
    put_two("pin = other");
    pin = find_pin(1);
    pin->value_len = 1;
    pin->value[0] = '\n';
    assert_int_equal(in_process(read_thing, "hsm:a/data/thing"), HX_E_CONFIG);
    says("'hsm:b/data/pin': it is empty");
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
}

static void tokens_that_wait_for_each_others_pin_are_an_error(void **state)
{
    (void)state;
    put_two("pin-credential = hsm:a/data/pin");
    assert_int_equal(in_process(read_thing, "hsm:a/data/thing"), HX_E_CONFIG);
    says("leads back to itself");
    assert_int_equal(fake->calls[FAKE_LOGIN], 0);
    put_two("pin-credential = hsm:b/data/pin");
    assert_int_equal(in_process(read_thing, "hsm:b/data/thing"), HX_E_CONFIG);
    says("leads back to itself");
    put_two("pin-credential = hsm:a/data/none");
    assert_int_equal(in_process(read_thing, "hsm:b/data/thing"), HX_E_CONFIG);
    says("hsm:a/data/none");
}

static int read_after_the_file_went(const char *address)
{
    AUTO_BYTES struct hx_bytes thing = { NULL, 0 };
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    if (!result && !(result = hx_read(ctx, address, HX_VALUE, &thing))) {
        unlink(in_box("pin"));
        fake->lose(0);
        hx_bytes_free(&thing);
        result = hx_read(ctx, address, HX_VALUE, &thing);
    }
    hx_free(ctx);
    return result;
}

static void a_pin_once_read_serves_when_its_file_cannot_be_read_any_more(void **state)
{
    char conf[512];

    (void)state;
    put("pin", 0600, "right\n");
    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\n%s\n", file_line());
    put("hsmux.conf", 0600, conf);
    assert_int_equal(in_process(read_after_the_file_went, "hsm:t/data/thing"), 0);
    assert_int_equal(fake->calls[FAKE_LOGIN], 2);
}

static int make_box_with_credentials(void **state)
{
    return make_box(state) || mkdir(in_box("credentials"), 0700);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, reset_fake, keeps_the_contract)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_pin_in_the_ini_is_sent),
        STORY(without_a_pin_the_reason_says_what_to_write),
        STORY(the_line_end_of_a_pin_file_is_not_sent),
        STORY(a_pin_file_that_others_can_read_or_write_is_not_believed),
        STORY(a_pin_file_that_holds_no_pin_is_an_error),
        STORY(a_pin_file_that_is_not_there_is_the_administrators_mistake),
        STORY(what_to_permit_is_said_of_what_forbids),
        STORY(a_systemd_credential_is_sent),
        STORY(with_no_ini_the_tokens_own_credential_is_sent),
        STORY(the_pin_is_read_from_another_token),
        STORY(the_line_end_of_a_pin_from_another_token_is_not_sent),
        STORY(tokens_that_wait_for_each_others_pin_are_an_error),
        STORY(a_pin_once_read_serves_when_its_file_cannot_be_read_any_more),
    };

    return cmocka_run_group_tests(tests, make_box_with_credentials, remove_box);
}
