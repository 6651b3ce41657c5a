/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that fork with keys open: children go on with what they inherited, leave alone what is their parent's, and
 * never hang, whatever the parent's other threads were doing.  The fake plugins note each breach of the contract. */
#include "twins.h"

#include <signal.h>
#include <sys/wait.h>

/* The address sanitizer's allocator does not expect a fork while another thread is in it: the child waits for ever. */
#ifdef __SANITIZE_ADDRESS__
#define THREADS_MAY_FORK false
#define RUNS 5
#else
#define THREADS_MAY_FORK true
#define RUNS 25
#endif

static atomic_bool stop;

/* Fails the child, and through its status the test. */
static void must(int result, const char *what)
{
    if (!result)
        return;
    print_error("child %d: %s: %d, %s\n", (int)getpid(), what, result, hx_last_error());
    _exit(1);
}

static int sign_once(struct hx_key *key)
{
    const struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    struct hx_bytes sig = { 0 };
    unsigned char digest[32] = "whatever";
    int result = hx_sign(key, &alg, digest, sizeof digest, &sig);

    hx_bytes_free(&sig);
    return result;
}

/* A child that does this and must come to its end. */
static pid_t start(void (*body)(struct hx_key *), struct hx_key *key)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid)
        return pid;
    alarm(20);
    body(key);
    _exit(0);
}

