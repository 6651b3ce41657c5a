/* SPDX-License-Identifier: Apache-2.0 */
/* What activation does on its way: what it lets be seen on a bus, what it does not begin in vain, and what it leaves to
 * others. */
#include "tpm2-activation.h"

#include <unistd.h>

static void set(struct fixture *f, const char *option, const char *value)
{
    plugin_host_set(&f->host, option, value);
    reopen(f);
}

static bool was_seen(const struct fixture *f, const void *data, size_t len)
{
    static unsigned char text[1 << 16];
    char path[64];
    FILE *file;
    size_t size;

    snprintf(path, sizeof path, "%s/pcap", f->tpm.directory);
    file = fopen(path, "rb");
    assert_non_null(file);
    size = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_in_range(size, 1, sizeof text - 1);
    return memmem(text, size, data, len);
}

/* With the inner key who listens could read the identity key in the blob. */
static void on_a_bus_with_listeners_the_inner_key_is_not_seen(void **state)
{
    struct fixture *f = *state;
    struct sent sent = begin(f);

    set(f, "tcti", f->tpm.counted);
    tpm_fixture_forget(&f->tpm);
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_true(was_seen(f, sent.blob.inner, sizeof sent.blob.inner)); /* so the test would see it */
    set(f, "parameter-encryption", "yes");
    sent = send(f, TPM_BLOB_GOOD);
    tpm_fixture_forget(&f->tpm);
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_true(was_seen(f, sent.blob.data + sent.blob.start[TPM_BLOB_CREDENTIAL] + 2, 32));
    assert_false(was_seen(f, sent.blob.inner, sizeof sent.blob.inner));
    assert_works(f, &sent);
}

static void where_there_is_no_room_nothing_is_begun(void **state)
{
    struct fixture *f = *state;
    struct sent sent = send(f, TPM_BLOB_GOOD);
    uint32_t handle = 0x81008000;

    set(f, "tcti", f->tpm.counted);
    while (tpm_fixture_property(&f->tpm, TPM2_PT_HR_PERSISTENT_AVAIL)) {
        const struct tpm_fixture_key key = { .handle = handle++, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256 };

        tpm_fixture_make(&f->tpm, &key, 1);
    }
    tpm_fixture_forget(&f->tpm);
    assert_int_equal(activate_sent(f, &sent), HX_E_FULL);
    assert_int_equal(tpm_fixture_commands(&f->tpm, TPM2_CC_ActivateCredential), 0);
    tpm_fixture_evict(&f->tpm, SRK);
    tpm_fixture_evict(&f->tpm, --handle);
    tpm_fixture_make(&f->tpm, &(struct tpm_fixture_key){ .handle = IDENTITY, .type = TPM2_ALG_KEYEDHASH }, 1);
    tpm_fixture_make(&f->tpm, &(struct tpm_fixture_key){ .handle = handle, .type = TPM2_ALG_KEYEDHASH }, 1);
    reopen(f);
    tpm_fixture_forget(&f->tpm);
    assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_HR_PERSISTENT_AVAIL), 0);
    assert_int_equal(activate_sent(f, &sent), HX_E_FULL); /* for the SRK */
    assert_int_equal(tpm_fixture_commands(&f->tpm, TPM2_CC_CreatePrimary), 0);
}

static void put_srk(struct fixture *f, TPMA_OBJECT attributes, const char *auth)
{
    const struct tpm_fixture_key key = {
        .handle = SRK, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256, .attributes = attributes, .auth = auth
    };

    tpm_fixture_make(&f->tpm, &key, 1);
    reopen(f);
}

/* The last tries are not ours to spend. */
static void an_srk_that_cannot_be_used_is_left_in_peace(void **state)
{
    static const TPMA_OBJECT storage = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    struct fixture *f = *state;
    struct sent old = begin(f), sent = send(f, TPM_BLOB_GOOD);

    put_srk(f, TPMA_OBJECT_SIGN_ENCRYPT, NULL);
    assert_int_equal(activate_sent(f, &sent), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "no storage key"));
    put_srk(f, storage | TPMA_OBJECT_NODA, "auth");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(activate_sent(f, &sent), HX_E_CONFIG);
        assert_true(plugin_host_said(&f->host, "wants an auth value"));
    }
    put_srk(f, storage, "auth");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(activate_sent(f, &sent), i < 2 ? HX_E_CONFIG : HX_E_LOCKED);
        reopen(f); /* or it would know */
    }
    assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_LOCKOUT_COUNTER), 2);
    assert_works(f, &old);
}

/* Nobody else's activation has to wait until this process ends. */
static void the_turn_is_given_on(void **state)
{
    struct fixture *f = *state;
    struct sent sent = begin(f);
    char line[256];
    FILE *locks;

    assert_int_equal(activate_sent(f, &sent), 0);
    locks = fopen("/proc/locks", "r");
    while (locks && fgets(line, sizeof line, locks)) {
        int pid = 0;

        if (sscanf(line, "%*d: FLOCK %*s %*s %d", &pid) == 1)
            assert_int_not_equal(pid, getpid());
    }
    if (locks)
        fclose(locks);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(on_a_bus_with_listeners_the_inner_key_is_not_seen),
        TEST(where_there_is_no_room_nothing_is_begun),
        TEST(an_srk_that_cannot_be_used_is_left_in_peace),
        TEST(the_turn_is_given_on),
    };

    if (!tpm_fixture_can_run())
        return 77;
    setenv("TSS2_LOG", "all+none", 0); /* it has much to say about what a TPM refuses */
    plugin = tpm2_plugin_entry();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
