/* SPDX-License-Identifier: Apache-2.0 */
/* What leads to a TPM may be a socket, or a pipe to a command; where that has ended, who writes to it gets SIGPIPE, and
 * most programs have made no arrangements for one. */
#ifndef TPM_PIPE_H
#define TPM_PIPE_H

#include <signal.h>
#include <stdbool.h>

struct tpm_pipe {
    sigset_t before;
    bool pending;
};

/* Keeps SIGPIPE from this thread; and lets it through again, but those that came meanwhile. */
void tpm_pipe_shut(struct tpm_pipe *ret);
void tpm_pipe_open(const struct tpm_pipe *);

#endif
