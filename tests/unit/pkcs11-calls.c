/* SPDX-License-Identifier: Apache-2.0 */
/* What the pkcs11 plugin costs in calls, and how it lives with threads, lost sessions, a full token and fork(). */
#include "pkcs11-fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 32
#define SIGNATURES 50
#define CHILDREN 4
#define ROUNDS 10

static int make_tokens(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return fixture_stop();
}

/* All that a program does up to its first signature, as the core does it. */
static void use_key(const struct hx_object *want)
{
    void *token = open_token("edge"), *key;
    struct plugin_tokens state;
    struct plugin_objects objects;
    struct plugin_bytes out;
    uint32_t scheme;

    plugin_tokens_init(&state);
    assert_int_equal(plugin->describe(token, &state.tokens), 0);
    plugin_tokens_free(&state);
    assert_int_equal(login(token, TEST_PIN), 0);
    plugin_objects_init(&objects, want);
    assert_int_equal(plugin->list(token, &objects.list), 0);
    assert_int_equal(objects.count, 1);
    scheme = objects.object[0].type == HX_RSA ? HX_RSA_PKCS1 : HX_ECDSA;
    key = load(token, &objects.object[0]);
    plugin_bytes_init(&out);
    assert_int_equal(plugin->read(key, HX_PUBLIC, &out.out), 0);
    plugin_bytes_free(&out);
    assert_int_equal(sign(key, scheme, HX_SHA256, 0, &out), 0);
    plugin_bytes_free(&out);
    print_message("calls from open to the first signature: %u\n", calls(NULL));
    assert_true(calls(NULL) <= 20);
    for (int i = 0; i < 10; i++) {
        forget_calls();
        assert_int_equal(plugin->read(key, HX_PUBLIC, &out.out), 0);
        plugin_bytes_free(&out);
        assert_int_equal(sign(key, scheme, HX_SHA256, 0, &out), 0);
        plugin_bytes_free(&out);
        assert_int_equal(calls(NULL), 2);
    }
    plugin->unload(key);
    plugin->close(token);
    plugin_objects_free(&objects);
}

static void by_label(void **state)
{
    struct hx_object want = { .kind = HX_PRIVATE_KEY, .label = "p256" };

    (void)state;
    forget_calls();
    use_key(&want);
}

static void by_id(void **state)
{
    struct hx_object want = { .kind = HX_PRIVATE_KEY, .id = { "p256", 4 } };

    (void)state;
    forget_calls();
    use_key(&want);
}

static void fill(void **state)
{
    void *token = open_and_login("edge");
    char label[16];

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(label, sizeof label, "filler%u", i);
        assert_int_equal(generate(token, HX_P256, 0, label, label, 0), 0);
    }
    plugin->close(token);
}

int pkcs11_call_main(int argc, char **argv)
{
    const struct CMUnitTest label[] = { cmocka_unit_test(by_label) }, id[] = { cmocka_unit_test(by_id) },
                            filling[] = { cmocka_unit_test(fill) };

    if (argc != 3 || fixture_start(argv[1]))
        return 2;
    if (!strcmp(argv[2], "label"))
        return cmocka_run_group_tests(label, NULL, NULL);
    if (!strcmp(argv[2], "id"))
        return cmocka_run_group_tests(id, NULL, NULL);
    if (!strcmp(argv[2], "fill"))
        return cmocka_run_group_tests(filling, NULL, NULL);
    return pkcs11_recovery_main(argv[2]);
}

static void a_first_signature_costs_at_most_20_calls_however_many_keys(void **state)
{
    void *token = open_and_login("edge");
    struct plugin_objects all;

    (void)state;
    assert_int_equal(generate(token, HX_P256, 0, "p256", "p256", 0), 0);
    assert_int_equal(generate(token, HX_RSA, 2048, "rsa", "rsa", 0), 0);
    assert_int_equal(generate(token, HX_P384, 0, "p384", "p384", 0), 0);
    run_self("label");
    run_self("id");
    run_self("fill");
    run_self("label");
    run_self("id");
    all = list(token, HX_PRIVATE_KEY, NULL);
    assert_int_equal(all.count, 203);
    plugin_objects_free(&all);
    plugin->close(token);
}

