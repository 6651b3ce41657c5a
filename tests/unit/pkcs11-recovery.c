/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that fail for a moment, go away and come back, or hang: what heals by itself, in what time, and what is never
 * done for it. */
#include "pkcs11-core.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

/* It fails within two seconds and says so in one line, or succeeds. */
static int try_to_sign(struct hx_key *key)
{
    int64_t start = now_ms();
    int r = sign_with(key);

    if (now_ms() - start >= 2000)
        fail_msg("%d ms: %s", (int)(now_ms() - start), hx_last_error());
    if (r)
        assert_null(strchr(hx_last_error(), '\n'));
    return r;
}

static void sessions_closed_by_others_are_opened_again(void **state)
{
    struct hx_key *key = open_key("hsm:edge/key/p256");

    (void)state;
    must(sign_with(key));
    close_all_sessions();
    must(sign_with(key));
    restart_module();
    must(sign_with(key));
    hx_key_close(key);
}

static const char *const transients[] = { "C_OpenSession", "C_SignInit",        "C_Sign",        "C_FindObjects",
                                          "C_Login",       "C_FindObjectsInit", "C_GetSlotList", "C_GetTokenInfo" };
static const char *const reasons[] = { "0x30", "0x32", "0xe0" }; /* DEVICE_ERROR, DEVICE_REMOVED, TOKEN_NOT_PRESENT */

/* The sessions are gone, so that all functions are called again; then the one fails. */
static void fail_once(struct hx_key *key, const char *function, const char *reason)
{
    char rule[96];

    close_all_sessions();
    snprintf(rule, sizeof rule, "%s:1:%s", function, reason);
    setenv("P11_COUNTER_FAIL", rule, 1);
    if (try_to_sign(key) && try_to_sign(key))
        fail_msg("after %s: %s", rule, hx_last_error());
    unsetenv("P11_COUNTER_FAIL");
}

static void what_fails_once_does_not_fail_the_next_time(void **state)
{
    struct hx_key *key = open_key("hsm:edge/key/p256");

    (void)state;
    must(sign_with(key));
    for (size_t i = 0; i < sizeof transients / sizeof *transients; i++)
        for (size_t j = 0; j < sizeof reasons / sizeof *reasons; j++)
            fail_once(key, transients[i], reasons[j]);
    for (size_t j = 0; j < sizeof reasons / sizeof *reasons; j++) { /* on sessions that are there */
        char rule[96];

        snprintf(rule, sizeof rule, "C_SignInit:1:%s,C_Sign:2:%s", reasons[j], reasons[j]);
        setenv("P11_COUNTER_FAIL", rule, 1);
        must(try_to_sign(key));
        unsetenv("P11_COUNTER_FAIL");
        must(try_to_sign(key));
    }
    hx_key_close(key);
}

static void what_fails_for_ever_fails_within_two_seconds_and_ends_when_it_ends(void **state)
{
    struct hx_key *key = open_key("hsm:edge/key/p256");
    char rule[96];

    (void)state;
    must(sign_with(key));
    for (size_t i = 0; i < sizeof transients / sizeof *transients; i++) {
        snprintf(rule, sizeof rule, "%s:0:%s", transients[i], reasons[i % 3]);
        close_all_sessions();
        setenv("P11_COUNTER_FAIL", rule, 1);
        for (int j = 0; j < 3; j++)
            assert_int_not_equal(try_to_sign(key), 0);
        unsetenv("P11_COUNTER_FAIL");
        if (try_to_sign(key))
            fail_msg("after %s: %s", rule, hx_last_error());
    }
    hx_key_close(key);
}

static void a_token_that_was_away_is_there_again(void **state)
{
    (void)state;
    run_self("away");
    run_self("foreign");
}

/* As long as one token of the module is open, and more often than once a second, it is not finalised. */
static void go_and_come(void **state)
{
    struct hx_key *key = open_key("hsm:edge/key/p256");
    void *other = open_token("other");
    int64_t start;

    (void)state;
    must(sign_with(key));
    for (int round = 0; round < 2; round++) {
        run("mv %s/tokens %s/away", directory, directory);
        forget_calls();
        start = now_ms();
        for (int i = 0; i < 8; i++)
            assert_int_not_equal(try_to_sign(key), 0);
        if (calls("C_Finalize") > (other ? 0 : 1 + (unsigned)(now_ms() - start) / 1000))
            fail_msg("finalised %u times, round %d", calls("C_Finalize"), round);
        if (other)
            plugin->close(other);
        other = NULL;
        run("mv %s/away %s/tokens", directory, directory);
        for (start = now_ms(); try_to_sign(key);)
            if (now_ms() - start > 3000)
                fail_msg("round %d: %s", round, hx_last_error());
        must(try_to_sign(key));
    }
    hx_key_close(key);
}

