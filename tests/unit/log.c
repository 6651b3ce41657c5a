/* SPDX-License-Identifier: Apache-2.0 */
/* Where log lines go: the application's function, stderr, or syslog where nobody reads stderr; and how often. */
#include "log.h"

#include <fcntl.h>
#include <hsmux/hsmux.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char syslog_line[256];

/* In the place of libc's. */
void syslog(int priority, const char *fmt, ...)
{
    va_list args;

    assert_int_equal(priority, LOG_DAEMON | LOG_WARNING);
    va_start(args, fmt);
    vsnprintf(syslog_line, sizeof syslog_line, fmt, args);
    va_end(args);
}

/* Logs a line while descriptor 2 is fd, which is closed; -1: while there is none. */
static void log_with(int fd, const char *line)
{
    int kept = dup(STDERR_FILENO);

    syslog_line[0] = '\0';
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
    assert_string_equal(syslog_line, "");
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
    assert_string_equal(syslog_line, "hsmux: stderr is /dev/null");
    log_with(-1, "stderr is closed");
    assert_string_equal(syslog_line, "hsmux: stderr is closed");
    log_with(socket(AF_INET, SOCK_STREAM, 0), "stderr is a connection by now");
    assert_string_equal(syslog_line, "hsmux: stderr is a connection by now");
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
        cmocka_unit_test(the_same_line_does_not_flood_a_log),
    };

    unsetenv("HSMUX_LOG");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
