/* SPDX-License-Identifier: Apache-2.0 */
/* The turn is a lock on a file that bears the TPM's name; where there can be none, everybody is on their own. */
#include "turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PLACE "/run/lock"
#define WAIT_MS 5000
#define STUCK_MS 50

/* Of FNV-1a: the name has slashes in it, and may be long. */
static void path_of(const struct tpm *tpm, const char *what, char *ret, size_t size)
{
    const char *name = !strncmp(tpm->tcti, "pcap:", 5) ? tpm->tcti + 5 : tpm->tcti;
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    snprintf(ret, size, "%s/hsmux-tpm-%016llx.%s", PLACE, (unsigned long long)hash, what);
}

/* Another user's file will do, since a lock wants no more than to read it: so each must be readable, whatever the umask
 * of who made it. */
static int open_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT && (fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444)) >= 0)
        fchmod(fd, 0444);
    if (fd < 0 && errno == EEXIST)
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return fd;
}

/* The kernel gives the bare device to one process at a time. */
static bool is_shared(const struct tpm *tpm)
{
    return !tpm->managed && !strstr(tpm->tcti, "device:");
}

/* Who ended last has removed the file, maybe while we waited for it. */
static bool is_there(int fd)
{
    struct stat st;

    return !fstat(fd, &st) && st.st_nlink > 0;
}

/* *ret_fd: -1 if there is no lock to be had.  false: somebody did not give it back in time. */
static bool lock(const struct tpm *tpm, const char *what, long wait_ms, int *ret_fd)
{
    char path[64];
    int fd = -1;

    path_of(tpm, what, path, sizeof path);
    for (long waited = 0;; waited++) {
        if (fd < 0 && (fd = open_file(path)) < 0)
            break;
        if (!flock(fd, LOCK_EX | LOCK_NB)) {
            if (is_there(fd))
                break;
            close(fd);
            fd = -1;
        } else if (waited >= wait_ms) {
            close(fd);
            *ret_fd = -1;
            return false;
        } else {
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        }
    }
    *ret_fd = fd;
    return true;
}

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A child that was forked meanwhile may have it open, too. */
static void unlock(int *fd)
{
    if (*fd >= 0)
        flock(*fd, LOCK_UN);
    close_file(fd);
}

static void remove_file(const struct tpm *tpm, const char *what)
{
    char path[64];
    int fd;

    path_of(tpm, what, path, sizeof path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) && is_there(fd))
        unlink(path);
    close_file(&fd);
}

void tpm_turn_end(struct tpm *tpm)
{
    if (!tpm->had_turn)
        return;
    unlock(&tpm->turn_fd);
    remove_file(tpm, "next");
    remove_file(tpm, "turn");
}

void tpm_turn_forked(struct tpm *inherited)
{
    close_file(&inherited->turn_fd);
}

/* One waits for the turn, and all others for his place: so who had it a moment ago comes after them.  Who keeps it for
 * ever costs some seconds once, and then little, until he gives it back.  It is open only while it is held: a forked
 * child, which inherits what is open, would keep it when we are killed. */
void tpm_turn_take(struct tpm *tpm)
{
    long wait_ms = tpm->turn_stuck ? STUCK_MS : WAIT_MS;
    int next_fd;

    if (!is_shared(tpm) || tpm->turns++)
        return;
    tpm->had_turn = true;
    tpm->turn_stuck = !lock(tpm, "next", wait_ms, &next_fd);
    if (!lock(tpm, "turn", tpm->turn_stuck ? 0 : wait_ms, &tpm->turn_fd))
        tpm->turn_stuck = true;
    unlock(&next_fd);
}

void tpm_turn_give(struct tpm *tpm)
{
    if (is_shared(tpm) && !--tpm->turns)
        unlock(&tpm->turn_fd);
}
