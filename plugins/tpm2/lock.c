/* SPDX-License-Identifier: Apache-2.0 */
/* One lock for all processes that use a TPM without a resource manager, while one of them has objects in its slots:
 * another that makes room for itself must not take those away, whose handles would mean other objects then.  It is the
 * name of a socket, which any user can take, and which goes with the process that holds it. */
#include "room.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 10000

/* false: another process has that name. */
static bool bind_name(int fd, const char *what, const struct tpm *tpm)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    const char *tcti = strncmp(tpm->tcti, "pcap:", 5) ? tpm->tcti : tpm->tcti + 5;
    size_t len = strlen(tcti);
    int used = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "hsmux-tpm2 %s %s", what,
                        len > 80 ? tcti + len - 80 : tcti);

    return !bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)used));
}

/* The descriptor that holds the name; -1: it was another's for too long. */
static int take(const char *what, const struct tpm *tpm)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    for (int waited = 0; fd >= 0 && waited < WAIT_MS; waited++) {
        if (bind_name(fd, what, tpm))
            return fd;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Who had it a moment ago comes after whoever waits for it: one waits for the lock, and all others for his place. */
int tpm_room_lock(struct tpm_token *token)
{
    struct tpm *tpm = token->tpm;
    int next;

    if (tpm->managed || !tpm->in_step || tpm->room_lock >= 0)
        return 0;
    next = take("next", tpm);
    if (next >= 0) {
        tpm->room_lock = take("now", tpm);
        close(next);
    }
    if (tpm->room_lock >= 0)
        return 0;
    return hx_fail(token->host, HX_E_BUSY, "another process has had objects in the TPM's slots for %d s",
                   WAIT_MS / 1000);
}

void tpm_room_unlock(struct tpm *tpm)
{
    if (tpm->room_lock >= 0)
        close(tpm->room_lock);
    tpm->room_lock = -1;
}