static void wait_for(pid_t pid)
{
    int status = -1;

    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status)
        fail_msg("child %d ended with %s %d", (int)pid, WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void run_child(void (*body)(struct hx_key *), struct hx_key *key)
{
    wait_for(start(body, key));
}

static void *keep_busy(void *arg)
{
    int result = HX_OK;

    while (!stop && !result)
        result = sign_once(arg);
    return result ? arg : NULL;
}

static void sign_twenty(struct hx_key *key)
{
    must(sign_with(key, NULL), "sign and verify");
    for (int i = 1; i < 20; i++)
        must(sign_once(key), "sign");
}

static void crowd(struct fake_control *control, const char *token, unsigned children, unsigned runs)
{
    AUTO_BYTES struct hx_bytes der = { 0 };
    struct hx_key *key, *lazy;
    pthread_t thread;
    pid_t pid[8];
    void *bad = NULL;
    char address[64];

    add_key(control, "device", HX_P256, 1);
    configure(EDGE SWIFT);
    snprintf(address, sizeof address, "hsm:%s/key/device", token);
    reference_of(address, &der);
    key = open_key(address);
    lazy = from_reference(&der);
    forget_calls(control);
    slow_down(control, FAKE_SIGN, 1);
    stop = false;
    if (THREADS_MAY_FORK)
        assert_int_equal(pthread_create(&thread, NULL, keep_busy, key), 0);
    for (unsigned run = 0; run < runs; run++) {
        for (unsigned i = 0; i < children; i++)
            pid[i] = start(sign_twenty, run % 2 ? key : lazy);
        for (unsigned i = 0; i < children; i++)
            wait_for(pid[i]);
    }
    stop = true;
    if (THREADS_MAY_FORK)
        pthread_join(thread, &bad);
    assert_null(bad);
    assert_int_equal(control->calls[FAKE_FORKED], children * runs);
    assert_int_equal(control->calls[FAKE_OPEN], children * runs);
    control->open_handles -= (int)(children * runs); /* the children left without closing anything */
    control->loaded_objects -= (int)(children * runs);
    hx_key_close(key);
    hx_key_close(lazy);
}

static void four_children_sign_while_a_token_is_busy(void **state)
{
    (void)state;
    crowd(fake, "edge", 4, RUNS);
}

static void eight_children_sign_while_a_token_is_busy(void **state)
{
    (void)state;
    crowd(fake, "edge", 8, RUNS);
}

static void four_children_sign_with_a_thread_safe_plugin(void **state)
{
    (void)state;
    crowd(swift, "swift", 4, RUNS);
}

static void eight_children_sign_with_a_thread_safe_plugin(void **state)
{
    (void)state;
    crowd(swift, "swift", 8, RUNS);
}

static void free_all(struct hx_key *key)
{
    hx_key_close(key);
    hx_free(ctx);
}

static void children_leave_alone_what_they_inherit(void **state)
{
    struct hx_key *key;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    run_child(free_all, key);
    run_child(free_all, key);
    assert_int_equal(fake->calls[FAKE_UNLOAD], 0);
    assert_int_equal(fake->calls[FAKE_CLOSE], 0);
    expect_result(sign_with(key, NULL), HX_OK);
    assert_int_equal(fake->calls[FAKE_OPEN], 1);
    hx_key_close(key);
}

static void sign_and_free_all(struct hx_key *key)
{
    must(sign_with(key, NULL), "sign");
    if (fake->open_handles != 2)
        must(HX_E_DEVICE, "its own opening of the token");
    free_all(key);
}

static void a_child_closes_what_it_opened(void **state)
{
    struct hx_key *key;

    (void)state;
    fake->inside = hx_inside; /* forked() too may want random numbers, which are not to come from here */
    put_key(0, "device", 1);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    run_child(sign_and_free_all, key);
    assert_int_equal(hx_inside(), 0);
    assert_int_equal(fake->calls[FAKE_OPEN], 2);
    assert_int_equal(fake->calls[FAKE_UNLOAD], 1);
    assert_int_equal(fake->calls[FAKE_CLOSE], 1);
    assert_int_equal(fake->calls[FAKE_FORKED], 1);
    assert_int_equal(fake->open_handles, 1);
    assert_int_equal(fake->loaded_objects, 1);
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
}

static void grandchild(struct hx_key *key)
{
    must(sign_with(key, NULL), "sign");
    free_all(key);
}

static void child_with_a_child(struct hx_key *key)
{
    int status = -1;
    pid_t pid;

    must(sign_with(key, NULL), "sign");
    pid = start(grandchild, key);
    must(waitpid(pid, &status, 0) == pid ? status : -1, "its own child");
    must(sign_with(key, NULL), "sign again");
    free_all(key);
}

static void idle_child_with_a_child(struct hx_key *key)
{
    int status = -1;
    pid_t pid = start(grandchild, key);

    must(waitpid(pid, &status, 0) == pid ? status : -1, "its own child");
    free_all(key);
}

static void a_child_may_have_children(void **state)
{
    struct hx_key *key;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    run_child(child_with_a_child, key);
    assert_int_equal(fake->calls[FAKE_CLOSE], 2);
    run_child(idle_child_with_a_child, key);
    assert_int_equal(fake->calls[FAKE_CLOSE], 3);
    assert_int_equal(fake->open_handles, 1);
    expect_result(sign_with(key, NULL), HX_OK);
    assert_int_equal(fake->calls[FAKE_OPEN], 4);
    hx_key_close(key);
}

/* Opens a token and loads an object, slowly and again and again. */
static void *open_and_close(void *arg)
{
    struct hx_key *key = NULL;
    struct hx *mine = NULL;
    int result = HX_OK;

    (void)arg;
    while (!stop && !result) {
        key = NULL;
        mine = NULL;
        if (!(result = hx_new(conf_path, &mine)) && !(result = hx_key_open(mine, "hsm:edge/key/device", &key)))
            result = sign_once(key);
        hx_key_close(key);
        hx_free(mine);
    }
    return result ? conf_path : NULL;
}

static void open_anew(struct hx_key *key)
{
    struct hx *mine = NULL;
    struct hx_key *own = NULL;

    must(sign_with(key, NULL), "sign with another token");
    must(hx_new(conf_path, &mine), "hx_new");
    must(hx_key_open(mine, "hsm:edge/key/device", &own), "hx_key_open");
    must(sign_with(own, NULL), "sign");
    hx_key_close(own);
    hx_free(mine);
    free_all(key);
}

static void *fork_in_thread(void *key)
{
    int status;

    for (int i = 0; i < 15; i++) {
        pid_t pid = start(open_anew, key);

        if (waitpid(pid, &status, 0) != pid || status)
            return key;
    }
    return NULL;
}

/* Two threads fork at once while a third opens, loads and closes. */
static void fork_while_another_works(void)
{
    pthread_t worker, forker[2];
    struct hx_key *key;
    void *bad;

    if (!THREADS_MAY_FORK)
        skip();
    add_key(swift, "device", HX_P256, 2);
    configure(EDGE SWIFT);
    key = open_key("hsm:swift/key/device");
    stop = false;
    assert_int_equal(pthread_create(&worker, NULL, open_and_close, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&forker[i], NULL, fork_in_thread, key), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(forker[i], &bad);
        assert_null(bad);
    }
    stop = true;
    pthread_join(worker, &bad);
    assert_null(bad);
    hx_key_close(key);
    hx_free(ctx);
    ctx = NULL;
    assert_int_equal(fake->loaded_objects, 0);
    /* A context that a thread of the parent had in hand is nobody's in the child, and keeps the tokens open. */
    fake->open_handles = swift->open_handles = 0;
}

static void threads_fork_while_another_opens_and_loads(void **state)
{
    (void)state;
    put_key(0, "device", 1);
    slow_down(fake, FAKE_OPEN, 5);
    slow_down(fake, FAKE_LOAD, 5);
    slow_down(fake, FAKE_UNLOAD, 5);
    slow_down(fake, FAKE_CLOSE, 5);
    fork_while_another_works();
}

static void threads_fork_while_another_makes_contexts(void **state)
{
    (void)state;
    put_key(0, "device", 1);
    fork_while_another_works();
}

/* No fork waits for ever; the child of one that did not wait to the end works too. */
static void a_call_that_does_not_end_holds_up_no_fork(void **state)
{
    struct hx_key *key;
    pthread_t thread;
    int64_t before;
    pid_t pid;
    void *bad;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    slow_down(fake, FAKE_SIGN, 2500);
    stop = false;
    assert_int_equal(pthread_create(&thread, NULL, keep_busy, key), 0);
    while (!fake->calls[FAKE_SIGN])
        nap_ms(1);
    nap_ms(20);
    slow_down(fake, FAKE_SIGN, 0);
    stop = true;
    before = now_ms();
    pid = start(sign_twenty, key);
    assert_in_range(now_ms() - before, 400, 1500);
    wait_for(pid);
    assert_in_range(now_ms() - before, 400, 2200);
    pthread_join(thread, &bad);
    assert_null(bad);
    expect_result(sign_with(key, NULL), HX_OK);
    fake->open_handles--;
    fake->loaded_objects--;
    hx_key_close(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWINS_TEST(four_children_sign_while_a_token_is_busy),
        TWINS_TEST(eight_children_sign_while_a_token_is_busy),
        TWINS_TEST(four_children_sign_with_a_thread_safe_plugin),
        TWINS_TEST(eight_children_sign_with_a_thread_safe_plugin),
        TWINS_TEST(children_leave_alone_what_they_inherit),
        TWINS_TEST(a_child_closes_what_it_opened),
        TWINS_TEST(a_child_may_have_children),
        TWINS_TEST(threads_fork_while_another_opens_and_loads),
        TWINS_TEST(threads_fork_while_another_makes_contexts),
        TWINS_TEST(a_call_that_does_not_end_holds_up_no_fork),
    };

    alarm(120);
    return cmocka_run_group_tests(tests, twins_build, scene_strike);
}
