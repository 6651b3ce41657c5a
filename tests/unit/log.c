/* SPDX-License-Identifier: Apache-2.0 */
/* Where log lines go: the application's function, stderr, or syslog where nobody reads stderr; and how often. */
#include "log.h"

#include <fcntl.h>
#include <hsmux/hsmux.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char daemon_path[] = "/tmp/hsmux-log-XXXXXX"; /* where the log daemon listens */
static int daemon_fd = -1;

/* In the place of libc's: /dev/log is the test's own. */
int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    const struct sockaddr_un *theirs = (const void *)address;
    struct sockaddr_un ours = { .sun_family = AF_UNIX };

    if (address->sa_family != AF_UNIX || strcmp(theirs->sun_path, "/dev/log"))
        return (int)syscall(SYS_connect, fd, address, len);
    strcpy(ours.sun_path, daemon_path);
    return (int)syscall(SYS_connect, fd, &ours, sizeof ours);
}

static void listen_to(int type)
{
    struct sockaddr_un ours = { .sun_family = AF_UNIX };

    if (daemon_fd >= 0)
        close(daemon_fd);
    unlink(daemon_path);
    strcpy(ours.sun_path, daemon_path);
    daemon_fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(daemon_fd, (const void *)&ours, sizeof ours), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(daemon_fd, 8), 0);
}

/* What the daemon was told, behind the priority and the program's name; "": nothing. */
static const char *heard(void)
{
    static char text[2048];
    char *line;
    int fd = accept(daemon_fd, NULL, NULL);
    ssize_t got = read(fd >= 0 ? fd : daemon_fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return "";
    text[got] = '\0';
    assert_memory_equal(text, "<28>", 4); /* LOG_DAEMON, LOG_WARNING */
    assert_non_null(line = strstr(text, "]: "));
    return line + 3;
}

/* Logs a line while descriptor 2 is fd, which is closed; -1: while there is none. */
static void log_with(int fd, const char *line)
{
    int kept = dup(STDERR_FILENO);

    close(STDERR_FILENO);
    if (fd >= 0)
        assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    hx_log(LOG_WARNING, "%s", line);
    dup2(kept, STDERR_FILENO);
    close(kept);
    if (fd >= 0)
        close(fd);
}

static void expect_read(int fd, const char *line)
{
    char got[256] = "";

    assert_true(read(fd, got, sizeof got - 1) > 0);
    assert_string_equal(got, line);
    assert_string_equal(heard(), "");
    close(fd);
}

static void a_pipe_and_a_service_s_socket_are_read(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    log_with(ends[1], "to a pipe");
    expect_read(ends[0], "hsmux: to a pipe\n");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    log_with(ends[1], "to systemd");
    expect_read(ends[0], "hsmux: to systemd\n");
}

static void a_daemon_s_lines_go_to_syslog(void **state)
{
    (void)state;
    log_with(open("/dev/null", O_RDWR), "stderr is /dev/null");
    assert_string_equal(heard(), "hsmux: stderr is /dev/null");
    log_with(-1, "stderr is closed");
    assert_string_equal(heard(), "hsmux: stderr is closed");
    log_with(socket(AF_INET, SOCK_STREAM, 0), "stderr is a connection by now");
    assert_string_equal(heard(), "hsmux: stderr is a connection by now");
    listen_to(SOCK_STREAM);
    log_with(-1, "to a stream");
    assert_string_equal(heard(), "hsmux: to a stream");
    unlink(daemon_path);
    log_with(-1, "to nobody");
    listen_to(SOCK_DGRAM);
}

/* syslog(3) would keep its socket's number, and write into what has it next. */
static void a_daemon_that_closes_all_keeps_its_connections_to_itself(void **state)
{
    int next = dup(STDERR_FILENO), ends[2];
    char got[256];

    (void)state;
    log_with(-1, "first");
    assert_string_equal(heard(), "hsmux: first");
    for (int fd = next; fd < next + 8; fd++)
        if (fd != daemon_fd)
            close(fd);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    log_with(-1, "second");
    assert_int_equal(read(ends[0], got, sizeof got), -1);
    assert_int_equal(read(ends[1], got, sizeof got), -1);
    assert_string_equal(heard(), "hsmux: second");
    close(ends[0]);
    close(ends[1]);
}

static void *log_for_ever(void *arg)
{
    for (const atomic_bool *stop = arg; !atomic_load(stop);)
        hx_log(LOG_WARNING, "%s", "from a thread");
    return NULL;
}

/* syslog(3)'s lock would stay locked in a child for ever. */
static void a_child_logs_though_its_parent_s_threads_did_so_when_it_was_made(void **state)
{
    int kept = dup(STDERR_FILENO), status;
    atomic_bool stop = false;
    pthread_t threads[2];
    pid_t child;

    (void)state;
    close(daemon_fd); /* nobody listens: all lines are lost at once */
    daemon_fd = -1;
    close(STDERR_FILENO);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_for_ever, &stop), 0);
    for (int i = 0; i < 200; i++) {
        if (!(child = fork())) {
            alarm(10);
            hx_log(LOG_WARNING, "%s", "from a child");
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status)
            break;
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    dup2(kept, STDERR_FILENO);
    close(kept);
    listen_to(SOCK_DGRAM);
    assert_int_equal(status, 0);
}

static void count(void *arg, int priority, const char *line)
{
    unsigned *lines = arg;

    (void)priority, (void)line;
    ++*lines;
}

static void the_same_line_does_not_flood_a_log(void **state)
{
    unsigned lines = 0;

    (void)state;
    hx_set_log(count, &lines);
    for (int i = 0; i < 1000; i++)
        hx_log_seldom(LOG_WARNING, "%s", "the same");
    assert_int_equal(lines, 1);
    hx_log_seldom(LOG_WARNING, "%s", "another");
    assert_int_equal(lines, 2);
    hx_set_log(NULL, NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_and_a_service_s_socket_are_read),
        cmocka_unit_test(a_daemon_s_lines_go_to_syslog),
        cmocka_unit_test(a_daemon_that_closes_all_keeps_its_connections_to_itself),
        cmocka_unit_test(a_child_logs_though_its_parent_s_threads_did_so_when_it_was_made),
        cmocka_unit_test(the_same_line_does_not_flood_a_log),
    };

    int result;

    unsetenv("HSMUX_LOG");
    close(mkstemp(daemon_path));
    listen_to(SOCK_DGRAM);
    result = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(daemon_path);
    return result;
}
