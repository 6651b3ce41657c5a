/* SPDX-License-Identifier: Apache-2.0 */
/* Long work says that it is running: a line on a terminal, from a thread that waits a second first. */
#include "tool.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PATIENCE = 1 }; /* seconds */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended;
static pthread_t thread;
static char *line; /* NULL: nothing is running */
static bool shown, over;

static void *wait_and_show(void *arg)
{
    struct timespec until;
    int reason = 0;

    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE;
    pthread_mutex_lock(&lock);
    while (!over && !reason)
        reason = pthread_cond_timedwait(&ended, &lock, &until);
    if (!over) {
        shown = true;
        fputs(line, stderr);
        fflush(stderr);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Signals are for the thread that works, as if this one were not there. */
static int start_thread(void)
{
    pthread_condattr_t monotonic;
    sigset_t all, before;
    int reason;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    reason = pthread_create(&thread, NULL, wait_and_show, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return reason;
}

void progress_start(const char *what, const char *token)
{
    if (line || !isatty(STDERR_FILENO))
        return;
    line = token ? text_of("hsmux: %s on token '%s' ...", what, token) : text_of("hsmux: %s ...", what);
    if (!line)
        return;
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
    over = shown = false;
    if (start_thread()) {
        free(line);
        line = NULL;
    }
}

/* A terminal that cannot erase keeps the line. */
static void erase(void)
{
    const char *terminal = getenv("TERM");

    if (!shown)
        return;
    fputs(terminal && *terminal && strcmp(terminal, "dumb") ? "\r\033[K" : "\n", stderr);
    fflush(stderr);
    shown = false;
}

void progress_erase(void)
{
    pthread_mutex_lock(&lock);
    erase();
    pthread_mutex_unlock(&lock);
}

void progress_end(void)
{
    if (!line)
        return;
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    erase();
    pthread_cond_destroy(&ended);
    free(line);
    line = NULL;
}
