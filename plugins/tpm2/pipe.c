/* SPDX-License-Identifier: Apache-2.0 */
/* See pipe.h.  Such a signal is for the thread that writes (POSIX.1-2017, write()), so that no other thread sees it. */
#include "pipe.h"

#include <time.h>

static sigset_t only_pipe(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

void tpm_pipe_shut(struct tpm_pipe *ret)
{
    const sigset_t set = only_pipe();
    sigset_t pending;

    pthread_sigmask(SIG_BLOCK, &set, &ret->before);
    ret->pending = sigismember(&ret->before, SIGPIPE) && !sigpending(&pending) && sigismember(&pending, SIGPIPE);
}

void tpm_pipe_open(const struct tpm_pipe *pipe)
{
    const sigset_t set = only_pipe();

    if (!pipe->pending)
        sigtimedwait(&set, NULL, &(struct timespec){ 0 });
    pthread_sigmask(SIG_SETMASK, &pipe->before, NULL);
}
