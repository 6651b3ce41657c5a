/* SPDX-License-Identifier: Apache-2.0 */
/* Object slots of a TPM without a resource manager: how few commands an operation takes, that none is left behind, key
 * files that come and go, and room where others have taken all there is. */
#include "tpm2-keyfiles.h"

#include <unistd.h>

#define P256 KEY(0)
#define RSA KEY(1)
#define MAC KEY(2)

static const struct tpm_fixture_key keys[] = {
    { P256, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0, 0, NULL },
    { RSA, TPM2_ALG_RSA, 2048, 0, 0, NULL },
    { MAC, TPM2_ALG_KEYEDHASH, 0, 0, 0, NULL },
    { SRK, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPMA_OBJECT_RESTRICTED | DECRYPT | NODA, 0, NULL },
};

static int start(void **state)
{
    int result = bench_start(state);
    struct bench *b = *state;

    if (result || !b->tpm.pid)
        return result;
    if (make_directory(b))
        return -1;
    tpm_fixture_make(&b->tpm, keys, sizeof keys / sizeof *keys);
    make_file(b, "owned.tss", 0, NULL, true, NODA);
    make_file(b, "stored.pem", SRK, NULL, true, NODA);
    return 0;
}

static int open_token(void **state)
{
    struct bench *b = *state;

    if (b->tpm.pid)
        bench_open(b);
    return 0;
}

static int close_token(void **state)
{
    struct bench *b = *state;

    if (!b->tpm.pid)
        return 0;
    bench_close(b);
    tpm_fixture_flush(&b->tpm);
    return 0;
}

static void a_persistent_key_costs_one_command_a_signature(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, P256);
    long before, signs;

    assert_int_equal(tpm_fixture_commands(&b->tpm, 0), 3); /* is it there, and its public part twice */
    sign_and_verify(&key);
    assert_int_equal(tpm_fixture_commands(&b->tpm, 0), 4);
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

static void key_files_are_listed_without_a_command(void **state)
{
    struct bench *b = bench_of(state);
    const struct hx_object want = { .kind = HX_PRIVATE_KEY, .label = "owned" };
    long before = tpm_fixture_commands(&b->tpm, 0);
    const struct hx_object *found;
    struct plugin_objects list;

    tpm_fixture_run(&b->tpm, "echo text >keys/README && printf -- '-----BEGIN TSS2 PRIVATE KEY-----\\nMAA=\\n"
                             "-----END TSS2 PRIVATE KEY-----\\n' >keys/broken.tss");
    plugin_objects_init(&list, NULL);
    must(b, b->plugin->list(b->token, &list.list));
    found = plugin_objects_find(&list, HX_PRIVATE_KEY, "owned");
    assert_non_null(found);
    assert_non_null(plugin_objects_find(&list, HX_PRIVATE_KEY, "stored"));
    assert_null(plugin_objects_find(&list, 0, "README"));
    assert_null(plugin_objects_find(&list, 0, "broken"));
    assert_true(plugin_host_logged(&b->host, "broken.tss"));
    assert_false(plugin_host_logged(&b->host, "README"));
    assert_int_equal(found->type, HX_P256);
    assert_int_equal(found->usage, HX_SIGN_DIGEST);
    assert_int_equal(found->id.len, 20);
    assert_int_equal(found->ref.len, strlen("k:owned.tss"));
    assert_memory_equal(found->ref.data, "k:owned.tss", found->ref.len);
    plugin_objects_free(&list);
    before = tpm_fixture_commands(&b->tpm, 0);
    plugin_objects_init(&list, &want);
    must(b, b->plugin->list(b->token, &list.list));
    assert_non_null(plugin_objects_find(&list, HX_PRIVATE_KEY, "owned"));
    assert_int_equal(tpm_fixture_commands(&b->tpm, 0) - before, 1); /* which handles there are */
    plugin_objects_free(&list);
}

static void check_file(struct bench *b, const char *ref)
{
    struct key key = load_ref(b, HX_PRIVATE_KEY, ref);
    long before;

    sign_and_verify(&key);
    before = tpm_fixture_commands(&b->tpm, 0);
    for (int i = 0; i < 1000; i++)
        sign_and_verify(&key);
    assert_int_equal(tpm_fixture_commands(&b->tpm, 0) - before, 3000); /* ContextLoad, Sign, FlushContext */
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
    unload(&key);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
}

static void a_key_file_holds_no_slot_between_signatures(void **state)
{
    struct bench *b = bench_of(state);

    check_file(b, "k:owned.tss");
    check_file(b, "k:stored.pem");
}

static void more_key_files_than_slots_take_turns(void **state)
{
    struct bench *b = bench_of(state);
    struct key key[8];

    for (int i = 0; i < 8; i++)
        key[i] = load_ref(b, HX_PRIVATE_KEY, i % 2 ? "k:owned.tss" : "k:stored.pem");
    for (int i = 0; i < 64; i++)
        sign_and_verify(&key[i % 8]);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
    for (int i = 0; i < 8; i++)
        unload(&key[i]);
}