/* Who initialised the module may have sessions that we do not know. */
static void never_finalise_anothers(void **state)
{
    void *module = dlopen(host.host.option(&host.host, "module"), RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get;
    CK_FUNCTION_LIST *fn;
    struct hx_key *key;

    (void)state;
    *(void **)&get = dlsym(module, "C_GetFunctionList");
    assert_int_equal(get(&fn), CKR_OK);
    assert_int_equal(fn->C_Initialize(NULL), CKR_OK);
    key = open_key("hsm:edge/key/p256");
    must(sign_with(key));
    forget_calls();
    run("mv %s/tokens %s/away", directory, directory);
    assert_int_not_equal(try_to_sign(key), 0);
    run("mv %s/away %s/tokens", directory, directory);
    assert_int_not_equal(try_to_sign(key), 0);
    assert_int_equal(calls("C_Finalize"), 0);
    assert_int_equal(fn->C_Finalize(NULL), CKR_OK); /* its owner does it */
    must(try_to_sign(key));
    hx_key_close(key);
}

int pkcs11_recovery_main(const char *what)
{
    const struct CMUnitTest away[] = { cmocka_unit_test_setup_teardown(go_and_come, enter, leave) },
                            foreign[] = { cmocka_unit_test_setup_teardown(never_finalise_anothers, enter, leave) };

    snprintf(conf, sizeof conf, "%s/hsmux.conf", directory);
    return strcmp(what, "away") ? cmocka_run_group_tests(foreign, NULL, NULL)
                                : cmocka_run_group_tests(away, NULL, NULL);
}

static atomic_bool over;

static void *sign_in_thread(void *key)
{
    int r = sign_with(key);

    over = true;
    return r ? key : NULL;
}

/* A child, and one more context, which use the other token. */
static void use_other(struct hx_key *other)
{
    int64_t start = now_ms();
    struct hx *mine;
    int status = -1;
    pid_t pid;

    must(sign_with(other));
    assert_true(now_ms() - start < 1000);
    must(hx_new(conf, &mine));
    must(hx_key_open(mine, "hsm:other/key/p256", &other));
    must(sign_with(other));
    assert_true(now_ms() - start < 1000);
    pid = fork();
    if (pid == 0) {
        alarm(20);
        _exit(sign_with(other) != 0);
    }
    assert_true(now_ms() - start < 4000); /* half a second of the core's and two of the plugin's */
    assert_true(waitpid(pid, &status, 0) == pid);
    assert_int_equal(status, 0);
    hx_key_close(other);
    hx_free(mine);
}

static void hang_in(const char *function)
{
    struct hx_key *key = open_key("hsm:edge/key/p256"), *other = open_key("hsm:other/key/p256");
    const atomic_bool *hangs =
        dlsym(dlopen(host.host.option(&host.host, "module"), RTLD_NOW | RTLD_LOCAL), "habit_hanging");
    char how[160];
    pthread_t thread;
    void *bad;

    must(sign_with(key));
    must(sign_with(other));
    close_all_sessions();
    close(open(hanging, O_CREAT | O_WRONLY, 0600));
    snprintf(how, sizeof how, "%s:%s", function, hanging);
    setenv("P11_COUNTER_HANG", how, 1);
    over = false;
    assert_int_equal(pthread_create(&thread, NULL, sign_in_thread, key), 0);
    while (!atomic_load(hangs))
        usleep(1000);
    use_other(other);
    assert_false(over);
    unlink(hanging);
    pthread_join(thread, &bad);
    unsetenv("P11_COUNTER_HANG");
    assert_null(bad);
    hx_key_close(key);
    hx_key_close(other);
}

static void a_token_that_hangs_holds_up_only_itself(void **state)
{
    (void)state;
    hang_in("C_SignInit");
    hang_in("C_Sign");
    hang_in("C_OpenSession");
    hang_in("C_Login");
    hang_in("C_GetSlotList");
}

int pkcs11_recovery_tests(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_closed_by_others_are_opened_again),
        TEST(what_fails_once_does_not_fail_the_next_time),
        TEST(what_fails_for_ever_fails_within_two_seconds_and_ends_when_it_ends),
        TEST(a_token_that_was_away_is_there_again),
        TEST(a_token_that_hangs_holds_up_only_itself),
    };

    return cmocka_run_group_tests_name("recovery", tests, make_tokens, stop);
}
