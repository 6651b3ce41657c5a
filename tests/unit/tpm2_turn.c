/* SPDX-License-Identifier: Apache-2.0 */
/* The turn among processes at a TPM: who may have it, and what those cost the others who never give it back. */
#include "../../plugins/tpm2/turn.h"
#include "tpm2-bench.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATH_SIZE 64

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct tpm *get(struct bench *b)
{
    struct tpm *tpm;

    must(b, tpm_get(&b->host.host, &tpm));
    return tpm;
}

static double taken_in(struct tpm *tpm)
{
    double before = seconds(), after;

    tpm_turn_take(tpm);
    after = seconds();
    tpm_turn_give(tpm);
    return after - before;
}

/* Of the lock that is held now. */
static void path_of(const struct tpm *tpm, char ret[PATH_SIZE])
{
    char link[32];
    ssize_t len;

    snprintf(link, sizeof link, "/proc/self/fd/%d", tpm->turn_fd);
    len = readlink(link, ret, PATH_SIZE - 1);
    assert_true(len > 0);
    ret[len] = 0;
}

static void a_lock_is_for_each_user_whatever_the_umask(void **state)
{
    struct tpm *tpm = get(bench_of(state));
    mode_t mask = umask(0777);
    char path[PATH_SIZE];
    struct stat st;

    tpm_turn_take(tpm);
    umask(mask);
    path_of(tpm, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    tpm_turn_give(tpm);
    tpm_release(tpm);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void who_keeps_it_for_ever_costs_the_others_some_seconds_once(void **state)
{
    struct tpm *tpm = get(bench_of(state));
    char path[PATH_SIZE];
    int fd;

    tpm_turn_take(tpm);
    path_of(tpm, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    tpm_turn_give(tpm);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_true(taken_in(tpm) < 10);
    for (int i = 0; i < 3; i++)
        assert_true(taken_in(tpm) < 0.5);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    taken_in(tpm);
    tpm_turn_take(tpm);
    assert_true(tpm->turn_fd >= 0);
    tpm_turn_give(tpm);
    close(fd);
    tpm_release(tpm);
}

/* It takes the turn before and after it forks a child, who lives on. */
static void be_killed_with_the_turn(struct bench *b, int told)
{
    struct tpm *tpm = get(b);
    pid_t child;

    taken_in(tpm);
    child = fork();
    if (!child)
        for (;;)
            pause();
    tpm_turn_take(tpm);
    if (child < 0 || write(told, &child, sizeof child) != sizeof child)
        _exit(1);
    kill(getpid(), SIGKILL);
}

static void a_killed_process_s_child_does_not_keep_its_turn(void **state)
{
    struct bench *b = bench_of(state);
    struct tpm *tpm;
    int told[2];
    pid_t parent, child = 0;
    double waited;

    assert_int_equal(pipe(told), 0);
    parent = fork();
    if (!parent)
        be_killed_with_the_turn(b, told[1]);
    assert_int_equal(read(told[0], &child, sizeof child), sizeof child);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    tpm = get(b);
    waited = taken_in(tpm);
    kill(child, SIGKILL);
    assert_true(waited < 1);
    tpm_release(tpm);
    close(told[0]);
    close(told[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_is_for_each_user_whatever_the_umask),
        cmocka_unit_test(who_keeps_it_for_ever_costs_the_others_some_seconds_once),
        cmocka_unit_test(a_killed_process_s_child_does_not_keep_its_turn),
    };

    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, bench_start, bench_stop) : 77;
}
