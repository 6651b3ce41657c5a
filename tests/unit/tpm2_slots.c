/* SPDX-License-Identifier: Apache-2.0 */
/* Object slots of a TPM without a resource manager: how few commands an operation takes, that none is left behind, and
 * room where others have taken all there is. */
#include "tpm2-slots.h"

#include <unistd.h>

static void a_persistent_key_costs_one_command_a_signature(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, P256);
    long before, signs;

    assert_int_equal(tpm_fixture_commands(&b->tpm, 0), 2); /* is it there, and its public part */
    sign_and_verify(&key);
    assert_int_equal(tpm_fixture_commands(&b->tpm, 0), 3);
    before = tpm_fixture_commands(&b->tpm, 0);
    signs = tpm_fixture_commands(&b->tpm, TPM_FIXTURE_SIGN);
    for (int i = 0; i < 1000; i++)
        sign_and_verify(&key);
    assert_int_equal(tpm_fixture_commands(&b->tpm, 0) - before, 1000);
    assert_int_equal(tpm_fixture_commands(&b->tpm, TPM_FIXTURE_SIGN) - signs, 1000);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
    unload(&key);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
}

/* What another program keeps in the TPM, and must find there as it was. */
struct foreign {
    ESYS_CONTEXT *esys;
    ESYS_TR tr[3];
    TPM2B_NAME *name[3];
    TPM2_HANDLE handle[3];
};

static struct foreign take_all_slots(struct bench *b)
{
    struct foreign f = { .esys = connect_tpm(b) };
    static const TPM2B_SENSITIVE_CREATE secret;
    static const TPM2B_DATA outside;
    static const TPML_PCR_SELECTION pcrs;

    for (int i = 0; i < 3; i++) {
        TPM2B_PUBLIC template = template_of(NODA);

        template.publicArea.unique.ecc.x.size = 1;
        template.publicArea.unique.ecc.x.buffer[0] = (BYTE)i;
        assert_int_equal(Esys_CreatePrimary(f.esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                            &secret, &template, &outside, &pcrs, &f.tr[i], NULL, NULL, NULL, NULL),
                         0);
        assert_int_equal(Esys_TR_GetName(f.esys, f.tr[i], &f.name[i]), 0);
        assert_int_equal(Esys_TR_GetTpmHandle(f.esys, f.tr[i], &f.handle[i]), 0);
    }
    assert_int_equal(tpm_fixture_property(&b->tpm, TPM2_PT_HR_TRANSIENT_AVAIL), 0);
    return f;
}

/* They are under the same handles, and work. */
static void check_foreign(struct foreign *f)
{
    for (int i = 0; i < 3; i++) {
        static const TPMT_TK_HASHCHECK ticket = { .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL };
        TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256 };
        TPM2B_DIGEST digest = { .size = 32 };
        TPM2B_PUBLIC *public;
        TPM2B_NAME *name;
        TPMT_SIGNATURE *sig;

        assert_int_equal(
            Esys_ReadPublic(f->esys, f->tr[i], ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, &name, NULL), 0);
        assert_int_equal(name->size, f->name[i]->size);
        assert_memory_equal(name->name, f->name[i]->name, name->size);
        assert_int_equal(
            Esys_Sign(f->esys, f->tr[i], ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme, &ticket, &sig),
            0);
        Esys_Free(public);
        Esys_Free(name);
        Esys_Free(sig);
    }
}

static void drop_foreign(struct foreign *f)
{
    for (int i = 0; i < 3; i++) {
        assert_int_equal(Esys_FlushContext(f->esys, f->tr[i]), 0);
        Esys_Free(f->name[i]);
    }
    disconnect_tpm(f->esys);
}

static void mac_of_two_parts(struct bench *b)
{
    struct key key = load_key(b, HX_SECRET_KEY, MAC);
    const struct hx_alg alg = { .scheme = HX_HMAC, .hash = HX_SHA256 };
    unsigned char in[2000] = { 0 };
    struct plugin_bytes tag;

    must(b, operate(&key, b->plugin->sign, &alg, in, sizeof in, &tag));
    plugin_bytes_free(&tag);
    unload(&key);
}