static void a_failing_call_is_named_with_its_token_and_result(void **state)
{
    void *token = open_and_login("edge"), *key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    struct plugin_bytes out;

    (void)state;
    setenv("P11_COUNTER_FAIL", "C_Sign:1:0x54,C_SignInit:2:0x70,C_SignInit:3:0x101,C_Sign:2:0x80000123", 1);
    assert_refused(sign(key, HX_ECDSA, HX_SHA256, 0, &out), HX_E_UNSUPPORTED,
                   "C_Sign on 'edge': CKR_FUNCTION_NOT_SUPPORTED");
    assert_refused(sign(key, HX_ECDSA, HX_SHA256, 0, &out), HX_E_UNSUPPORTED,
                   "C_SignInit on 'edge': CKR_MECHANISM_INVALID");
    unsetenv("P11_COUNTER_FAIL");
    plugin->unload(key);
    plugin->close(token);
    token = open_and_login("edge");
    key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    setenv("P11_COUNTER_FAIL", "C_SignInit:1:0x101,C_SignInit:2:0x80000123", 1);
    assert_refused(sign(key, HX_ECDSA, HX_SHA256, 0, &out), HX_E_LOGIN, "CKR_USER_NOT_LOGGED_IN");
    assert_refused(sign(key, HX_ECDSA, HX_SHA256, 0, &out), HX_E_DEVICE, "0x80000123 (the vendor's own)");
    unsetenv("P11_COUNTER_FAIL");
    plugin->unload(key);
    plugin->close(token);
}

static void *shared_key;
static atomic_uint failures, started, done;

static int put_nowhere(struct hx_out *out, const void *data, size_t len)
{
    (void)out;
    (void)data;
    return len == 64 ? 0 : HX_E_DEVICE;
}

/* Allocates nothing: a child may be forked meanwhile, and AddressSanitizer's allocator would stay locked in it. */
static void *sign_many(void *arg)
{
    struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    struct hx_out out = { .put = put_nowhere };
    unsigned char digest[32] = { 1 };

    for (int i = 0; i < SIGNATURES; i++)
        failures += plugin->sign(shared_key, &alg, digest, sizeof digest, &out) != 0;
    return arg;
}

static void sign_in_threads(unsigned count)
{
    pthread_t threads[THREADS];

    failures = 0;
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, NULL), 0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
}

static void thirty_two_threads_share_a_key(void **state)
{
    void *token = open_and_login("edge");

    (void)state;
    shared_key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    forget_calls();
    setenv("P11_COUNTER_DELAY_MS", "1", 1);
    sign_in_threads(THREADS);
    unsetenv("P11_COUNTER_DELAY_MS");
    assert_int_equal(calls("C_Sign"), THREADS * SIGNATURES);
    assert_true(calls("C_OpenSession") > 0 && calls("C_OpenSession") < THREADS);
    plugin->unload(shared_key);
    plugin->close(token);
    assert_int_equal(calls("C_CloseSession"), calls("C_OpenSession") + 1);
    assert_int_equal(calls("C_CloseAllSessions") + calls("C_Logout") + calls("C_Finalize"), 0);
}

static void a_token_without_more_sessions_is_waited_for(void **state)
{
    void *token = open_and_login("edge");

    (void)state;
    shared_key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    setenv("P11_COUNTER_DELAY_MS", "1", 1);
    setenv("P11_COUNTER_FAIL", "C_OpenSession:0:0xb1", 1);
    sign_in_threads(THREADS);
    unsetenv("P11_COUNTER_FAIL");
    unsetenv("P11_COUNTER_DELAY_MS");
    plugin->unload(shared_key);
    plugin->close(token);
}

static void a_token_that_gives_no_session_at_all_is_busy(void **state)
{
    void *token = NULL;

    (void)state;
    setenv("P11_COUNTER_FAIL", "C_OpenSession:0:0xb1", 1);
    plugin_host_set(&host, "token", "edge");
    assert_refused(plugin->open(&host.host, NULL, &token), HX_E_BUSY, "C_OpenSession on 'edge': CKR_SESSION_COUNT");
    unsetenv("P11_COUNTER_FAIL");
    assert_null(token);
}

static void idle_sessions_make_room_for_a_change(void **state)
{
    void *token = open_and_login("edge");

    (void)state;
    shared_key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    setenv("P11_COUNTER_DELAY_MS", "5", 1);
    sign_in_threads(THREADS);
    unsetenv("P11_COUNTER_DELAY_MS");
    plugin->unload(shared_key);
    forget_calls();
    setenv("P11_COUNTER_FAIL", "C_OpenSession:1:0xb1", 1);
    assert_int_equal(generate(token, HX_P256, 256, "roomy", NULL, 0), 0);
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(calls("C_CloseSession"), 2); /* the idle one's and the one that made the key */
    sign_and_verify(token, "roomy", HX_ECDSA, HX_SHA256, 0);
    plugin->close(token);
}

