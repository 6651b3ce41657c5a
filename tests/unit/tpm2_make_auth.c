/* SPDX-License-Identifier: Apache-2.0 */
/* Auth values of keys that are made, and of who makes them. */
#include "tpm2-keys.h"

static void the_pin_becomes_the_new_keys_auth_value(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "guarded"), file = spec_of(HX_P256, "file");
    char ref[TPM_REF];

    plugin_host_set(&f->host, "pin", "");
    open_token(f);
    assert_int_equal(generate(f, &spec, NULL), HX_E_LOGIN);
    assert_int_equal(persistent(f), 0);
    assert_int_equal(f->plugin->login(f->token, "4711-abc", 8), 0);
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_true(labels_say(f, " auth guarded"));
    tpm_fixture_run(&f->tpm, "echo x >message; tpm2_sign -c 0x81000200 -g sha256 -p 4711-abc -o signature message");
    tpm_fixture_run(&f->tpm, "! tpm2_sign -c 0x81000200 -g sha256 -o signature message");
    file.place = "file.tss";
    assert_int_equal(generate(f, &file, ref), 0);
    tpm_fixture_run(&f->tpm, "! grep -q 4711-abc files/file.tss place/labels");
    assert_int_equal(f->plugin->login(f->token, "0123456789012345678901234567890123", 34), HX_E_PIN);
}

static void a_pin_that_is_too_long_for_a_key_is_said_to_be(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "guarded");

    plugin_host_set(&f->host, "pin", "");
    open_token(f);
    assert_int_equal(f->plugin->login(f->token, "0123456789012345678901234567890123", 34), 0);
    assert_int_equal(generate(f, &spec, NULL), HX_E_CONFIG);
    assert_said(f, "more than 32 bytes");
}

static void a_pin_that_is_too_long_for_a_tpm_is_refused(void **state)
{
    struct fixture *f = *state;
    char pin[1024];

    memset(pin, '7', sizeof pin);
    plugin_host_set(&f->host, "pin", "");
    open_token(f);
    assert_int_equal(f->plugin->login(f->token, pin, sizeof pin), HX_E_PIN);
    assert_said(f, "longer than 64 bytes");
    assert_int_equal(f->plugin->login(f->token, pin, 65), HX_E_PIN);
    assert_int_equal(f->plugin->login(f->token, pin, 64), 0);
}

static int login(struct fixture *f, const char *pin)
{
    open_token(f);
    return f->plugin->login(f->token, pin, strlen(pin));
}

/* What a person's login says of a PIN lets it be tried again. */
static void a_login_is_not_taken_in_by_keys_that_have_no_auth_value(void **state)
{
    static const struct tpm_fixture_key keys[] = {
        { .handle = 0x81000777, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256 },
        { .handle = 0x81000778, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256, .auth = "one" },
        { 0x81000779, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPMA_OBJECT_SIGN_ENCRYPT, 0, "two" },
        { 0x8100077a, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPMA_OBJECT_SIGN_ENCRYPT, 0, "three" },
    };
    struct fixture *f = *state;

    tpm_fixture_make(&f->tpm, keys, 1);
    assert_int_equal(login(f, "wrong"), 0); /* nothing says that it is */
    tpm_fixture_make(&f->tpm, keys, 4);
    assert_int_equal(login(f, "one"), 0);
    assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_LOCKOUT_COUNTER), 0);
    assert_int_equal(login(f, "wrong"), HX_E_PIN);
    assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_LOCKOUT_COUNTER), 1);
    assert_int_equal(login(f, "two"), 0);
}

static void what_counts_no_wrong_auth_value_is_made_in_lockout_too(void **state)
{
    static const struct tpm_fixture_key theirs = {
        0x81000777, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPMA_OBJECT_SIGN_ENCRYPT, 0, "theirs"
    };
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "ours");
    struct plugin_tokens told;

    tpm_fixture_make(&f->tpm, &theirs, 1);
    tpm_fixture_run(&f->tpm, "echo x >message; for _ in 1 2 3; do tpm2_sign -c 0x81000777 -p guess -g sha256 -o "
                             "signature message || true; done");
    plugin_host_set(&f->host, "pin", "");
    open_token(f);
    plugin_tokens_init(&told);
    assert_int_equal(f->plugin->describe(f->token, &told.tokens), 0);
    assert_true(told.info[0].flags & HX_PIN_LOCKED);
    assert_int_equal(generate(f, &spec, NULL), HX_E_LOGIN);
    assert_int_equal(f->plugin->describe(f->token, &told.tokens), 0);
    assert_false(told.info[1].flags & (HX_PIN_LOCKED | HX_PIN_FINAL | HX_PIN_LOW));
    plugin_tokens_free(&told);
    assert_int_equal(f->plugin->login(f->token, "ours", 4), 0);
    assert_int_equal(generate(f, &spec, NULL), 0);
}

static void a_foreign_keys_auth_value_is_not_guessed_to_make_a_new_one(void **state)
{
    static const struct tpm_fixture_key foreign[] = {
        { .handle = 0x81000777, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256, .auth = "theirs" },
        { .handle = 0x81000778,
          .type = TPM2_ALG_ECC,
          .size = TPM2_ECC_NIST_P256,
          .attributes = TPMA_OBJECT_SIGN_ENCRYPT,
          .auth = "theirs" },
    };
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "ours");
    char ref[TPM_REF];

    tpm_fixture_make(&f->tpm, foreign, 2);
    plugin_host_set(&f->host, "pin", "");
    open_token(f);
    assert_int_equal(generate(f, &spec, NULL), HX_E_LOGIN);
    assert_int_equal(f->plugin->login(f->token, "ours", 4), 0);
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_LOCKOUT_COUNTER), 0);
}

static void the_owners_auth_value_comes_from_its_option(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "device");
    char ref[TPM_REF];

    tpm_fixture_run(&f->tpm, "tpm2_changeauth -c owner secret");
    assert_int_equal(generate(f, &spec, NULL), HX_E_CONFIG);
    assert_said(f, "owner-auth-file");
    assert_int_equal(persistent(f), 0);
    tpm_fixture_run(&f->tpm, "tpm2_createprimary -C o -P secret -G ecc -c srk.ctx -a 'restricted|decrypt|fixedtpm|"
                             "fixedparent|sensitivedataorigin|userwithauth|noda'; tpm2_flushcontext -t; "
                             "tpm2_evictcontrol -C o -P secret -c srk.ctx 0x81000001; tpm2_flushcontext -t");
    assert_int_equal(generate(f, &spec, NULL), HX_E_CONFIG); /* it is made, but not let in */
    assert_false(labels_say(f, "device"));
    assert_int_equal(persistent(f), 1);
    plugin_host_set(&f->host, "owner-auth", "secret");
    open_token(f);
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(sign(f, ref, NULL), 0);
    plugin_host_set(&f->host, "owner-auth", "wrong");
    open_token(f);
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, ref), HX_E_CONFIG);
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "device", NULL), 1);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_pin_becomes_the_new_keys_auth_value),
        T(a_pin_that_is_too_long_for_a_key_is_said_to_be),
        T(a_pin_that_is_too_long_for_a_tpm_is_refused),
        T(a_login_is_not_taken_in_by_keys_that_have_no_auth_value),
        T(what_counts_no_wrong_auth_value_is_made_in_lockout_too),
        T(a_foreign_keys_auth_value_is_not_guessed_to_make_a_new_one),
        T(the_owners_auth_value_comes_from_its_option),
    };

    setenv("TSS2_LOG", "all+none", 1); /* what is refused here is meant to be */
    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
