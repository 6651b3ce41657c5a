/* SPDX-License-Identifier: Apache-2.0 */
/* Data that a TPM seals: it comes back from this TPM only, with the PIN where there is one, and leaves nothing in it.
 */
#include "tpm2-store.h"

static const struct hx_spec pin_spec = { .kind = HX_DATA, .label = "edge pin" };
static const struct blob secret = { "31415926", 8 };

static void data_is_sealed_into_a_file_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct blob file;
    struct stat st;
    char ref[64];

    assert_int_equal(import(f, &pin_spec, &secret, ref), 0);
    assert_string_equal(ref, "s:edge%20pin.sealed");
    assert_int_equal(listed(f, HX_DATA, "edge pin"), 1);
    assert_int_equal(stat(path_of(f, "edge%20pin.sealed"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    file = blob_of_file(path_of(f, "edge%20pin.sealed"));
    assert_non_null(strstr((char *)file.data, "-----BEGIN TSS2 PRIVATE KEY-----"));
    holds(f, HX_DATA, ref, &secret);
    reopen(f);
    holds(f, HX_DATA, ref, &secret);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
    assert_int_equal(take_away(f, HX_DATA, ref), 0);
    assert_int_equal(listed(f, HX_DATA, NULL), 0);
    assert_int_equal(read_ref(f, HX_DATA, ref, NULL), HX_E_NOT_FOUND);
}

static void a_tpm_seals_128_bytes_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct blob most = { .len = 128 }, none = { .len = 0 };
    char ref[64];

    memset(most.data, 'x', sizeof most.data);
    assert_int_equal(import(f, &pin_spec, &most, ref), 0);
    holds(f, HX_DATA, ref, &most);
    most.len = 129;
    assert_int_equal(import(f, &pin_spec, &most, ref), HX_E_INVALID);
    assert_true(plugin_host_said(&f->host, "a TPM seals 1 to 128 bytes, not 129"));
    assert_int_equal(import(f, &pin_spec, &none, ref), HX_E_INVALID);
}

static void what_bears_the_label_is_replaced_only_when_asked(void **state)
{
    struct fixture *f = *state;
    const struct blob other = { "other", 5 };
    struct hx_spec spec = pin_spec;
    char ref[64];

    assert_int_equal(import(f, &spec, &secret, ref), 0);
    assert_int_equal(import(f, &spec, &other, ref), HX_E_EXISTS);
    holds(f, HX_DATA, ref, &secret);
    spec.flags = HX_REPLACE;
    assert_int_equal(import(f, &spec, &other, ref), 0);
    holds(f, HX_DATA, ref, &other);
    assert_int_equal(listed(f, HX_DATA, NULL), 1);
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    struct fixture *f = *state;
    char ref[64];

    assert_int_equal(import(f, &pin_spec, &secret, ref), 0);
    chmod(path_of(f, "edge%20pin.sealed"), 0644);
    assert_int_equal(listed(f, HX_DATA, "edge pin"), 1);
    assert_int_equal(read_ref(f, HX_DATA, ref, NULL), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "chmod 600"));
}

static void a_file_without_sealed_data_says_so(void **state)
{
    struct fixture *f = *state;

    mkdir(f->directory, 0755);
    tpm_fixture_run(&f->tpm, "umask 077; echo nothing >place/a.sealed");
    assert_int_equal(listed(f, HX_DATA, "a"), 1);
    assert_int_equal(read_ref(f, HX_DATA, "s:a.sealed", NULL), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "there is no sealed data in it"));
    assert_int_equal(read_ref(f, HX_DATA, "s:../a.sealed", NULL), HX_E_NOT_FOUND);
    assert_int_equal(take_away(f, HX_DATA, "s:b.sealed"), HX_E_NOT_FOUND);
}

static void another_tpm_does_not_give_it_out(void **state)
{
    struct fixture *f = *state;
    char ref[64];

    assert_int_equal(import(f, &pin_spec, &secret, ref), 0);
    close_token(f);
    tpm_fixture_run(&f->tpm, "tpm2_clear");
    reopen(f);
    assert_int_equal(read_ref(f, HX_DATA, ref, NULL), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "it was made by another TPM, or before this one was cleared"));
}

static int login(struct fixture *f, const char *pin)
{
    return tpm2_plugin_entry()->login(f->token, pin, strlen(pin));
}

static void with_a_pin_it_wants_the_pin(void **state)
{
    struct fixture *f = *state;
    struct blob found;
    char ref[64];

    plugin_host_set(&f->host, "pin", "");
    reopen(f);
    assert_int_equal(import(f, &pin_spec, &secret, ref), HX_E_LOGIN);
    assert_int_equal(login(f, "2468"), 0);
    assert_int_equal(import(f, &pin_spec, &secret, ref), 0);
    reopen(f);
    assert_int_equal(read_ref(f, HX_DATA, ref, NULL), HX_E_LOGIN);
    assert_int_equal(read_with(f, HX_DATA, ref, "1357", NULL), HX_E_PIN);
    assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_LOCKOUT_COUNTER), 0);
    assert_int_equal(read_with(f, HX_DATA, ref, "2468", &found), 0);
    assert_int_equal(found.len, secret.len);
    assert_memory_equal(found.data, secret.data, secret.len);
    plugin_host_set(&f->host, "pin", NULL);
    reopen(f);
    assert_int_equal(read_ref(f, HX_DATA, ref, NULL), HX_E_LOGIN);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

