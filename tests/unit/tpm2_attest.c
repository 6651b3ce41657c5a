/* SPDX-License-Identifier: Apache-2.0 */
/* The identity key that a provisioning service sends to a TPM: activated, replaced, cut short by a loss of power, and
 * refused, with the old key untouched, where anything about it is wrong. */
#include "tpm2-activation.h"

#include <sys/wait.h>
#include <tss2/tss2_esys.h>
#include <unistd.h>

enum { CUT = 71 };

/* The process ends, as if by a power cut, instead of the n-th of these. */
static int evictions, last_eviction;

TSS2_RC __real_Esys_EvictControl(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, TPMI_DH_PERSISTENT,
                                 ESYS_TR *);
TSS2_RC __wrap_Esys_EvictControl(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, TPMI_DH_PERSISTENT,
                                 ESYS_TR *);

TSS2_RC __wrap_Esys_EvictControl(ESYS_CONTEXT *esys, ESYS_TR auth, ESYS_TR object, ESYS_TR one, ESYS_TR two,
                                 ESYS_TR three, TPMI_DH_PERSISTENT handle, ESYS_TR *ret)
{
    if (++evictions == last_eviction)
        _exit(CUT);
    return __real_Esys_EvictControl(esys, auth, object, one, two, three, handle, ret);
}

static void the_key_is_activated_and_then_replaced(void **state)
{
    struct fixture *f = *state;
    struct sent sent = send(f, TPM_BLOB_GOOD), next = send(f, TPM_BLOB_GOOD);

    assert_int_equal(activate_sent(f, &sent), 0);
    assert_works(f, &sent);
    assert_int_equal(activate_sent(f, &next), 0);
    assert_works(f, &next);
    assert_int_equal(activate_sent(f, &next), 0);
    assert_works(f, &next);
    assert_string_equal(f->host.log, "");
}

/* What is known of the old one is of no use: the core is told to open the TPM again. */
static void who_holds_the_old_key_has_to_open_the_tpm_again(void **state)
{
    static const struct hx_alg hmac = { .scheme = HX_HMAC, .hash = HX_SHA256 };
    struct fixture *f = *state;
    struct sent sent = begin(f), next = send(f, TPM_BLOB_GOOD);
    struct plugin_objects info;
    struct plugin_bytes mac;
    void *held;

    plugin_objects_init(&info, NULL);
    plugin_bytes_init(&mac);
    assert_int_equal(plugin->load(f->token, HX_SECRET_KEY, "h:81000100", 10, &info.list, &held), 0);
    for (int i = 0; i < 2; i++) { /* longer than anything is remembered */
        usleep(1100000);
        assert_works(f, &sent);
    }
    assert_int_equal(plugin->sign(held, &hmac, "message", 7, &mac.out), 0);
    plugin_bytes_free(&mac);
    assert_int_equal(activate_sent(f, &next), 0);
    assert_int_equal(plugin->list(f->token, &info.list), HX_E_LOST);
    plugin_objects_free(&info);
    plugin->unload(held);
    reopen(f);
    assert_works(f, &next);
}

static void the_key_is_activated_on_a_provisioned_tpm(void **state)
{
    provision(*state);
    the_key_is_activated_and_then_replaced(state);
}

/* In a process of its own, which is cut off instead of its n-th TPM2_EvictControl. */
static bool cut_off(struct fixture *f, const struct sent *sent, int n)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        plugin->forked();
        evictions = 0;
        last_eviction = n;
        f->token = NULL;
        if (plugin->open(&f->host.host, NULL, &f->token))
            _exit(1);
        _exit(activate_sent(f, sent) ? 2 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CUT);
    return WEXITSTATUS(status) == CUT;
}

static void a_power_cut_costs_no_more_than_another_activation(void **state)
{
    struct fixture *f = *state;
    struct sent old = begin(f), sent = send(f, TPM_BLOB_GOOD);

    assert_true(cut_off(f, &sent, 1)); /* before the old key goes */
    tpm_fixture_flush(&f->tpm);
    assert_works(f, &old);
    assert_true(cut_off(f, &sent, 2)); /* before the new one comes */
    assert_false(persists(f, IDENTITY));
    assert_int_equal(tpm_fixture_left(&f->tpm), 1); /* of the dead process: its slot is not ours to free */
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_int_equal(tpm_fixture_left(&f->tpm), 1);
    tpm_fixture_flush(&f->tpm);
    assert_works(f, &sent);
    assert_false(cut_off(f, &sent, 3));
    assert_works(f, &sent);
}

