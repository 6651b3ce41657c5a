/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, checking and reading a directory. */
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)

/* What to permit, and to whom. */
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
        snprintf(ret, size,
                 ": it belongs to user %u, and this is user %u: run as its owner, or, if it is no secret, "
                 "chmod a+rX '%s'",
                 (unsigned)st.st_uid, user, path);
}

int tpm_directory_error(const struct tpm_directory *directory, int error, const char *what, const char *file)
{
    int result = HX_E_DEVICE;
    char path[PATH_MAX], advice[PATH_MAX + 128] = "";
    snprintf(path, sizeof path, "%s%s%s", directory->path, file ? "/" : "", file ? file : "");
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
    return hx_fail(directory->host, result, "cannot %s '%s': %s%s", what, path, strerror(error), advice);
}

/* Whoever may write it decides which key an application gets: that must be root or this user. */
static int check(const struct tpm_directory *directory, const char *file, const struct stat *st, bool secret)
{
    unsigned mode = (unsigned)st->st_mode & 07777, user = (unsigned)geteuid();
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s%s", directory->path, file ? "/" : "", file ? file : "");
    if (st->st_uid != 0 && st->st_uid != user)
        return hx_fail(directory->host, HX_E_CONFIG, "'%s' belongs to user %u: run as that user, or chown %u '%s'",
                       path, (unsigned)st->st_uid, user, path);
    if (secret && mode & 077)
        return hx_fail(directory->host, HX_E_CONFIG, "'%s' is open to others (mode %04o): chmod 600 '%s'", path, mode,
                       path);
    if (mode & 022)
        return hx_fail(directory->host, HX_E_CONFIG, "others may write '%s' (mode %04o): chmod go-w '%s'", path, mode,
                       path);
    return 0;
}

/* A home that cannot be entered is what a program that was root left in $HOME. */
static bool is_out_of_reach(const char *path)
{
    struct stat st;
    return stat(path, &st) && errno == EACCES;
}

int tpm_directory_open(const struct hx_host *host, const char *path, struct tpm_directory *ret)
{
    struct tpm_directory directory = { .host = host, .path = path, .lock = -1 };
    struct stat st;
    directory.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory.fd < 0) {
        int error = errno;
        if (error == EACCES && is_out_of_reach(path))
            return hx_fail(host, HX_E_NOT_FOUND, "user %u may not enter a directory above '%s'", (unsigned)geteuid(),
                           path);
        return tpm_directory_error(&directory, error, "open directory", NULL);
    }
    int result = fstat(directory.fd, &st) ? tpm_directory_error(&directory, errno, "look at", NULL)
                                          : check(&directory, NULL, &st, false);
    if (result)
        close(directory.fd);
    else
        *ret = directory;
    return result;
}

void tpm_directory_close(struct tpm_directory *directory)
{
    /* Said aloud, since a child forked meanwhile holds the same open file, and with it the lock. */
    if (directory->lock >= 0) {
        flock(directory->lock, LOCK_UN);
        close(directory->lock);
    }
    close(directory->fd);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int tpm_directory_names(const struct tpm_directory *directory, struct dirent ***ret, size_t *ret_count)
{
    struct dirent **names;
    int count = scandirat(directory->fd, ".", &names, is_visible, by_name);
    if (count < 0)
        return tpm_directory_error(directory, errno, "read directory", NULL);
    *ret = names;
    *ret_count = (size_t)count;
    return 0;
}

void tpm_directory_free_names(struct dirent **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static int read_all(const struct tpm_directory *directory, int fd, const char *file, size_t size, unsigned char **ret,
                    size_t *ret_len)
{
    unsigned char *data = malloc(size + 1);
    if (!data)
        return hx_fail(directory->host, HX_E_NO_MEMORY, "out of memory");
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, data + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;
            free(data);
            return tpm_directory_error(directory, error, "read", file);
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

int tpm_directory_read(const struct tpm_directory *directory, const char *file, bool secret, unsigned char **ret,
                       size_t *ret_len)
{
    struct stat st;
    /* A FIFO must not hold us up. */
    int fd = openat(directory->fd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return hx_fail(directory->host, HX_E_NOT_FOUND, "there is no file '%s/%s'", directory->path, file);
    if (fd < 0)
        return tpm_directory_error(directory, errno, "open", file);
    int result;
    if (fstat(fd, &st))
        result = tpm_directory_error(directory, errno, "look at", file);
    else if (!S_ISREG(st.st_mode))
        result = hx_fail(directory->host, HX_E_CONFIG, "'%s/%s' is no regular file", directory->path, file);
    else if (st.st_size > FILE_MAX)
        result = hx_fail(directory->host, HX_E_CONFIG, "'%s/%s' is larger than 1 MiB", directory->path, file);
    else
        result = check(directory, file, &st, secret);
    if (!result)
        result = read_all(directory, fd, file, (size_t)st.st_size, ret, ret_len);
    close(fd);
    return result;
}