/* Other programs seal so that wrong auth values count, and write into the file what is not true. */
static void others_data_costs_a_try_at_a_time_and_never_the_last(void **state)
{
    static const char theirs[] = "s:theirs.sealed";
    struct fixture *f = *state;
    struct blob found;

    tpm_fixture_run(
        &f->tpm,
        "umask 077; mkdir -p place; tpm2_createprimary -C o -G ecc -c srk.ctx -a 'restricted|decrypt|fixedtpm|"
        "fixedparent|sensitivedataorigin|userwithauth|noda'; tpm2_flushcontext -t; "
        "tpm2_evictcontrol -C o -c srk.ctx 0x81000001; printf 31415926 | tpm2_create -C 0x81000001 -i - "
        "-u pub -r priv -p theirs -a 'fixedtpm|fixedparent|userwithauth'; "
        "tpm2_encodeobject -C 0x81000001 -u pub -r priv -o place/theirs.sealed; chmod 600 place/theirs.sealed; "
        "tpm2_flushcontext -t");
    plugin_host_set(&f->host, "pin", "");
    reopen(f);
    assert_int_equal(login(f, "ours"), 0); /* that one is for what is made */
    for (uint32_t wrong = 1; wrong < 3; wrong++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(read_ref(f, HX_DATA, theirs, NULL), HX_E_LOGIN);
        assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_LOCKOUT_COUNTER), wrong - 1);
        assert_int_equal(read_with(f, HX_DATA, theirs, "ours", NULL), HX_E_PIN);
        assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_LOCKOUT_COUNTER), wrong);
    }
    assert_int_equal(read_with(f, HX_DATA, theirs, "theirs", NULL), HX_E_LOCKED);
    tpm_fixture_run(&f->tpm, "tpm2_dictionarylockout --clear-lockout");
    assert_int_equal(read_with(f, HX_DATA, theirs, "theirs", &found), 0);
    assert_memory_equal(found.data, secret.data, secret.len);
}

static void data_without_a_pin_stays_so_when_one_is_set_later(void **state)
{
    struct fixture *f = *state;
    char ref[64];

    assert_int_equal(import(f, &pin_spec, &secret, ref), 0);
    plugin_host_set(&f->host, "pin", "");
    reopen(f);
    holds(f, HX_DATA, ref, &secret);
}

static void it_is_sealed_and_unsealed_where_all_slots_are_taken(void **state)
{
    struct fixture *f = *state;
    char ref[64];

    tpm_fixture_fill(&f->tpm, 0);
    assert_int_equal(import(f, &pin_spec, &secret, ref), 0);
    holds(f, HX_DATA, ref, &secret);
    tpm_fixture_flush(&f->tpm);
}

static void with_parameter_encryption_nobody_on_the_bus_reads_it(void **state)
{
    struct fixture *f = *state;
    char ref[64];

    assert_int_equal(import(f, &pin_spec, &secret, ref), 0);
    holds(f, HX_DATA, ref, &secret);
    tpm_fixture_run(&f->tpm, "test $(grep -ac 31415926 pcap) -gt 0");
    plugin_host_set(&f->host, "parameter-encryption", "yes");
    reopen(f);
    holds(f, HX_DATA, ref, &secret);
    assert_int_equal(take_away(f, HX_DATA, ref), 0);
    assert_int_equal(import(f, &pin_spec, &secret, ref), 0);
    tpm_fixture_run(&f->tpm, "test -s pcap && ! grep -aq 31415926 pcap");
    close_token(f);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(data_is_sealed_into_a_file_and_comes_back),
        T(a_tpm_seals_128_bytes_and_no_more),
        T(what_bears_the_label_is_replaced_only_when_asked),
        T(a_file_that_others_can_read_is_refused),
        T(a_file_without_sealed_data_says_so),
        T(another_tpm_does_not_give_it_out),
        T(with_a_pin_it_wants_the_pin),
        T(others_data_costs_a_try_at_a_time_and_never_the_last),
        T(data_without_a_pin_stays_so_when_one_is_set_later),
        T(with_parameter_encryption_nobody_on_the_bus_reads_it),
        T(it_is_sealed_and_unsealed_where_all_slots_are_taken),
    };

    if (!tpm_fixture_can_run())
        return 77;
    return cmocka_run_group_tests_name("tpm2_sealed", tests, NULL, NULL);
}
