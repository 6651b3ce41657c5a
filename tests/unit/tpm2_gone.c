/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the TPM breaks: what leads there ends, as a command or server may at any time. */
#include "tpm2-bench.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static int list_all(struct bench *b)
{
    struct plugin_objects list;
    int result;

    plugin_objects_init(&list, NULL);
    result = b->plugin->list(b->token, &list.list);
    plugin_objects_free(&list);
    return result;
}

static bool is_pending(void)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, SIGPIPE);
}

/* Whoever writes to it then gets SIGPIPE, which ends a process that thinks of no pipes. */
static void a_command_that_ended_does_not_end_us(void **state)
{
    struct bench *b = bench_of(state);
    sigset_t pipe, before, after;

    plugin_host_set(&b->host, "tcti", "cmd:true");
    bench_open(b);
    usleep(300000);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(list_all(b), HX_E_LOST);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGPIPE), sigismember(&after, SIGPIPE));
    bench_close(b);

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    bench_open(b);
    usleep(300000);
    assert_int_equal(list_all(b), HX_E_LOST);
    bench_close(b);
    assert_false(is_pending());
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* One that is the application's stays so. */
static void what_is_pending_stays_so(void **state)
{
    struct bench *b = bench_of(state);
    sigset_t pipe, before;
    int signal;

    plugin_host_set(&b->host, "tcti", b->tpm.tcti);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    pthread_kill(pthread_self(), SIGPIPE);
    bench_open(b);
    must(b, list_all(b));
    bench_close(b);
    assert_true(is_pending());
    assert_int_equal(sigwait(&pipe, &signal), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* tpm2-tss takes either for its own search, which ends at a TCP port on which anybody may listen. */
static void no_way_at_all_is_an_error(void **state)
{
    struct bench *b = bench_of(state);

    plugin_host_set(&b->host, "tcti", "");
    assert_int_equal(b->plugin->open(&b->host.host, NULL, &b->token), HX_E_CONFIG);
    plugin_host_set(&b->host, "tcti", "none");
    assert_int_equal(b->plugin->open(&b->host.host, NULL, &b->token), HX_E_CONFIG);
    assert_true(plugin_host_said(&b->host, "'none' names no TPM"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_that_ended_does_not_end_us),
        cmocka_unit_test(what_is_pending_stays_so),
        cmocka_unit_test(no_way_at_all_is_an_error),
    };

    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, bench_start, bench_stop) : 77;
}
