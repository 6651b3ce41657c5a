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

/* Of FNV-1a: the name has slashes in it, and may be long. */
static void path_of(const struct tpm *tpm, const char *what, char *ret, size_t size)
{
    const char *name = !strncmp(tpm->tcti, "pcap:", 5) ? tpm->tcti + 5 : tpm->tcti;
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    snprintf(ret, size, "%s/hsmux-tpm-%016llx.%s", PLACE, (unsigned long long)hash, what);
}

/* Another user's file will do, since a lock wants no more than to read it. */
static int open_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT)
        fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
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

static void lock(const struct tpm *tpm, const char *what, int *fd)
{
    char path[64];

    path_of(tpm, what, path, sizeof path);
    for (long waited = 0; waited < WAIT_MS; waited++) {
        if (*fd < 0 && (*fd = open_file(path)) < 0)
            return;
        if (flock(*fd, LOCK_EX | LOCK_NB)) {
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
            continue;
        }
        if (is_there(*fd))
            return;
        close(*fd);
        *fd = -1;
    }
}

static void end(const struct tpm *tpm, const char *what, int *fd)
{
    char path[64];

    if (*fd < 0)
        return;
    path_of(tpm, what, path, sizeof path);
    if (!flock(*fd, LOCK_EX | LOCK_NB) && is_there(*fd))
        unlink(path);
    close(*fd);
    *fd = -1;
}

void tpm_turn_end(struct tpm *tpm)
{
    end(tpm, "next", &tpm->next_fd);
    end(tpm, "turn", &tpm->turn_fd);
}

/* One waits for the turn, and all others for his place: so who had it a moment ago comes after them. */
void tpm_turn_take(struct tpm *tpm)
{
    if (!is_shared(tpm) || tpm->turns++)
        return;
    lock(tpm, "next", &tpm->next_fd);
    lock(tpm, "turn", &tpm->turn_fd);
    if (tpm->next_fd >= 0)
        flock(tpm->next_fd, LOCK_UN);
}

void tpm_turn_give(struct tpm *tpm)
{
    if (is_shared(tpm) && !--tpm->turns && tpm->turn_fd >= 0)
        flock(tpm->turn_fd, LOCK_UN);
}
