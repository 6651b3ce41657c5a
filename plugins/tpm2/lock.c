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
#define NAP_MS 8

static bool bind_name(int fd, const struct tpm *tpm)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    const char *tcti = strncmp(tpm->tcti, "pcap:", 5) ? tpm->tcti : tpm->tcti + 5;
    size_t len = strlen(tcti);
    int used =
        snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "hsmux-tpm2 %s", len > 90 ? tcti + len - 90 : tcti);

    return !bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)used));
}

int tpm_room_lock(struct tpm_token *token)
{
    struct tpm *tpm = token->tpm;
    int fd;

    if (tpm->managed || !tpm->in_step || tpm->room_lock >= 0)
        return 0;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (long waited = 0, nap = 1; fd >= 0 && waited < WAIT_MS; waited += nap, nap = nap < NAP_MS ? 2 * nap : NAP_MS) {
        if (bind_name(fd, tpm)) {
            tpm->room_lock = fd;
            return 0;
        }
        nanosleep(&(struct timespec){ .tv_nsec = nap * 1000000 }, NULL);
    }
    if (fd >= 0)
        close(fd);
    return hx_fail(token->host, HX_E_BUSY, "another process has had objects in the TPM's slots for %d s",
                   WAIT_MS / 1000);
}

void tpm_room_unlock(struct tpm *tpm)
{
    if (tpm->room_lock >= 0)
        close(tpm->room_lock);
    tpm->room_lock = -1;
}
