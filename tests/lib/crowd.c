/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads sign and verify with one P-256 key, while two others start programs without end: by posix_spawn(), and
 * by fork() and exec.  Arguments: the key's address, threads, signatures of each. */
#include "signer.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define PAUSE_NS 2000000 /* between two programs, or they would have the machine to themselves */

extern char **environ;

static hx_key *key;
static EVP_PKEY *public;
static unsigned signatures;
static atomic_uint signed_right, started;
static atomic_bool stop, failed;

static void *sign(void *arg)
{
    for (unsigned i = 0; i < signatures; i++) {
        if (signer_sign(key, (unsigned)(uintptr_t)arg * signatures + i, public))
            failed = true;
        else
            signed_right++;
    }
    return NULL;
}

static char program[] = "/bin/true";
static char *const arguments[] = { program, NULL };

static pid_t spawn(void)
{
    pid_t pid;

    return posix_spawn(&pid, program, NULL, NULL, arguments, environ) ? -1 : pid;
}

static pid_t fork_and_exec(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        execv(program, arguments);
        _exit(1);
    }
    return pid;
}

static void start(pid_t (*how)(void))
{
    int status = -1;
    pid_t pid = how();

    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "a program did not start, or not end well: %d\n", status);
        failed = true;
    }
    started++;
    nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
}

static void *keep_spawning(void *arg)
{
    (void)arg;
    while (!stop)
        start(spawn);
    return NULL;
}

static void *keep_forking(void *arg)
{
    (void)arg;
    while (!stop)
        start(fork_and_exec);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t signer[THREADS_MAX], spawner, forker;
    hx *context = NULL;
    if (argc != 4 || atoi(argv[2]) > THREADS_MAX || hx_new(NULL, &context) || hx_key_open(context, argv[1], &key)) {
        fprintf(stderr, "%s\n", hx_last_error());
        return 1;
    }
    unsigned threads = (unsigned)atoi(argv[2]);
    signatures = (unsigned)atoi(argv[3]);
    public = signer_public(key);
    pthread_create(&spawner, NULL, keep_spawning, NULL);
    pthread_create(&forker, NULL, keep_forking, NULL);
    for (unsigned i = 0; i < threads; i++)
        pthread_create(&signer[i], NULL, sign, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(signer[i], NULL);
    stop = true;
    pthread_join(spawner, NULL);
    pthread_join(forker, NULL);
    printf("%u of %u signatures are right, %u programs were started meanwhile\n", signed_right, threads * signatures,
           started);
    EVP_PKEY_free(public);
    hx_key_close(key);
    hx_free(context);
    return failed || signed_right != threads * signatures || !started ? 1 : 0;
}
