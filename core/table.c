/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process-wide table of tokens, and what happens to it when the process forks or ends.
 *
 * Before a fork we wait, for a moment, until no thread is in a call on a token: the locks within a vendor's library
 * cannot be mended in the child.  Scans, and the closing of a token that nobody uses any more, are not waited for.  In
 * the child every lock of ours is made anew, since its holder may not exist there, and every token counts as not open:
 * what the parent opened is left alone.
 */
#include "context.h"
#include "error.h"
#include "token.h"

#include <openssl/crypto.h>
#include <string.h>
#include <time.h>

#define QUIET_MS 500

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct token *list;
static atomic_bool exiting;

bool table_exiting(void)
{
    return atomic_load(&exiting);
}

static void init_locks(struct token *token)
{
    pthread_rwlockattr_t attr;

    /* Whoever reopens a lost token must not starve behind a stream of callers. */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&token->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&token->load_mutex, NULL);
    pthread_mutex_init(&token->login_mutex, NULL);
    pthread_mutex_init(&token->brief_mutex, NULL);
}

/* Waits until no thread is in a call on a token, and keeps them out; with the mutex held. */
static void quieten(void)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_nsec += QUIET_MS % 1000 * 1000000L;
    deadline.tv_sec += QUIET_MS / 1000 + deadline.tv_nsec / 1000000000L;
    deadline.tv_nsec %= 1000000000L;
    /* A plugin that forks or exits holds the read lock itself. */
    for (struct token *token = list; token; token = token->next)
        token->quiet = !plugin_inside() && !pthread_rwlock_timedwrlock(&token->lock, &deadline);
}

/* Our handlers are registered again behind those of each plugin, so that they run before them: a plugin that waits for
 * its own calls to end must not keep out the one that we wait for.  Only the outermost does the work. */
static _Thread_local unsigned forking;

static void before_fork(void)
{
    if (forking++)
        return;
    context_fork_prepare();
    pthread_mutex_lock(&mutex);
    quieten();
    for (struct token *token = list; token; token = token->next)
        pthread_mutex_lock(&token->brief_mutex);
}

static void let_go(void)
{
    for (struct token *token = list; token; token = token->next) {
        pthread_mutex_unlock(&token->brief_mutex);
        if (token->quiet)
            pthread_rwlock_unlock(&token->lock);
    }
    pthread_mutex_unlock(&mutex);
    context_fork_done();
}

static void after_fork(void)
{
    if (!--forking)
        let_go();
}

static void after_fork_in_child(void)
{
    if (--forking)
        return;
    let_go();
    pthread_mutex_init(&mutex, NULL);
    for (struct token *token = list; token; token = token->next) {
        init_locks(token);
        token->handle = NULL;
        token->loaded = NULL;
        token->generation++;
        token->tried_at = 0;
    }
    plugin_fork_child();
    context_fork_child();
}

/* Other threads still work, while the libraries under their feet are taken down: from here on they wait for the end.
 * Never for the mutex: who calls exit() from a signal handler may hold it. */
static void at_exit(void)
{
    if (atomic_exchange(&exiting, true) || pthread_mutex_trylock(&mutex))
        return;
    quieten();
    pthread_mutex_unlock(&mutex);
}

static void register_fork(void)
{
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* What is registered last is called first: libcrypto, too, must still be there while we wait for other threads, which
 * may be the first to use it.  It registers its handler only if there is something to do, so we ask for a little. */
static void register_exit(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_ADD_ALL_DIGESTS, NULL);
    atexit(at_exit);
}

void table_opened(struct token *token)
{
    if (!atomic_exchange(&token->host->plugin->watched, true))
        register_fork();
    if (!token->watched)
        register_exit();
    token->watched = true;
}

static void register_handlers(void)
{
    register_fork();
    register_exit();
}

void table_prepare(void)
{
    pthread_once(&once, register_handlers);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static struct token *known(const struct host *host, const char *serial)
{
    for (struct token *token = list; token; token = token->next)
        if (host_same(token->host, host) && same_text(token->serial, serial))
            return token;
    return NULL;
}

static void destroy(struct token *token)
{
    host_free(token->host);
    free(token->serial);
    free(token->secret_name);
    hx_bytes_free(&token->pin);
    free(token);
}

static struct token *make(struct host *host, const char *serial, const char *secret_name)
{
    struct token *token = calloc(1, sizeof *token);

    if (!token)
        return NULL;
    token->serial = string_copy(serial);
    token->secret_name = string_copy(secret_name);
    if ((serial && !token->serial) || (secret_name && !token->secret_name)) {
        destroy(token);
        return NULL;
    }
    token->host = host;
    token->generation = 1;
    init_locks(token);
    return token;
}

int token_get(struct host *host, const char *serial, const char *secret_name, struct token **ret)
{
    struct token *token;

    pthread_mutex_lock(&mutex);
    token = known(host, serial);
    if (token) {
        token->refs++;
        host_free(host);
    } else if ((token = make(host, serial, secret_name))) {
        token->refs = 1;
        token->next = list;
        list = token;
    }
    pthread_mutex_unlock(&mutex);
    if (!token) {
        host_free(host);
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    *ret = token;
    return HX_OK;
}

struct token *token_retain(struct token *token)
{
    pthread_mutex_lock(&mutex);
    token->refs++;
    pthread_mutex_unlock(&mutex);
    return token;
}

static bool unlink_last(struct token *token)
{
    struct token **at = &list;
    bool last;

    pthread_mutex_lock(&mutex);
    last = --token->refs == 0;
    while (last && *at != token)
        at = &(*at)->next;
    if (last)
        *at = token->next;
    pthread_mutex_unlock(&mutex);
    return last;
}

void token_release(struct token *token)
{
    /* At the end of the process it stays as it is: its plugin may be gone already. */
    if (!token || table_exiting() || !unlink_last(token))
        return;
    token_close(token);
    destroy(token);
}