static void a_blob_that_is_cut_short_or_goes_on_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sent old = begin(f), sent = send(f, TPM_BLOB_GOOD);

    for (size_t len = 0; len < sent.blob.len; len++) {
        assert_int_equal(activate(f, sent.blob.data, len), HX_E_INVALID);
        assert_true(plugin_host_said(&f->host, "ends within its"));
    }
    sent.blob.data[sent.blob.len] = 0;
    assert_int_equal(activate(f, sent.blob.data, sent.blob.len + 1), HX_E_INVALID);
    assert_true(plugin_host_said(&f->host, "1 bytes follow"));
    assert_int_equal(activate(f, NULL, 0), HX_E_INVALID);
    assert_works(f, &old);
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_works(f, &sent);
}

/* Bits at the start of each part, and here and there. */
static void a_blob_that_is_damaged_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sent old = begin(f), sent = send(f, TPM_BLOB_GOOD);
    size_t end = sent.blob.start[TPM_BLOB_REST];

    for (size_t i = 0; i < end; i++) {
        bool sampled = i % 37 == 0;

        for (int part = 0; part < TPM_BLOB_REST; part++)
            sampled = sampled || (i >= sent.blob.start[part] && i < sent.blob.start[part] + 6);
        if (!sampled)
            continue;
        sent.blob.data[i] ^= (unsigned char)(1u << i % 8);
        if (activate_sent(f, &sent) != HX_E_INVALID)
            fail_msg("byte %zu: %s", i, f->host.reason);
        assert_true(plugin_host_said(&f->host, "activation blob"));
        sent.blob.data[i] ^= (unsigned char)(1u << i % 8);
    }
    assert_works(f, &old);
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_works(f, &sent);
}

static void each_wrong_blob_is_told_apart(void **state)
{
    static const struct {
        enum tpm_blob_fault fault;
        const char *words;
    } faults[] = {
        { TPM_BLOB_OTHER_NAME, "another SRK" },
        { TPM_BLOB_SHORT_INNER, "has 8 bytes, not the 16" },
        { TPM_BLOB_LONG_INNER, "has 32 bytes, not the 16" },
        { TPM_BLOB_OTHER_INNER, "does not unwrap" },
        { TPM_BLOB_NO_INNER, "does not unwrap" },
        { TPM_BLOB_INNER_INTEGRITY, "does not unwrap" },
        { TPM_BLOB_UNIQUE, "belong to different keys" },
        { TPM_BLOB_FIXED, "never left its TPM" },
        { TPM_BLOB_SEALED, "HMAC-SHA256" },
        { TPM_BLOB_SHA1, "HMAC-SHA256" },
        { TPM_BLOB_RESTRICTED, "HMAC-SHA256" },
        { TPM_BLOB_POLICY, "HMAC-SHA256" },
        { TPM_BLOB_AUTH, "wants an auth value" },
    };
    struct fixture *f = *state;
    struct sent old = begin(f), sent;

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        sent = send(f, faults[i].fault);
        if (activate_sent(f, &sent) != HX_E_INVALID || !plugin_host_said(&f->host, faults[i].words))
            fail_msg("%s: %s", tpm_blob_fault_name(faults[i].fault), f->host.reason);
    }
    assert_works(f, &old);
}

static void a_blob_for_another_tpm_or_another_srk_is_refused(void **state)
{
    static const struct tpm_fixture_key other_srk = {
        .handle = SRK,
        .type = TPM2_ALG_ECC,
        .size = TPM2_ECC_NIST_P256,
        .attributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_NODA,
    };
    struct fixture *f = *state, *other;
    struct sent old = begin(f), sent;
    void *others;

    setup(&others);
    other = others;
    sent = send(other, TPM_BLOB_GOOD);
    teardown(&others);
    assert_int_equal(activate_sent(f, &sent), HX_E_INVALID);
    assert_true(plugin_host_said(&f->host, "meant for another TPM"));
    assert_works(f, &old);
    sent = send(f, TPM_BLOB_GOOD);
    tpm_fixture_make(&f->tpm, &other_srk, 1);
    reopen(f);
    assert_int_equal(activate_sent(f, &sent), HX_E_INVALID);
    assert_true(plugin_host_said(&f->host, "another SRK"));
    assert_works(f, &old);
    tpm_fixture_evict(&f->tpm, SRK); /* the registered one comes again */
    reopen(f);
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_works(f, &sent);
}

