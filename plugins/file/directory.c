/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, checking, locking and reading the token's directory.  What others could have written is not believed. */
#include "directory.h"

#include "name.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)
#define LOCK_TRIES 400
#define LOCK_PAUSE 5000000 /* nanoseconds */

/* What to permit, and to whom.  Keys are of use to their owner only: a wider mode would not help. */
static void advise(const char *path, char *ret, size_t size)
{
    struct stat st;
    unsigned user = (unsigned)geteuid();
    bool is_there = !stat(path, &st);
    if (!is_there && errno == EACCES)
        snprintf(ret, size, ": user %u may not enter a directory above it", user);
    else if (is_there && st.st_uid == user)
        snprintf(ret, size, ": chmod u+rwX '%s'", path);
    else if (is_there)
        snprintf(ret, size, ": it belongs to user %u, and this is user %u: run as its owner, or chown %s%u '%s'",
                 (unsigned)st.st_uid, user, S_ISDIR(st.st_mode) ? "-R " : "", user, path);
}

int directory_error(const struct token *token, int error, const char *what, const char *file)
{
    int result = HX_E_DEVICE;
    char path[PATH_MAX], advice[PATH_MAX + 128] = "";
    snprintf(path, sizeof path, "%s%s%s", token->path, file ? "/" : "", file ? file : "");
    if (error == EACCES || error == EPERM || error == EROFS)
        result = HX_E_ACCESS;
    else if (error == ENOENT)
        result = HX_E_NOT_FOUND;
    else if (error == ENOSPC || error == EDQUOT)
        result = HX_E_FULL;
    else if (error == ENOMEM)
        result = HX_E_NO_MEMORY;
    else if (error == ENOTDIR)
        result = HX_E_CONFIG;
    if (error == EACCES)
        advise(path, advice, sizeof advice);
    return hx_fail(token->host, result, "cannot %s '%s': %s%s", what, path, strerror(error), advice);
}

static int check_directory(struct token *token, int fd)
{
    struct stat st;
    if (fstat(fd, &st))
        return directory_error(token, errno, "look at", NULL);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return hx_fail(token->host, HX_E_CONFIG,
                       "directory '%s' belongs to user %u: run as that user, or chown %u '%s'", token->path,
                       (unsigned)st.st_uid, (unsigned)geteuid(), token->path);
    if (st.st_mode & 077)
        return hx_fail(token->host, HX_E_CONFIG, "directory '%s' is open to others (mode %04o): chmod 700 '%s'",
                       token->path, (unsigned)st.st_mode & 07777, token->path);
    return 0;
}

/* mkdir -p: parents for all to enter, as they would be anyway; the directory itself for us alone. */
static int make_directory(struct token *token)
{
    char *path = strdup(token->path);
    if (!path)
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    int error = 0;
    for (char *slash = strchr(path + 1, '/'); slash && !error; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0755) && errno != EEXIST)
            error = errno == EROFS && !access(path, F_OK) ? 0 : errno;
        *slash = '/';
    }
    if (!error && mkdir(path, 0700) && errno != EEXIST)
        error = errno;
    if (!error) {
        /* The new entry must outlive a power cut just as the key in it. */
        *strrchr(path, '/') = 0;
        int parent = open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent >= 0) {
            fsync(parent);
            close(parent);
        }
    }
    free(path);
    return error ? directory_error(token, error, "make directory", NULL) : 0;
}

