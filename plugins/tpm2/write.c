/* SPDX-License-Identifier: Apache-2.0 */
/* Crash-safe writing: temporary name, fsync, rename, fsync of the directory; one writer at a time. */
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 400
#define LOCK_PAUSE 5000000 /* nanoseconds */
#define LOCK ".lock"
#define TEMPORARY ".hsmux-"
#define TEMPORARY_SIZE (sizeof TEMPORARY + 16)

/* 0 or an errno */
static int make_one(const char *path)
{
    if (!mkdir(path, 0755) || errno == EEXIST)
        return 0;
    int error = errno;
    return error == EROFS && !access(path, F_OK) ? 0 : error;
}

static int make_all(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int error = make_one(path);
        *slash = '/';
        if (error)
            return error;
    }
    return make_one(path);
}

/* mkdir -p; the new entry must outlive a power cut just as what will be in it. */
static int make_directory(const struct hx_host *host, const char *name, struct tpm_directory *ret)
{
    struct tpm_directory directory = { .host = host, .path = name };
    char *path = strdup(name);
    int error = path ? make_all(path) : ENOMEM;
    if (!error) {
        *strrchr(path, '/') = 0;
        int parent = open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent >= 0) {
            fsync(parent);
            close(parent);
        }
    }
    free(path);
    if (error)
        return tpm_directory_error(&directory, error, "make directory", NULL);
    int result = tpm_directory_open(host, name, &directory);
    if (result)
        return result;
    fchmod(directory.fd, 0755); /* for all to enter, whatever the umask is: what is secret in it has its own mode */
    *ret = directory;
    return 0;
}

static int is_temporary(const struct dirent *entry)
{
    return !strncmp(entry->d_name, TEMPORARY, sizeof TEMPORARY - 1);
}

/* Only crashed writers can have left these behind, since we hold the lock. */
static void sweep(int dir)
{
    struct dirent **names;
    int count = scandirat(dir, ".", &names, is_temporary, NULL);
    if (count < 0)
        return;
    for (int i = 0; i < count; i++)
        unlinkat(dir, names[i]->d_name, 0);
    tpm_directory_free_names(names, (size_t)count);
}

/* A file that nobody else can open: whoever may read the directory itself could hold a lock on that for ever.  It is
 * opened for writing, so that a directory that cannot be written is found out before anything is done. */
static int lock(struct tpm_directory *directory)
{
    directory->lock = openat(directory->fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (directory->lock < 0)
        return tpm_directory_error(directory, errno, "write", LOCK);
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (!flock(directory->lock, LOCK_EX | LOCK_NB))
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return tpm_directory_error(directory, errno, "lock", NULL);
        nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE }, NULL);
    }
    return hx_fail(directory->host, HX_E_BUSY, "another program is writing to '%s'", directory->path);
}

int tpm_directory_lock(const struct hx_host *host, const char *path, struct tpm_directory *ret)
{
    struct tpm_directory directory;
    int result = tpm_directory_open(host, path, &directory);
    if (result == HX_E_NOT_FOUND)
        result = make_directory(host, path, &directory);
    if (result)
        return result;
    result = lock(&directory);
    if (result) {
        tpm_directory_close(&directory);
        return result;
    }
    sweep(directory.fd);
    *ret = directory;
    return 0;
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
static int write_temporary(int dir, mode_t mode, const void *data, size_t len, char ret[TEMPORARY_SIZE])
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return errno;
    snprintf(ret, TEMPORARY_SIZE, TEMPORARY "%016llx", (unsigned long long)number);
    int fd = openat(dir, ret, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = fchmod(fd, mode) ? errno : write_all(fd, data, len); /* whatever the umask is */
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

static int sync_directory(const struct tpm_directory *directory)
{
    if (!fsync(directory->fd) || errno == EINVAL || errno == ENOTSUP) /* some file systems know no such thing */
        return 0;
    return tpm_directory_error(directory, errno, "write directory", NULL);
}

int tpm_directory_write(const struct tpm_directory *directory, const char *file, mode_t mode, const void *data,
                        size_t len, bool replace)
{
    char temporary[TEMPORARY_SIZE];
    int dir = directory->fd, error = write_temporary(dir, mode, data, len, temporary);
    if (error)
        return tpm_directory_error(directory, error, "write", file);
    if (replace)
        error = renameat(dir, temporary, dir, file) ? errno : 0;
    else
        error = rename_new(dir, temporary, file);
    if (!error)
        return sync_directory(directory);
    unlinkat(dir, temporary, 0);
    if (error == EEXIST)
        return hx_fail(directory->host, HX_E_EXISTS, "there is a file '%s/%s' already", directory->path, file);
    return tpm_directory_error(directory, error, "write", file);
}

int tpm_directory_remove(const struct tpm_directory *directory, const char *file)
{
    if (unlinkat(directory->fd, file, 0))
        return tpm_directory_error(directory, errno, "remove", file);
    return sync_directory(directory);
}