static void full_slots_hinder_nobody(void **state)
{
    struct bench *b = bench_of(state);
    struct foreign foreign = take_all_slots(b);
    struct key key = load_key(b, HX_PRIVATE_KEY, P256);

    check_foreign(&foreign);
    for (int i = 0; i < 3; i++) {
        sign_and_verify(&key);
        check_foreign(&foreign);
    }
    unload(&key);
    mac_of_two_parts(b);
    check_foreign(&foreign);
    key = load_ref(b, HX_PRIVATE_KEY, "k:owned.tss");
    for (int i = 0; i < 3; i++) {
        sign_and_verify(&key);
        check_foreign(&foreign);
    }
    unload(&key);
    assert_int_equal(tpm_fixture_left(&b->tpm), 3);
    assert_false(plugin_host_logged(&b->host, "another program"));
    drop_foreign(&foreign);
}

static void a_slot_that_is_free_again_is_noticed(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, P256);
    struct foreign foreign = take_all_slots(b);
    long before;

    sign_and_verify(&key);
    check_foreign(&foreign);
    drop_foreign(&foreign);
    sign_and_verify(&key);
    before = tpm_fixture_commands(&b->tpm, 0);
    sign_and_verify(&key);
    assert_int_equal(tpm_fixture_commands(&b->tpm, 0) - before, 1);
    unload(&key);
}

/* Another program's sequences cannot be saved. */
static void where_no_room_can_be_made_it_is_busy(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, P256);
    const struct hx_alg alg = { .scheme = HX_ECDSA };
    static const TPM2B_AUTH no_auth;
    ESYS_CONTEXT *esys = connect_tpm(b);
    unsigned char digest[32] = { 1 };
    struct plugin_bytes sig;
    ESYS_TR sequence[3];

    for (int i = 0; i < 3; i++)
        assert_int_equal(Esys_HashSequenceStart(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth,
                                                TPM2_ALG_SHA256, &sequence[i]),
                         0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(operate(&key, b->plugin->sign, &alg, digest, sizeof digest, &sig), HX_E_BUSY);
        assert_true(plugin_host_said(&b->host, "all of its object slots are taken"));
        plugin_bytes_free(&sig);
    }
    assert_int_equal(Esys_FlushContext(esys, sequence[1]), 0);
    sign_and_verify(&key);
    assert_int_equal(Esys_FlushContext(esys, sequence[0]), 0);
    assert_int_equal(Esys_FlushContext(esys, sequence[2]), 0);
    disconnect_tpm(esys);
    unload(&key);
}

/* A HMAC of two parts wants two slots, of which others hold one for good; then a signature still finds its one. */
static void what_wants_less_than_the_last_one_finds_its_slot(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, P256), mac = load_key(b, HX_SECRET_KEY, MAC);
    const struct hx_alg alg = { .scheme = HX_HMAC, .hash = HX_SHA256 };
    static const TPM2B_AUTH no_auth;
    ESYS_CONTEXT *esys = connect_tpm(b);
    ESYS_TR sequence[2], object = make_primary(esys);
    unsigned char in[2000] = { 0 };
    struct plugin_bytes tag;

    for (int i = 0; i < 2; i++)
        assert_int_equal(Esys_HashSequenceStart(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth,
                                                TPM2_ALG_SHA256, &sequence[i]),
                         0);
    assert_int_equal(operate(&mac, b->plugin->sign, &alg, in, sizeof in, &tag), HX_E_BUSY);
    sign_and_verify(&key);
    assert_int_equal(operate(&mac, b->plugin->sign, &alg, in, sizeof in, &tag), HX_E_BUSY);
    sign_and_verify(&key);
    for (int i = 0; i < 2; i++)
        assert_int_equal(Esys_FlushContext(esys, sequence[i]), 0);
    assert_int_equal(Esys_FlushContext(esys, object), 0);
    disconnect_tpm(esys);
    unload(&key);
    unload(&mac);
}

