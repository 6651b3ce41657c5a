/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin's random bytes from SoftHSM, drawn by threads and by children that were forked meanwhile. */
#include "pkcs11-fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRAWS 8

static void *token;

static int make_tokens(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    token = open_token("edge");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    plugin->close(token);
    return fixture_stop();
}

static unsigned char draws[DRAWS][32];
static atomic_bool drawing, done;

/* For as long as the others take, so that fork() finds it at any moment of a call. */
static void *draw(void *arg)
{
    for (bool drawn = false; !drawn || !done; drawn = true) {
        if (plugin->random(token, arg, sizeof draws[0]))
            return NULL;
        drawing = true;
    }
    return arg;
}

/* In the child, what the core does after fork(). */
static void draw_in_child(int fd)
{
    unsigned char drawn[sizeof draws[0]];

    alarm(30);
    plugin->forked();
    plugin_host_set(&host, "token", "edge");
    if (plugin->open(&host.host, NULL, &token) || plugin->random(token, drawn, sizeof drawn) ||
        write(fd, drawn, sizeof drawn) != sizeof drawn)
        _exit(1);
    _exit(0);
}

static void threads_and_children_draw_different_random_bytes(void **state)
{
    pthread_t threads[DRAWS / 2];
    int fds[2], status;
    void *good;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    for (int i = 0; i < DRAWS / 2; i++) {
        drawing = false;
        assert_int_equal(pthread_create(&threads[i], NULL, draw, draws[i]), 0);
        while (!drawing)
            usleep(1000);
    }
    for (int i = DRAWS / 2; i < DRAWS; i++)
        if (fork() == 0)
            draw_in_child(fds[1]);
    for (int i = DRAWS / 2; i < DRAWS; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
        assert_int_equal(read(fds[0], draws[i], sizeof draws[i]), sizeof draws[i]);
    }
    done = true;
    for (int i = 0; i < DRAWS / 2; i++) {
        pthread_join(threads[i], &good);
        assert_ptr_equal(good, draws[i]);
    }
    close(fds[0]);
    close(fds[1]);
    for (int i = 0; i < DRAWS; i++)
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(draws[i], draws[j], sizeof draws[i]);
}

static void a_token_that_draws_nothing_says_so(void **state)
{
    unsigned char drawn[32];

    (void)state;
    forget_calls();
    assert_int_equal(plugin->random(token, NULL, 0), 0);
    assert_int_equal(calls(NULL), 0);
    setenv("P11_COUNTER_FAIL", "C_GenerateRandom:1:0x121,C_GenerateRandom:2:0xb3", 1);
    assert_refused(plugin->random(token, drawn, 32), HX_E_UNSUPPORTED, "CKR_RANDOM_NO_RNG");
    assert_refused(plugin->random(token, drawn, 32), HX_E_LOST, "CKR_SESSION_HANDLE_INVALID");
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(plugin->random(token, drawn, 32), 0);
}

int pkcs11_random_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_children_draw_different_random_bytes),
        cmocka_unit_test(a_token_that_draws_nothing_says_so),
    };

    return cmocka_run_group_tests_name("random", tests, make_tokens, stop);
}
