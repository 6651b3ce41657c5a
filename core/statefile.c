/* SPDX-License-Identifier: Apache-2.0 */
/* See statefile.h.  A lock on what a process opened itself is that open file's; on what was opened ahead, and which
 * forked relatives share, it is the process's (fcntl(2)): the two kinds exclude each other. */
#include "statefile.h"

#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define OPEN_MS 2000 /* for somebody else's making of the file */

/* What was opened ahead.  It may have been closed by a program that closes all that it does not know, and its number
 * may be another file's by now: it is looked at before each use, and given up, never closed. */
struct kept {
    struct kept *before;
    int fd;
    dev_t device;
    ino_t inode;
};

static _Atomic(struct kept *) kept;

static const struct kept *kept_now(void)
{
    const struct kept *now = atomic_load(&kept);
    struct stat st;

    if (!now || fstat(now->fd, &st) || st.st_dev != now->device || st.st_ino != now->inode || !S_ISREG(st.st_mode))
        return NULL;
    /* What was removed is remembered by nobody else. */
    return st.st_nlink && (fcntl(now->fd, F_GETFL) & O_ACCMODE) == O_RDWR ? now : NULL;
}

bool statefile_is_kept(void)
{
    return kept_now() != NULL;
}

void statefile_keep(struct statefile *file)
{
    struct kept *made = calloc(1, sizeof *made);
    int fd = made && !file->ahead ? fcntl(file->fd, F_DUPFD_CLOEXEC, 3) : -1; /* not stdin, stdout or stderr */
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        if (fd >= 0)
            close(fd);
        free(made);
        return;
    }
    made->fd = fd;
    made->device = st.st_dev;
    made->inode = st.st_ino;
    made->before = atomic_load(&kept);
    while (!atomic_compare_exchange_weak(&kept, &made->before, made))
        ;
}

static void nap(void)
{
    nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
}

/* $STATE_DIRECTORY, which systemd sets for a service (several are separated by colons); else the system's for root, and
 * $XDG_STATE_HOME/hsmux, or ~/.local/state/hsmux, for others. */
static int directory_path(struct hx_bytes *ret)
{
    const char *state = secure_getenv("STATE_DIRECTORY");
    const char *xdg = secure_getenv("XDG_STATE_HOME"), *home = secure_getenv("HOME");

    if (state && *state)
        return bytes_append(ret, state, strcspn(state, ":"));
    if (!geteuid())
        return bytes_text(ret, HSMUX_STATEDIR);
    if (xdg && *xdg == '/')
        return bytes_printf(ret, "%s/hsmux", xdg);
    return home && *home == '/' ? bytes_printf(ret, "%s/.local/state/hsmux", home) : HX_E_NOT_FOUND;
}

static bool make_directory(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755); /* what is missing above it; the last one decides */
        *slash = '/';
    }
    return !mkdir(path, 0700) || errno == EEXIST;
}

static int open_directory(bool make)
{
    AUTO_BYTES struct hx_bytes path = { 0 };

    if (directory_path(&path) || (make && !make_directory((char *)path.data)))
        return -1;
    return open((char *)path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Ours, root's or the directory's owner's: root and a service may share that service's directory.  A file of another
 * owner or mode counts as no file: it may be anybody's. */
static bool is_ours(int directory, int fd)
{
    struct stat st, around;

    return !fstat(fd, &st) && S_ISREG(st.st_mode) && !(st.st_mode & 077) &&
           (st.st_uid == geteuid() || !st.st_uid || (!fstat(directory, &around) && st.st_uid == around.st_uid));
}

static int open_ours(int directory, int flags)
{
    int fd = openat(directory, "refused", flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || is_ours(directory, fd))
        return fd;
    close(fd);
    return -1;
}

/* What root makes in the directory of a service is the service's, which must be able to read it. */
static int make_new(int directory)
{
    struct stat st;
    int fd;

    unlinkat(directory, "refused", 0);
    fd = openat(directory, "refused", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && !geteuid() && !fstat(directory, &st) && st.st_uid)
        (void)!fchown(fd, st.st_uid, st.st_gid);
    fsync(directory);
    return fd;
}

/* One at a time, or two would take each other's new file for somebody else's. */
static int open_or_make(int directory)
{
    int fd = open_ours(directory, O_RDWR);

    if (fd >= 0)
        return fd;
    for (int waited = 0; flock(directory, LOCK_EX | LOCK_NB); waited += 5) {
        if (waited >= OPEN_MS || (errno != EWOULDBLOCK && errno != EINTR))
            return -1;
        nap();
    }
    fd = open_ours(directory, O_RDWR);
    if (fd < 0)
        fd = make_new(directory);
    flock(directory, LOCK_UN); /* a worker that was forked meanwhile has it open too */
    return fd;
}

bool statefile_open(bool write, struct statefile *ret)
{
    const struct kept *now = kept_now();
    AUTO_CLOSE int directory = now ? -1 : open_directory(write);

    *ret = (struct statefile){ .fd = -1, .locked = -1 };
    if (now) {
        ret->fd = now->fd;
        ret->ahead = true;
    } else if (directory >= 0) {
        ret->fd = write ? open_or_make(directory) : open_ours(directory, O_RDONLY);
    }
    return ret->fd >= 0;
}

/* The process in which a thread reads or writes what was opened ahead: the kernel's lock is all threads' then. */
static atomic_int holder;

static bool hold(void)
{
    int me = getpid(), there = 0;

    if (atomic_compare_exchange_strong(&holder, &there, me))
        return true;
    return there != me && atomic_compare_exchange_strong(&holder, &there, me); /* of a thread that we have not */
}

static int lock_kernel(const struct statefile *file, long byte, short type)
{
    struct flock one = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

    return fcntl(file->fd, file->ahead ? F_SETLK : F_OFD_SETLK, &one);
}

static bool try_lock(const struct statefile *file, long byte, bool *ret_hopeless)
{
    bool mine = file->ahead && byte == STATEFILE_CONTENT;
    bool writable = (fcntl(file->fd, F_GETFL) & O_ACCMODE) == O_RDWR;

    if (mine && !hold())
        return false;
    if (!lock_kernel(file, byte, writable ? F_WRLCK : F_RDLCK))
        return true;
    *ret_hopeless = errno != EAGAIN && errno != EACCES && errno != EINTR;
    if (mine)
        atomic_store(&holder, 0);
    return false;
}

/* Tries again and again, since a lock that waits could wait for ever for somebody who stopped. */
bool statefile_lock(struct statefile *file, long byte, int ms)
{
    bool hopeless = false;

    for (int waited = 0; !try_lock(file, byte, &hopeless); waited += 5) {
        if (waited >= ms || hopeless)
            return false;
        nap();
    }
    file->locked = byte;
    return true;
}

void statefile_close(struct statefile *file)
{
    if (file->fd < 0)
        return;
    if (file->locked >= 0)
        lock_kernel(file, file->locked, F_UNLCK);
    if (file->ahead && file->locked == STATEFILE_CONTENT)
        atomic_store(&holder, 0);
    if (!file->ahead)
        close(file->fd);
    file->fd = -1;
}
