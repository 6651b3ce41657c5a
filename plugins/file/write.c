/* SPDX-License-Identifier: Apache-2.0 */
/* Crash-safe writing: temporary name, fsync, rename, fsync of the directory.  Whenever it stops, the old state is
 * there, or the new. */
#include "write.h"

#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TEMPORARY ".hsmux-"
#define TEMPORARY_SIZE (sizeof TEMPORARY + 16)

static int is_temporary(const struct dirent *entry)
{
    return !strncmp(entry->d_name, TEMPORARY, sizeof TEMPORARY - 1);
}

void write_sweep(int dir)
{
    struct dirent **names;
    int count = scandirat(dir, ".", &names, is_temporary, NULL);
    if (count < 0)
        return;
    for (int i = 0; i < count; i++)
        unlinkat(dir, names[i]->d_name, 0);
    directory_free_names(names, (size_t)count);
}

static int write_all(int fd, const unsigned char *data, size_t len)
{
    while (len) {
        ssize_t done = write(fd, data, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        data += done;
        len -= (size_t)done;
    }
    return fsync(fd) ? errno : 0;
}

/* A new file, complete and on the disk; 0 or an errno. */
static int write_temporary(int dir, const void *data, size_t len, char ret[TEMPORARY_SIZE])
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return errno;
    snprintf(ret, TEMPORARY_SIZE, TEMPORARY "%016llx", (unsigned long long)number);
    int fd = openat(dir, ret, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = fchmod(fd, 0600) ? errno : write_all(fd, data, len); /* whatever the umask is */
    if (close(fd) && !error)
        error = errno;
    if (error)
        unlinkat(dir, ret, 0);
    return error;
}

/* 0 or an errno; EEXIST: the name is taken.  Where the file system has no RENAME_NOREPLACE, a link does the same. */
static int rename_new(int dir, const char *from, const char *to)
{
    if (!renameat2(dir, from, dir, to, RENAME_NOREPLACE))
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (linkat(dir, from, dir, to, 0))
        return errno;
    unlinkat(dir, from, 0);
    return 0;
}

static int sync_directory(struct token *token, int dir)
{
    if (!fsync(dir) || errno == EINVAL || errno == ENOTSUP) /* some file systems know no such thing */
        return 0;
    return directory_error(token, errno, "write directory", NULL);
}

int write_file(struct token *token, int dir, const char *file, const void *data, size_t len, bool replace)
{
    char temporary[TEMPORARY_SIZE];
    int error = write_temporary(dir, data, len, temporary);
    if (error)
        return directory_error(token, error, "write", file);
    if (replace)
        error = renameat(dir, temporary, dir, file) ? errno : 0;
    else
        error = rename_new(dir, temporary, file);
    if (error) {
        unlinkat(dir, temporary, 0);
        if (error == EEXIST)
            return hx_fail(token->host, HX_E_EXISTS, "there is a file '%s/%s' already", token->path, file);
        return directory_error(token, error, "write", file);
    }
    return sync_directory(token, dir);
}

int write_remove(struct token *token, int dir, const char *file)
{
    if (unlinkat(dir, file, 0))
        return directory_error(token, errno, "remove", file);
    return sync_directory(token, dir);
}
