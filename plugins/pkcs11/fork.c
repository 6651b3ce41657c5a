/* SPDX-License-Identifier: Apache-2.0 */
/* The gate that keeps fork() and calls into a module apart, and the generation by which a child knows what it
 * inherited. */
#include "fork.h"

#include "module.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define FORK_WAIT_MS 2000
#define CLOSE_WAIT_MS 100 /* nobody else comes in meanwhile */

/* Calls hold it to read, fork() to write; made by the first p11_fork_watch(), and anew in each child. */
static pthread_rwlock_t gate;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local unsigned depth;
static _Thread_local bool held; /* by this thread, which forks, between prepare() and parent() */
static atomic_uint generation;
static pid_t owner;

/* The writer goes first, or a busy server's signatures would keep fork() waiting without end. */
static void make_gate(void)
{
    pthread_rwlockattr_t attr;

    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&gate, &attr);
    pthread_rwlockattr_destroy(&attr);
}

void p11_gate_enter(void)
{
    if (depth++ == 0)
        pthread_rwlock_rdlock(&gate);
}

void p11_gate_leave(void)
{
    if (--depth == 0)
        pthread_rwlock_unlock(&gate);
}

static bool close_within(long ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_rwlock_timedwrlock(&gate, &until) == 0;
}

bool p11_gate_close(void)
{
    if (depth > 0 || !close_within(CLOSE_WAIT_MS))
        return false;
    depth = 1;
    return true;
}

void p11_gate_open(void)
{
    depth = 0;
    pthread_rwlock_unlock(&gate);
}

/* A module that forks by itself does so inside the gate, and a device may hang: neither may stop fork() for good. */
static void prepare(void)
{
    held = depth == 0 && close_within(FORK_WAIT_MS);
}

static void parent(void)
{
    if (held)
        pthread_rwlock_unlock(&gate);
}

/* The child has one thread and none of the others' locks: all are made anew, never unlocked. */
static void child(void)
{
    if (owner == getpid())
        return;
    owner = getpid();
    make_gate();
    if (depth > 0)
        pthread_rwlock_rdlock(&gate);
    atomic_fetch_add(&generation, 1);
    p11_modules_forget();
}

static void watch(void)
{
    owner = getpid();
    make_gate();
    pthread_atfork(prepare, parent, child);
}

void p11_fork_watch(void)
{
    pthread_once(&once, watch);
}

unsigned p11_generation(void)
{
    return atomic_load(&generation);
}

/* The handler above has done it already, unless the process was cloned in a way that runs none. */
void p11_forked(void)
{
    p11_fork_watch();
    child();
}
