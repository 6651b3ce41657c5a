/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out: standard output, and files that appear whole or not at all. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void print_clean(const char *text)
{
    for (const char *c = text; *c; c++)
        putchar((unsigned char)*c < ' ' || *c == 127 ? '?' : *c);
}

/* A closed pipe and a full disk show only now, when the last buffer is written. */
int finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    return fail("standard output: %s", errno ? strerror(errno) : "write error");
}

static int write_all(int fd, const unsigned char *data, size_t len)
{
    while (len) {
        ssize_t done = write(fd, data, len);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        data += done;
        len -= (size_t)done;
    }
    return 0;
}

/* A device or a pipe cannot be replaced by a file: it is written as it stands. */
static int write_special(const char *path, const void *data, size_t len)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write_all(fd, data, len))
        return fail("'%s': %s", path, strerror(errno));
    return DONE;
}

/* What stands there keeps its mode and owner; a new file gets what the umask leaves. */
static int take_mode(int fd, const struct stat *old)
{
    mode_t mask = umask(0);

    umask(mask);
    if (!old)
        return fchmod(fd, 0666 & ~mask);
    if (fchown(fd, old->st_uid, old->st_gid) && geteuid() == 0)
        return -1;
    return fchmod(fd, old->st_mode & 07777);
}

static int sync_directory(const char *path)
{
    AUTO_FREE char *copy = strdup(path);
    AUTO_CLOSE int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    return fd < 0 ? -1 : fsync(fd);
}

static int replace_file(const char *path, const struct stat *old, const void *data, size_t len)
{
    AUTO_FREE char *temporary = NULL;
    int fd, failed, reason;

    temporary = text_of("%s.XXXXXX", path);
    if (!temporary)
        return fail("out of memory");
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return fail("'%s': %s", path, strerror(errno));
    failed = write_all(fd, data, len) || take_mode(fd, old) || fsync(fd);
    reason = errno;
    if (close(fd) && !failed) {
        failed = 1;
        reason = errno;
    }
    if (!failed && rename(temporary, path)) {
        failed = 1;
        reason = errno;
    }
    if (failed) {
        unlink(temporary);
        return fail("'%s': %s", path, strerror(reason));
    }
    if (sync_directory(path))
        return fail("'%s': written, but its directory could not be synchronised: %s", path, strerror(errno));
    return DONE;
}

int write_file(const char *path, const void *data, size_t len)
{
    AUTO_FREE char *real = NULL;
    struct stat info, link;

    if (stat(path, &info)) {
        /* A name that stands for nothing we can see, as a link into /proc, is not ours to replace. */
        if (errno != ENOENT || !lstat(path, &link))
            return fail("'%s': %s", path, strerror(errno));
        return replace_file(path, NULL, data, len);
    }
    if (S_ISDIR(info.st_mode))
        return fail("'%s': is a directory", path);
    if (!S_ISREG(info.st_mode))
        return write_special(path, data, len);
    real = realpath(path, NULL);
    if (!real)
        return fail("'%s': %s", path, strerror(errno));
    return replace_file(real, &info, data, len);
}

int emit(const struct call *call, const void *data, size_t len)
{
    const char *path = option(call, O_OUT);

    if (path && strcmp(path, "-"))
        return write_file(path, data, len);
    fwrite(data, 1, len, stdout);
    return DONE;
}

int emit_binary(const struct call *call, const void *data, size_t len)
{
    AUTO_FREE char *digits = NULL;
    const unsigned char *bytes = data;

    if (!option(call, O_HEX)) {
        const char *path = option(call, O_OUT);

        if ((!path || !strcmp(path, "-")) && isatty(STDOUT_FILENO))
            return fail("standard output is a terminal: redirect it, or give %s--out FILE",
                        call->command->options & O_HEX ? "--hex or " : "");
        return emit(call, data, len);
    }
    digits = malloc(2 * len + 2);
    if (!digits)
        return fail("out of memory");
    for (size_t i = 0; i < len; i++)
        snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
    digits[2 * len] = '\n';
    return emit(call, digits, 2 * len + 1);
}