/* After a chroot the path is gone but the directory is not; a directory without links is gone for good. */
static int open_directory(const struct token *token)
{
    struct stat st;
    int fd = open(token->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (token->held >= 0 && !fstat(token->held, &st) && st.st_nlink > 0)
        return openat(token->held, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    errno = ENOENT;
    return -1;
}

int directory_missing(struct token *token, bool *ret)
{
    int fd = open_directory(token);
    bool missing = fd < 0 && errno == ENOENT;
    if (fd < 0 && !missing)
        return directory_error(token, errno, "open directory", NULL);
    if (!missing)
        close(fd);
    *ret = missing;
    return 0;
}

int directory_open(struct token *token, bool create, int *ret_fd)
{
    int fd = open_directory(token);
    if (fd < 0 && errno == ENOENT && create) {
        int result = make_directory(token);
        if (result)
            return result;
        fd = open_directory(token);
    }
    if (fd < 0)
        return directory_error(token, errno, "open directory", NULL);
    int result = check_directory(token, fd);
    if (result) {
        close(fd);
        return result;
    }
    *ret_fd = fd;
    return 0;
}

static int is_ours(const struct dirent *entry)
{
    struct name name;
    return name_parse(entry->d_name, &name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int directory_names(struct token *token, int dir, struct dirent ***ret, size_t *ret_count)
{
    struct dirent **names;
    int count = scandirat(dir, ".", &names, is_ours, by_name);
    if (count < 0)
        return directory_error(token, errno, "read directory", NULL);
    *ret = names;
    *ret_count = (size_t)count;
    return 0;
}

void directory_free_names(struct dirent **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

void directory_wipe(unsigned char *data, size_t len)
{
    if (data)
        explicit_bzero(data, len);
    free(data);
}

static int read_all(struct token *token, int fd, const char *file, size_t size, unsigned char **ret, size_t *ret_len)
{
    unsigned char *data = malloc(size + 1);
    if (!data)
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, data + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;
            directory_wipe(data, used);
            return directory_error(token, error, "read", file);
        }
        if (!got)
            break;
        used += (size_t)got;
    }
    data[used] = 0;
    *ret = data;
    *ret_len = used;
    return 0;
}

int directory_read(struct token *token, int dir, const char *file, unsigned char **ret, size_t *ret_len,
                   struct stat *ret_stat)
{
    struct stat st;
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not hold us up */
    if (fd < 0 && errno == ENOENT)
        return hx_fail(token->host, HX_E_NOT_FOUND, "there is no file '%s/%s'", token->path, file);
    if (fd < 0)
        return directory_error(token, errno, "open", file);
    int result;
    if (fstat(fd, &st))
        result = directory_error(token, errno, "look at", file);
    else if (!S_ISREG(st.st_mode))
        result = hx_fail(token->host, HX_E_CONFIG, "'%s/%s' is no regular file", token->path, file);
    else if (st.st_size > FILE_MAX)
        result = hx_fail(token->host, HX_E_CONFIG, "'%s/%s' is larger than 1 MiB", token->path, file);
    else
        result = read_all(token, fd, file, (size_t)st.st_size, ret, ret_len);
    close(fd);
    if (!result)
        *ret_stat = st;
    return result;
}

int directory_check_secret(struct token *token, const char *file, const struct stat *st)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return hx_fail(token->host, HX_E_CONFIG,
                       "file '%s/%s' belongs to user %u: run as that user, or chown %u '%s/%s'", token->path, file,
                       (unsigned)st->st_uid, (unsigned)geteuid(), token->path, file);
    if (st->st_mode & 077)
        return hx_fail(token->host, HX_E_CONFIG, "file '%s/%s' is open to others (mode %04o): chmod 600 '%s/%s'",
                       token->path, file, (unsigned)st->st_mode & 07777, token->path, file);
    return 0;
}

int directory_lock(struct token *token, int *ret_dir)
{
    int dir, result = directory_open(token, true, &dir);
    if (result)
        return result;
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (!flock(dir, LOCK_EX | LOCK_NB)) {
            *ret_dir = dir;
            return 0;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            result = directory_error(token, errno, "lock", NULL);
            close(dir);
            return result;
        }
        nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE }, NULL);
    }
    close(dir);
    return hx_fail(token->host, HX_E_BUSY, "another program is writing to '%s'", token->path);
}

void directory_unlock(int dir)
{
    /* Said aloud, since a child forked meanwhile holds the same open file, and with it the lock. */
    flock(dir, LOCK_UN);
    close(dir);
}
