/* SPDX-License-Identifier: Apache-2.0 */
/* May this file be loaded or believed?  By owner and mode of it and of every directory above it; each refusal names
 * the exact path and the command that mends it. */
#include "trust.h"

#include "bytes.h"
#include "error.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define WRITABLE (S_IWGRP | S_IWOTH)

static int check_owner(const struct stat *st, const char *path)
{
    if (st->st_uid == 0 || st->st_uid == geteuid())
        return HX_OK;
    return hx_error(HX_E_CONFIG, "'%s' belongs to user %u, neither root nor the running user %u: chown root '%s'", path,
                    (unsigned)st->st_uid, (unsigned)geteuid(), path);
}

/* In a sticky directory nobody can rename or remove what is ours, and what is below was found to be ours before. */
static int check_directory(const char *path)
{
    struct stat st;
    int result;

    if (lstat(path, &st))
        return hx_error(HX_E_CONFIG, "'%s': %m", path);
    if (!S_ISDIR(st.st_mode))
        return hx_error(HX_E_CONFIG, "'%s' is not a directory", path);
    if ((result = check_owner(&st, path)))
        return result;
    if (st.st_mode & WRITABLE && !(st.st_mode & S_ISVTX))
        return hx_error(HX_E_CONFIG, "directory '%s' is writable by others: chmod go-w '%s'", path, path);
    return HX_OK;
}

static int check_library(const char *path)
{
    struct stat st;
    int result;

    if (lstat(path, &st))
        return hx_error(errno == ENOENT ? HX_E_NOT_FOUND : HX_E_CONFIG, "'%s': %m", path);
    if (!S_ISREG(st.st_mode))
        return hx_error(HX_E_CONFIG, "'%s' is not a regular file", path);
    if ((result = check_owner(&st, path)))
        return result;
    if (st.st_mode & WRITABLE)
        return hx_error(HX_E_CONFIG, "'%s' is writable by others: chmod go-w '%s'", path, path);
    return HX_OK;
}

/* The file first, then upwards: what is judged last lies above what is known to be good. */
static int check_parents(const char *real)
{
    AUTO_FREE char *path = string_copy(real);
    char *slash;

    if (!path)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    while ((slash = strrchr(path, '/')) && slash != path) {
        int result;

        *slash = '\0';
        if ((result = check_directory(path)))
            return result;
    }
    return check_directory("/");
}

int trust_library(const char *path, char **ret)
{
    /* The real path is checked and handed back, so that no symbolic link can be turned between check and use. */
    AUTO_FREE char *real = realpath(path, NULL);
    int result;

    if (!real && (errno == ENOENT || errno == ENOTDIR))
        return hx_error(HX_E_NOT_FOUND, "'%s' does not exist", path);
    if (!real)
        return hx_error(errno == ENOMEM ? HX_E_NO_MEMORY : HX_E_CONFIG, "'%s': %m", path);
    if ((result = check_library(real)) || (result = check_parents(real)))
        return result;
    *ret = real;
    real = NULL;
    return HX_OK;
}

int trust_secret(int fd, const char *path, const char *what)
{
    struct stat st;
    int result;

    if (fstat(fd, &st))
        return hx_error(HX_E_CONFIG, "%s '%s': %m", what, path);
    if (!S_ISREG(st.st_mode))
        return hx_error(HX_E_CONFIG, "%s '%s' is not a regular file", what, path);
    if ((result = check_owner(&st, path)))
        return hx_error_in(result, "%s", what);
    if (st.st_mode & (S_IROTH | WRITABLE))
        return hx_error(HX_E_CONFIG, "%s '%s' can be %s by others: chmod g-w,o-rwx '%s'", what, path,
                        st.st_mode & WRITABLE ? "written" : "read", path);
    return HX_OK;
}

int trust_readable_by_others(int fd)
{
    struct stat st;

    return fstat(fd, &st) || st.st_mode & S_IROTH;
}
