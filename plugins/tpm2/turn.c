/* SPDX-License-Identifier: Apache-2.0 */
/* The turn is a lock on a file that bears the TPM's name; where there can be none, everybody is on their own. */
#include "turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define PLACE "/run/lock"
#define WAIT_US 1000000
#define NAP_US 1000

/* Of FNV-1a: the name has slashes in it, and may be long. */
static void path_of(const struct tpm *tpm, char *ret, size_t size)
{
    const char *name = !strncmp(tpm->tcti, "pcap:", 5) ? tpm->tcti + 5 : tpm->tcti;
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    snprintf(ret, size, "%s/hsmux-tpm-%016llx", PLACE, (unsigned long long)hash);
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

static void wait_for(int fd)
{
    for (long waited = 0; flock(fd, LOCK_EX | LOCK_NB) && waited < WAIT_US; waited += NAP_US)
        nanosleep(&(struct timespec){ 0, NAP_US * 1000L }, NULL);
}

void tpm_turn_take(struct tpm *tpm)
{
    char path[64];

    if (!is_shared(tpm) || tpm->turns++)
        return;
    if (tpm->turn_fd < 0) {
        path_of(tpm, path, sizeof path);
        tpm->turn_fd = open_file(path);
    }
    if (tpm->turn_fd >= 0)
        wait_for(tpm->turn_fd);
}

void tpm_turn_give(struct tpm *tpm)
{
    if (is_shared(tpm) && !--tpm->turns && tpm->turn_fd >= 0)
        flock(tpm->turn_fd, LOCK_UN);
}