static void a_key_file_of_another_tpm_says_so(void **state)
{
    struct bench *b = bench_of(state);
    const struct hx_alg alg = { .scheme = HX_ECDSA };
    unsigned char digest[32] = { 0 };
    struct plugin_bytes sig;
    struct key key;

    make_file(b, "moved.tss", SRK, NULL, true, NODA);
    tpm_fixture_run(&b->tpm, "tpm2_evictcontrol -Q -c 0x81000001 && tpm2_createprimary -Q -C n -G ecc -c n.ctx && "
                             "tpm2_flushcontext -Q -t && tpm2_createprimary -Q -C o -G rsa -c o.ctx && "
                             "tpm2_evictcontrol -Q -c o.ctx 0x81000001 && tpm2_flushcontext -Q -t");
    key = load_ref(b, HX_PRIVATE_KEY, "k:moved.tss");
    assert_int_equal(operate(&key, b->plugin->sign, &alg, digest, sizeof digest, &sig), HX_E_CONFIG);
    assert_true(plugin_host_said(&b->host, "made by another TPM"));
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
    unload(&key);
    tpm_fixture_make(&b->tpm, &keys[3], 1);
}

static void a_key_file_is_removed(void **state)
{
    struct bench *b = bench_of(state);
    struct plugin_objects info;
    void *object;

    make_file(b, "gone.tss", SRK, NULL, true, NODA);
    assert_int_equal(b->plugin->remove(b->token, HX_SECRET_KEY, "k:gone.tss", 10), HX_E_NOT_FOUND);
    must(b, b->plugin->remove(b->token, HX_PRIVATE_KEY, "k:gone.tss", 10));
    assert_int_equal(b->plugin->remove(b->token, HX_PRIVATE_KEY, "k:gone.tss", 10), HX_E_NOT_FOUND);
    assert_int_equal(b->plugin->remove(b->token, HX_PRIVATE_KEY, "k:../log", 8), HX_E_NOT_FOUND);
    plugin_objects_init(&info, NULL);
    assert_int_equal(b->plugin->load(b->token, HX_PRIVATE_KEY, "k:gone.tss", 10, &info.list, &object), HX_E_NOT_FOUND);
    plugin_objects_free(&info);
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

/* Its saved context is void then; what is in the file is not. */
static void a_reset_tpm_gets_the_key_from_its_file_again(void **state)
{
    struct bench *b = bench_of(state);
    struct key file = load_ref(b, HX_PRIVATE_KEY, "k:owned.tss"), persistent = load_key(b, HX_PRIVATE_KEY, P256);

    for (int i = 0; i < 3; i++) {
        sign_and_verify(&file);
        sign_and_verify(&persistent);
        tpm_fixture_restart(&b->tpm, true);
    }
    sign_and_verify(&persistent);
    sign_and_verify(&file);
    assert_int_equal(plugin_host_said(&b->host, "lost"), false);
    unload(&file);
    unload(&persistent);
}

static void a_parent_with_an_auth_value_is_tried_once(void **state)
{
    struct bench *b = bench_of(state);
    static const struct tpm_fixture_key locked = {
        SRK, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPMA_OBJECT_RESTRICTED | DECRYPT, 0, "secret"
    };
    struct key key = load_ref(b, HX_PRIVATE_KEY, "k:stored.pem");
    const struct hx_alg alg = { .scheme = HX_ECDSA };
    unsigned char digest[32] = { 1 };
    struct plugin_bytes sig;

    tpm_fixture_make(&b->tpm, &locked, 1);
    tpm_fixture_run(&b->tpm, "tpm2_dictionarylockout -c");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(operate(&key, b->plugin->sign, &alg, digest, sizeof digest, &sig), HX_E_CONFIG);
        assert_true(plugin_host_said(&b->host, "wants an auth value"));
        plugin_bytes_free(&sig);
    }
    assert_int_equal(tpm_fixture_property(&b->tpm, TPM2_PT_LOCKOUT_COUNTER), 1);
    unload(&key);
    tpm_fixture_run(&b->tpm, "tpm2_dictionarylockout -c");
    tpm_fixture_make(&b->tpm, &keys[3], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_persistent_key_costs_one_command_a_signature, open_token, close_token),
        cmocka_unit_test_setup_teardown(key_files_are_listed_without_a_command, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_key_file_holds_no_slot_between_signatures, open_token, close_token),
        cmocka_unit_test_setup_teardown(more_key_files_than_slots_take_turns, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_key_file_of_another_tpm_says_so, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_key_file_is_removed, open_token, close_token),
        cmocka_unit_test_setup_teardown(full_slots_hinder_nobody, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_slot_that_is_free_again_is_noticed, open_token, close_token),
        cmocka_unit_test_setup_teardown(where_no_room_can_be_made_it_is_busy, open_token, close_token),
        cmocka_unit_test_setup_teardown(behind_a_resource_manager_two_keys_stay_loaded, open_managed, close_managed),
        cmocka_unit_test_setup_teardown(a_loaded_key_that_somebody_flushed_is_loaded_anew, open_managed, close_managed),
        cmocka_unit_test_setup_teardown(a_reset_tpm_gets_the_key_from_its_file_again, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_parent_with_an_auth_value_is_tried_once, open_token, close_token),
    };

    return cmocka_run_group_tests(tests, start, bench_stop);
}
