/* SPDX-License-Identifier: Apache-2.0 */
/* A module that does not notice fork() would go on, in the child, with the parent's connection to the device: two
 * processes talk into one another's answers, and with tpm2-pkcs11 their broken sessions count as wrong PINs until the
 * TPM locks.  To finalise it would end the parent's sessions.  The dynamic linker knows files by device and inode, so
 * a copy in memory is another library to it. */
#include "copy.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static bool copy_file(int from, int to)
{
    ssize_t moved;

    do
        moved = sendfile(to, from, NULL, 1 << 20);
    while (moved > 0 || (moved < 0 && errno == EINTR));
    return moved == 0;
}

/* It was believed when the core checked it: in this child another root directory, or an upgrade, may have put another
 * one in its place. */
static bool is_trusted(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) &&
           !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* The linker knows files by name too, so that no number may come twice in a process or its children: the last one, and
 * all below it, are never used again. */
static int renumber(int fd)
{
    static atomic_int last = STDERR_FILENO;
    int seen = atomic_load(&last), high = -1;

    if (fd < 0)
        return -1;
    while ((high = fcntl(fd, F_DUPFD_CLOEXEC, seen + 1)) >= 0 && !atomic_compare_exchange_strong(&last, &seen, high))
        close(high);
    close(fd);
    return high;
}

static int copy_to_memory(const char *path)
{
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), to;

    if (from < 0)
        return -1;
    to = !is_trusted(from) ? -1 : memfd_create("pkcs11-module", MFD_CLOEXEC);
    if (to >= 0 && !copy_file(from, to)) {
        close(to);
        to = -1;
    }
    close(from);
    return renumber(to);
}

const char *p11_copy(const char *path, CK_FUNCTION_LIST **ret)
{
    CK_C_GetFunctionList get;
    CK_FUNCTION_LIST *fn = NULL;
    char name[64];
    void *handle;
    int fd = copy_to_memory(path);

    if (fd < 0)
        return "its file cannot be read, or others may write it";
    snprintf(name, sizeof name, "/proc/%d/fd/%d", (int)getpid(), fd);
    handle = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    close(fd);
    if (!handle)
        return "no library can be loaded from memory";
    *(void **)&get = dlsym(handle, "C_GetFunctionList");
    if (!get || get(&fn) != CKR_OK || !fn)
        return "it has no function list";
    *ret = fn;
    return NULL;
}