/* So is one whose name has a resource manager's in it, for us; a slot each is taken then, and stays so. */
static int open_managed(void **state)
{
    struct bench *b = *state;
    char tcti[128];

    if (!b->tpm.pid)
        return 0;
    tpm_fixture_run(&b->tpm, "ln -sfn . tabrmd");
    snprintf(tcti, sizeof tcti, "pcap:swtpm:path=%s/tabrmd/tpm", b->tpm.directory);
    plugin_host_set(&b->host, "tcti", tcti);
    bench_open(b);
    return 0;
}

static int close_managed(void **state)
{
    struct bench *b = *state;
    int result = close_token(state);

    plugin_host_set(&b->host, "tcti", b->tpm.counted);
    return result;
}

static void behind_a_resource_manager_two_keys_stay_loaded(void **state)
{
    struct bench *b = bench_of(state);
    struct key owned = load_ref(b, HX_PRIVATE_KEY, "k:owned.tss"), stored = load_ref(b, HX_PRIVATE_KEY, "k:stored.pem"),
               third = load_ref(b, HX_PRIVATE_KEY, "k:owned.tss");
    long before;

    sign_and_verify(&stored);
    sign_and_verify(&owned);
    sign_and_verify(&stored);
    assert_int_equal(tpm_fixture_left(&b->tpm), 2);
    before = tpm_fixture_commands(&b->tpm, 0);
    for (int i = 0; i < 100; i++)
        sign_and_verify(i % 2 ? &owned : &stored);
    assert_int_equal(tpm_fixture_commands(&b->tpm, 0) - before, 100);
    for (int i = 0; i < 10; i++) {
        sign_and_verify(&third);
        sign_and_verify(&owned);
        sign_and_verify(&stored);
    }
    assert_int_equal(tpm_fixture_left(&b->tpm), 2);
    mac_of_two_parts(b);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
    sign_and_verify(&owned);
    unload(&owned);
    unload(&stored);
    unload(&third);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
}

static void a_loaded_key_that_somebody_flushed_is_loaded_anew(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_ref(b, HX_PRIVATE_KEY, "k:owned.tss");

    for (int i = 0; i < 3; i++) {
        sign_and_verify(&key);
        assert_int_equal(tpm_fixture_left(&b->tpm), 1);
        tpm_fixture_flush(&b->tpm);
    }
    unload(&key);
}

static void list_all(struct bench *b)
{
    struct plugin_objects list;

    plugin_objects_init(&list, NULL);
    must(b, b->plugin->list(b->token, &list.list));
    plugin_objects_free(&list);
}

/* What others read of a handle is forgotten after a second, when somebody looks again; a loaded key stays. */
static void a_loaded_key_outlives_those_who_only_looked_at_it(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, P256), again;

    for (int i = 0; i < 2; i++) {
        usleep(1100000);
        list_all(b);
        sign_and_verify(&key);
    }
    again = load_key(b, HX_PRIVATE_KEY, P256);
    unload(&again);
    sign_and_verify(&key);
    unload(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_persistent_key_costs_one_command_a_signature, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_loaded_key_outlives_those_who_only_looked_at_it, open_token, close_token),
        cmocka_unit_test_setup_teardown(full_slots_hinder_nobody, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_slot_that_is_free_again_is_noticed, open_token, close_token),
        cmocka_unit_test_setup_teardown(where_no_room_can_be_made_it_is_busy, open_token, close_token),
        cmocka_unit_test_setup_teardown(what_wants_less_than_the_last_one_finds_its_slot, open_token, close_token),
        cmocka_unit_test_setup_teardown(behind_a_resource_manager_two_keys_stay_loaded, open_managed, close_managed),
        cmocka_unit_test_setup_teardown(a_loaded_key_that_somebody_flushed_is_loaded_anew, open_managed, close_managed),
    };

    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, start, bench_stop) : 77;
}