/* The core's part is played by hand: close, open, login, find by ref. */
static void lose_and_reopen(void (*lose)(void))
{
    void *token = open_and_login("edge"), *key;
    struct plugin_objects keys = list(token, HX_PRIVATE_KEY, "p256");
    struct plugin_bytes out;

    key = load(token, &keys.object[0]);
    lose();
    assert_int_equal(sign(key, HX_ECDSA, HX_SHA256, 0, &out), HX_E_LOST);
    plugin->unload(key);
    plugin->close(token);
    token = open_and_login("edge");
    key = load(token, &keys.object[0]);
    assert_int_equal(sign(key, HX_ECDSA, HX_SHA256, 0, &out), 0);
    plugin_bytes_free(&out);
    plugin->unload(key);
    plugin->close(token);
    plugin_objects_free(&keys);
}

static void lost_sessions_are_told_and_a_reopened_token_works(void **state)
{
    (void)state;
    lose_and_reopen(close_all_sessions);
    lose_and_reopen(restart_module);
}

static void sessions_that_are_gone_are_never_closed(void **state)
{
    void *token = open_and_login("edge"), *key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    struct plugin_bytes out;

    (void)state;
    close_all_sessions();
    forget_calls();
    assert_refused(sign(key, HX_ECDSA, HX_SHA256, 0, &out), HX_E_LOST, "CKR_SESSION_HANDLE_INVALID");
    plugin->unload(key);
    plugin->close(token);
    assert_int_equal(calls("C_CloseSession"), 0);
}

/* In the child: what the core does after fork(). */
static int child(const struct hx_object *wanted)
{
    struct plugin_objects info;
    struct plugin_bytes out;
    void *token = NULL, *key = NULL;
    int r;

    alarm(30);
    plugin->forked();
    r = plugin->open(&host.host, NULL, &token);
    if (!r)
        r = login(token, TEST_PIN);
    plugin_objects_init(&info, NULL);
    if (!r)
        r = plugin->load(token, wanted->kind, wanted->ref.data, wanted->ref.len, &info.list, &key);
    for (int i = 0; !r && i < 20; i++) {
        r = sign(key, HX_ECDSA, HX_SHA256, 0, &out);
        plugin_bytes_free(&out);
    }
    if (!r && getenv("P11_COUNTER_FORKLESS") && !plugin_host_logged(&host, "this child loads a copy"))
        r = -1;
    if (r)
        fprintf(stderr, "child: %d: %s\n", r, host.reason);
    return r ? 1 : 0;
}

static void *keep_busy(void *arg)
{
    for (; !done; started = true)
        sign_many(NULL);
    return arg;
}

static void fork_while_a_thread_signs(unsigned rounds)
{
    void *token = open_and_login("edge");
    struct plugin_objects keys = list(token, HX_PRIVATE_KEY, "p256");
    pid_t pids[CHILDREN];
    pthread_t busy;
    int status, bad = 0;

    shared_key = load(token, &keys.object[0]);
    started = done = failures = 0;
    pthread_create(&busy, NULL, keep_busy, NULL);
    while (!started)
        usleep(1000);
    for (unsigned round = 0; round < rounds; round++) {
        for (int i = 0; i < CHILDREN; i++)
            if ((pids[i] = fork()) == 0)
                _exit(child(&keys.object[0]));
        for (int i = 0; i < CHILDREN; i++)
            bad += waitpid(pids[i], &status, 0) != pids[i] || status != 0;
    }
    done = true;
    pthread_join(busy, NULL);
    assert_int_equal(bad + (int)failures, 0);
    plugin->unload(shared_key);
    plugin->close(token);
    plugin_objects_free(&keys);
}

/* Then with a module that would go on with the parent's. */
static void four_children_at_once_open_anew_while_a_thread_signs(void **state)
{
    (void)state;
    fork_while_a_thread_signs(ROUNDS);
    setenv("P11_COUNTER_FORKLESS", "1", 1);
    fork_while_a_thread_signs(2);
    unsetenv("P11_COUNTER_FORKLESS");
}

int pkcs11_call_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_signature_costs_at_most_20_calls_however_many_keys),
        cmocka_unit_test(a_failing_call_is_named_with_its_token_and_result),
        cmocka_unit_test(thirty_two_threads_share_a_key),
        cmocka_unit_test(a_token_without_more_sessions_is_waited_for),
        cmocka_unit_test(a_token_that_gives_no_session_at_all_is_busy),
        cmocka_unit_test(idle_sessions_make_room_for_a_change),
        cmocka_unit_test(lost_sessions_are_told_and_a_reopened_token_works),
        cmocka_unit_test(sessions_that_are_gone_are_never_closed),
        cmocka_unit_test(four_children_at_once_open_anew_while_a_thread_signs),
    };

    return cmocka_run_group_tests_name("calls", tests, make_tokens, stop);
}