static void two_free_slots_are_enough(void **state)
{
    struct fixture *f = *state;
    struct sent sent = send(f, TPM_BLOB_GOOD), next = send(f, TPM_BLOB_GOOD);

    assert_int_equal(activate_sent(f, &sent), 0);
    reopen(f);
    tpm_fixture_fill(&f->tpm, 2);
    assert_int_equal(activate_sent(f, &next), 0);
    assert_int_equal(tpm_fixture_left(&f->tpm), 1);
    tpm_fixture_flush(&f->tpm);
    assert_works(f, &next);
}

static void with_no_free_slot_room_is_made_and_given_back(void **state)
{
    struct fixture *f = *state;
    struct sent sent;

    begin(f);
    sent = send(f, TPM_BLOB_GOOD);
    tpm_fixture_fill(&f->tpm, 0);
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_int_equal(tpm_fixture_left(&f->tpm), 3);
    tpm_fixture_flush(&f->tpm);
    assert_works(f, &sent);
}

static void somebodys_key_at_the_handle_stays(void **state)
{
    struct fixture *f = *state;
    struct sent sent = send(f, TPM_BLOB_GOOD);
    const struct tpm_fixture_key key = { .handle = IDENTITY, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256 };

    tpm_fixture_make(&f->tpm, &key, 1);
    assert_int_equal(activate_sent(f, &sent), HX_E_EXISTS);
    assert_true(plugin_host_said(&f->host, "another kind of key"));
    assert_true(persists(f, IDENTITY));
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

static void full_memory_is_noticed_before_anything_is_done(void **state)
{
    struct fixture *f = *state;
    struct sent sent = send(f, TPM_BLOB_GOOD);
    uint32_t handle = 0x81008000;

    while (tpm_fixture_property(&f->tpm, TPM2_PT_HR_PERSISTENT_AVAIL)) {
        const struct tpm_fixture_key key = { .handle = handle++, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256 };

        tpm_fixture_make(&f->tpm, &key, 1);
    }
    assert_int_equal(activate_sent(f, &sent), HX_E_FULL);
    tpm_fixture_evict(&f->tpm, --handle);
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_works(f, &sent);
    assert_int_equal(activate_sent(f, &sent), 0);
}

static void auth_values_of_hierarchies_are_needed_and_their_lack_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct sent old = begin(f), sent = send(f, TPM_BLOB_GOOD);

    tpm_fixture_run(&f->tpm, "tpm2_changeauth -c o owner; tpm2_changeauth -c e endorsement");
    assert_int_equal(activate_sent(f, &sent), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "endorsement-auth"));
    plugin_host_set(&f->host, "endorsement-auth", "endorsement");
    plugin_host_set(&f->host, "owner-auth", "another");
    assert_int_equal(activate_sent(f, &sent), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "owner-auth"));
    assert_works(f, &old);
    plugin_host_set(&f->host, "owner-auth", "owner");
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_works(f, &sent);
    assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_LOCKOUT_COUNTER), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_key_is_activated_and_then_replaced),
        TEST(who_holds_the_old_key_has_to_open_the_tpm_again),
        TEST(the_key_is_activated_on_a_provisioned_tpm),
        TEST(a_power_cut_costs_no_more_than_another_activation),
        TEST(a_blob_that_is_cut_short_or_goes_on_is_refused),
        TEST(a_blob_that_is_damaged_is_refused),
        TEST(each_wrong_blob_is_told_apart),
        TEST(a_blob_for_another_tpm_or_another_srk_is_refused),
        TEST(two_free_slots_are_enough),
        TEST(with_no_free_slot_room_is_made_and_given_back),
        TEST(somebodys_key_at_the_handle_stays),
        TEST(full_memory_is_noticed_before_anything_is_done),
        TEST(auth_values_of_hierarchies_are_needed_and_their_lack_costs_nothing),
    };

    if (!tpm_fixture_can_run())
        return 77;
    setenv("TSS2_LOG", "all+none", 0); /* it has much to say about what a TPM refuses */
    plugin = tpm2_plugin_entry();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
