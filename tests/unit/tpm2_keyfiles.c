/* SPDX-License-Identifier: Apache-2.0 */
/* Key files at work: listed, loaded and removed; they come and go in the few slots of a TPM without a resource manager,
 * outlast a reset, and say what is wrong with them. */
#include "tpm2-slots.h"

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
    tpm_fixture_make(&b->tpm, &bench_keys[3], 1);
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

/* Its saved context is void then; what is in the file is not. */
static void a_reset_tpm_gets_the_key_from_its_file_again(void **state)
{
    struct bench *b = bench_of(state);
    struct key file = load_ref(b, HX_PRIVATE_KEY, "k:owned.tss"), persistent = load_key(b, HX_PRIVATE_KEY, P256);
    long before;

    for (int i = 0; i < 3; i++) {
        sign_and_verify(&file);
        sign_and_verify(&persistent);
        tpm_fixture_restart(&b->tpm, true);
    }
    sign_and_verify(&persistent);
    sign_and_verify(&file);
    before = tpm_fixture_commands(&b->tpm, 0);
    sign_and_verify(&file);
    assert_int_equal(tpm_fixture_commands(&b->tpm, 0) - before, 3); /* from its new context, as before the reset */
    assert_int_equal(plugin_host_said(&b->host, "lost"), false);
    unload(&file);
    unload(&persistent);
}

/* A TPM that goes between a signature and the command that gives its slot back. */
static struct bench *going;

TSS2_RC __real_Esys_FlushContext(ESYS_CONTEXT *, ESYS_TR);
TSS2_RC __wrap_Esys_FlushContext(ESYS_CONTEXT *, ESYS_TR);

TSS2_RC __wrap_Esys_FlushContext(ESYS_CONTEXT *esys, ESYS_TR object)
{
    if (going)
        tpm_fixture_kill(&going->tpm);
    going = NULL;
    return __real_Esys_FlushContext(esys, object);
}

/* The connection takes no command any more: so it has to be opened anew. */
static void a_connection_that_broke_unnoticed_counts_as_lost(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_ref(b, HX_PRIVATE_KEY, "k:owned.tss");
    const struct hx_alg alg = { .scheme = HX_ECDSA };
    unsigned char digest[32] = { 1 };
    struct plugin_bytes sig;

    sign_and_verify(&key);
    going = b;
    sign_and_verify(&key);
    assert_null(going);
    tpm_fixture_restart(&b->tpm, true);
    assert_int_equal(operate(&key, b->plugin->sign, &alg, digest, sizeof digest, &sig), HX_E_LOST);
    plugin_bytes_free(&sig);
    unload(&key);
    bench_close(b);
    bench_open(b);
    key = load_ref(b, HX_PRIVATE_KEY, "k:owned.tss");
    sign_and_verify(&key);
    unload(&key);
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
    tpm_fixture_make(&b->tpm, &bench_keys[3], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(key_files_are_listed_without_a_command, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_key_file_holds_no_slot_between_signatures, open_token, close_token),
        cmocka_unit_test_setup_teardown(more_key_files_than_slots_take_turns, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_key_file_of_another_tpm_says_so, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_key_file_is_removed, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_reset_tpm_gets_the_key_from_its_file_again, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_connection_that_broke_unnoticed_counts_as_lost, open_token, close_token),
        cmocka_unit_test_setup_teardown(a_parent_with_an_auth_value_is_tried_once, open_token, close_token),
    };

    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, start, bench_stop) : 77;
}
