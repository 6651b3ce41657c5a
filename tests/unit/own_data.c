/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of data that has a PIN of its own, as what a TPM seals. */
#include "box.h"

static void configure(const char *pin)
{
    char conf[256];

    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\npin-file = %s\n", in_box("pin"));
    put("hsmux.conf", 0600, conf);
    put("pin", 0600, pin);
}

/* A program that reads mine for each m, and theirs for each t. */
static int program(const char *arg)
{
    int result = HX_OK;
    hx *ctx = NULL;

    for (result = hx_new(in_box("hsmux.conf"), &ctx); *arg && ctx; arg++) {
        AUTO_BYTES struct hx_bytes data = { 0 };

        result = hx_read(ctx, *arg == 'm' ? "hsm:t/data/mine" : "hsm:t/data/theirs", HX_VALUE, &data);
        if (!result && strcmp((char *)data.data, "kept"))
            result = HX_E_DEVICE;
        snprintf(told->reason, sizeof told->reason, "%s", hx_last_error());
    }
    hx_free(ctx);
    return result;
}

static void put_data(const char *label, const char *auth)
{
    struct fake_object data = { .kind = HX_DATA, .flags = HX_OWN_AUTH, .value = "kept", .value_len = 4 };

    strcpy(data.label, label);
    strcpy(data.auth, auth);
    assert_true(fake->add(0, &data) >= 0);
}

static void data_with_a_pin_of_its_own_is_tried_once_and_says_nothing_of_other_data(void **state)
{
    (void)state;
    put_data("mine", "right");
    put_data("theirs", "another");
    configure("right");
    assert_int_equal(in_process(program, "ttt"), HX_E_PIN);
    for (int start = 0; start < 5; start++)
        assert_int_equal(in_process(program, "mtt"), HX_E_PIN);
    says("this PIN was refused before and is not sent again: correct it in '");
    assert_int_equal(fake->token[0].own_tries, 1 + 5);
    assert_int_equal(in_process(program, "ttmm"), HX_OK);
    assert_int_equal(fake->token[0].tries_left, 2);
    configure("another");
    assert_int_equal(in_process(program, "tt"), HX_OK);
}

static int reset(void **state)
{
    unlink(in_box("state/refused"));
    rmdir(in_box("state"));
    return setenv("STATE_DIRECTORY", in_box("state"), 1) || reset_fake(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(data_with_a_pin_of_its_own_is_tried_once_and_says_nothing_of_other_data, reset,
                                        keeps_the_contract),
    };

    return cmocka_run_group_tests(tests, make_box, remove_box);
}
