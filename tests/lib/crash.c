/* SPDX-License-Identifier: Apache-2.0 */
/* See crash.h. */
#include "crash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int limit, calls;
static bool failing;
bool crash_no_renameat2;

void crash_at(int n)
{
    limit = n;
    calls = 0;
    failing = false;
}

void crash_fail_at(int n)
{
    crash_at(n);
    failing = true;
}

int crash_calls(void)
{
    return calls;
}

static bool now(void)
{
    return ++calls == limit;
}

/* Is this the call that fails? */
static bool fails(void)
{
    if (!now())
        return false;
    if (!failing)
        _exit(CRASHED);
    errno = EIO;
    return true;
}

int __real_openat(int, const char *, int, ...);
int __real_fchmod(int, mode_t);
ssize_t __real_write(int, const void *, size_t);
int __real_fsync(int);
int __real_close(int);
int __real_renameat2(int, const char *, int, const char *, unsigned);
int __real_renameat(int, const char *, int, const char *);
int __real_linkat(int, const char *, int, const char *, int);
int __real_unlinkat(int, const char *, int);
int __real_mkdir(const char *, mode_t);

int __wrap_openat(int, const char *, int, ...);
int __wrap_fchmod(int, mode_t);
ssize_t __wrap_write(int, const void *, size_t);
int __wrap_fsync(int);
int __wrap_close(int);
int __wrap_renameat2(int, const char *, int, const char *, unsigned);
int __wrap_renameat(int, const char *, int, const char *);
int __wrap_linkat(int, const char *, int, const char *, int);
int __wrap_unlinkat(int, const char *, int);
int __wrap_mkdir(const char *, mode_t);

int __wrap_openat(int dir, const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (fails())
        return -1;
    return __real_openat(dir, name, flags, mode);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    if (fails())
        return -1;
    return __real_fchmod(fd, mode);
}

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    if (!now())
        return __real_write(fd, data, len);
    if (!failing && __real_write(fd, data, len / 2) >= 0)
        _exit(CRASHED);
    errno = EIO;
    return -1;
}

int __wrap_fsync(int fd)
{
    if (fails())
        return -1;
    return __real_fsync(fd);
}

int __wrap_close(int fd)
{
    bool failed = fails();
    int result = __real_close(fd);
    if (failed)
        errno = EIO;
    return failed ? -1 : result;
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (fails())
        return -1;
    if (crash_no_renameat2) {
        errno = EINVAL;
        return -1;
    }
    return __real_renameat2(from_dir, from, to_dir, to, flags);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (fails())
        return -1;
    return __real_renameat(from_dir, from, to_dir, to);
}

int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    if (fails())
        return -1;
    return __real_linkat(from_dir, from, to_dir, to, flags);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    if (fails())
        return -1;
    return __real_unlinkat(dir, name, flags);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    if (fails())
        return -1;
    return __real_mkdir(path, mode);
}
