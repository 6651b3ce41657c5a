/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of the process: to the application's function, else by the priority of $HSMUX_LOG to stderr, or to syslog
 * where nobody reads stderr. */
#include "log.h"

#include "error.h"

#include <errno.h>
#include <hsmux/hsmux.h>
#include <paths.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SELDOM_S 60
#define SELDOM_LINES 16

/* One atomic pointer holds both, so that no line goes to a new function with an old argument.  A replaced sink is
 * never freed: another thread may just be reading it, and there are few. */
struct sink {
    hx_log_fn *fn;
    void *arg;
    struct sink *before;
};

static _Atomic(struct sink *) sink;

void hx_set_log(hx_log_fn *fn, void *arg)
{
    struct sink *made = malloc(sizeof *made);

    if (!made)
        return;
    made->fn = fn;
    made->arg = arg;
    made->before = atomic_load(&sink);
    while (!atomic_compare_exchange_weak(&sink, &made->before, made))
        ;
}

bool log_is_taken(void)
{
    const struct sink *to = atomic_load(&sink);

    return to && to->fn;
}

static int chosen_priority(void)
{
    static const char *const names[] = {
        "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"
    };
    const char *wish = secure_getenv("HSMUX_LOG");

    if (!wish)
        return LOG_WARNING;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcasecmp(wish, names[i]))
            return (int)i;
    return strcasecmp(wish, "none") ? LOG_WARNING : -1;
}

/* systemd gives its services one.  Without a peer it may be ours, which another thread is about to connect. */
static bool is_local_socket(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    return !getpeername(fd, (struct sockaddr *)&peer, &len) && peer.ss_family == AF_UNIX;
}

/* A daemon's descriptor 2 may be closed, /dev/null, or by now a connection of its own, which must not get our lines. */
static bool stderr_is_read(void)
{
    struct stat st;

    if (fstat(STDERR_FILENO, &st))
        return false;
    if (S_ISCHR(st.st_mode))
        return st.st_rdev != makedev(1, 3);
    if (S_ISSOCK(st.st_mode))
        return is_local_socket(STDERR_FILENO);
    return S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode);
}

/* One write: lines of several processes do not mix.  Not dprintf(3): where that cannot write, it leaks its buffer. */
static void to_stderr(const char *line)
{
    char text[1280];
    int len = snprintf(text, sizeof text, "hsmux: %s\n", line);

    if (write(STDERR_FILENO, text, (size_t)len) < 0)
        return; /* nobody is left to tell */
}

static int connect_log(int type)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = _PATH_LOG };
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), error;

    if (fd < 0 || !connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address))
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Not syslog(3): that keeps its socket, whose number a daemon that closes all may soon have for a connection of its
 * own, and its lock, which a child would find locked for ever.  The time is for the receiver to add. */
static void to_syslog(int priority, const char *line)
{
    char text[1280];
    int error = errno, fd = connect_log(SOCK_DGRAM);
    bool stream = fd < 0 && errno == EPROTOTYPE; /* some take one, with a NUL behind each line */

    if (stream)
        fd = connect_log(SOCK_STREAM);
    snprintf(text, sizeof text, "<%d>%s[%d]: hsmux: %s", LOG_DAEMON | LOG_PRI(priority), program_invocation_short_name,
             (int)getpid(), line);
    if (fd >= 0) {
        send(fd, text, strlen(text) + stream, MSG_NOSIGNAL);
        close(fd);
    }
    errno = error;
}

void hx_vlog(int priority, const char *fmt, va_list args)
{
    const struct sink *to = atomic_load(&sink);
    char line[1024];

    if (!(to && to->fn) && priority > chosen_priority())
        return;
    vsnprintf(line, sizeof line, fmt, args);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    if (to && to->fn)
        to->fn(to->arg, priority, line);
    else if (stderr_is_read())
        to_stderr(line);
    else
        to_syslog(priority, line);
}

void hx_log(int priority, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    hx_vlog(priority, fmt, args);
    va_end(args);
}

/* Has the line come within the last minute?  Lines are known by their hashes; two that share a slot drive each other
 * out, and two threads that come at once may both say theirs. */
static bool came_lately(const char *line)
{
    static struct {
        atomic_uint_least64_t hash;
        atomic_llong at;
    } lines[SELDOM_LINES];
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    struct timespec now;
    size_t slot;

    for (; *line; line++)
        hash = (hash ^ (unsigned char)*line) * 1099511628211u;
    slot = hash % SELDOM_LINES;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (atomic_load(&lines[slot].hash) == hash && atomic_load(&lines[slot].at) + SELDOM_S > now.tv_sec)
        return true;
    atomic_store(&lines[slot].at, now.tv_sec);
    atomic_store(&lines[slot].hash, hash);
    return false;
}

void hx_log_seldom(int priority, const char *fmt, ...)
{
    char line[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (!came_lately(line))
        hx_log(priority, "%s", line);
}

int log_unreachable(int result)
{
    if (access("/proc/self", F_OK))
        hx_error(result, "%s (no /proc here: behind a chroot, what the token needs must be in there)", hx_last_error());
    hx_log_seldom(LOG_WARNING, "user %u: %s", (unsigned)geteuid(), hx_last_error());
    return result;
}
