/* SPDX-License-Identifier: Apache-2.0 */
/* A token at work: open it when it is needed, and when it is lost, open it again; wait while it is busy. */
#include "token.h"

#include "error.h"
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define BUSY_MS 2000 /* how long a busy token is waited for */
#define REOPEN_MS 100 /* how often opening a token is tried at most */
#define AGAIN 1 /* not a result: run the step once more */

const char *token_name(const struct token *token)
{
    return token->host->name;
}

const struct hx_plugin *token_table(const struct token *token)
{
    return &token->host->plugin->table;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void nap(int64_t ms)
{
    if (ms > 0)
        nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* Whatever a plugin returns, callers see one of our results. */
static int sane(int result)
{
    return result <= 0 && result >= HX_E_ACCESS ? result : HX_E_DEVICE;
}

static void unload_all(struct token *token)
{
    struct loaded *all;

    pthread_mutex_lock(&token->brief_mutex);
    all = token->loaded;
    token->loaded = NULL;
    pthread_mutex_unlock(&token->brief_mutex);
    for (; all; all = all->next) {
        token_table(token)->unload(all->object);
        all->object = NULL; /* its key frees the rest */
    }
}

/* With the write lock, or as the last user. */
void token_close(struct token *token)
{
    if (!token->handle)
        return;
    plugin_enter(token->host->plugin);
    unload_all(token);
    token_table(token)->close(token->handle);
    plugin_leave(token->host->plugin);
    token->handle = NULL;
    token->generation++;
}

static int open_now(struct token *token)
{
    void *handle = NULL;
    int result;

    hx_error_clear();
    plugin_enter(token->host->plugin);
    result = sane(token_table(token)->open(&token->host->api, token->serial, &handle));
    plugin_leave(token->host->plugin);
    if (!result && !handle)
        result = hx_error(HX_E_DEVICE, "plugin '%s' opened nothing", token_table(token)->name);
    token->tried_at = now_ms();
    token->failure = result;
    if (!result) {
        token->handle = handle;
        hx_log(LOG_INFO, "token '%s' is open", token_name(token));
        table_opened(token);
        return HX_OK;
    }
    hx_error_in(result, "open");
    snprintf(token->reason, sizeof token->reason, "%s", hx_last_error());
    return result;
}

/* Opens the token unless it is open; one whose generation is lost is closed first.  Of many threads one tries, and a
 * device that is absent, or lost as soon as it is there, is asked for ten times a second, not more. */
static int ensure_open(struct token *token, unsigned lost)
{
    int64_t start = now_ms();
    int result = HX_OK;
    bool open;

    pthread_rwlock_rdlock(&token->lock);
    open = token->handle && token->generation != lost;
    if (token->tried_at && token->tried_at + REOPEN_MS > start)
        start = token->tried_at + REOPEN_MS;
    pthread_rwlock_unlock(&token->lock);
    if (open)
        return HX_OK;
    nap(start - now_ms());
    pthread_rwlock_wrlock(&token->lock);
    if (token->handle && token->generation == lost) {
        hx_log(LOG_NOTICE, "token '%s' was lost, opening it again", token_name(token));
        token_close(token);
    }
    if (!token->handle) {
        if (token->failure && token->tried_at >= start)
            result = hx_error(token->failure, "%s", token->reason);
        else
            result = open_now(token);
    }
    pthread_rwlock_unlock(&token->lock);
    return result;
}

struct attempt {
    unsigned flags;
    unsigned generation; /* the step ran in this one; 0: it did not run */
    unsigned logins; /* token->logins before it ran */
    unsigned logged_in; /* the generation that we logged in to */
    bool reopened;
    int64_t busy_since, pause;
};

int token_hold(struct token *token)
{
    if (pthread_rwlock_rdlock(&token->lock)) /* this thread is in exit() and keeps the others out */
        return hx_error(HX_E_LOST, "the process ends");
    return HX_OK;
}

void token_let_go(struct token *token)
{
    pthread_rwlock_unlock(&token->lock);
}

/* Runs the step if the token is open or can be opened. */
static int run(struct token *token, token_step *step, void *arg, struct attempt *attempt)
{
    int result;

    attempt->generation = 0;
    for (;;) {
        if ((result = token_hold(token)))
            return result;
        if (token->handle)
            break;
        token_let_go(token);
        if ((result = ensure_open(token, 0)))
            return result;
    }
    attempt->generation = token->generation;
    attempt->logins = atomic_load(&token->logins);
    hx_error_clear();
    plugin_enter(token->host->plugin);
    result = sane(step(token, arg));
    plugin_leave(token->host->plugin);
    pthread_rwlock_unlock(&token->lock);
    return result;
}

int token_describe(struct token *token, struct token_list *ret)
{
    return scan_open_token(token->host->plugin, token->handle, ret);
}

static int wait_busy(struct attempt *attempt)
{
    if (!attempt->busy_since) {
        attempt->busy_since = now_ms();
        attempt->pause = 2;
    }
    if (now_ms() - attempt->busy_since + attempt->pause > BUSY_MS)
        return HX_E_BUSY;
    nap(attempt->pause);
    attempt->pause = attempt->pause < 100 ? attempt->pause * 2 : attempt->pause;
    return AGAIN;
}

static int log_in(struct hx *ctx, struct token *token, struct attempt *attempt)
{
    int result;

    if (attempt->flags & TOKEN_LOGIN || attempt->logged_in == attempt->generation)
        return HX_E_LOGIN;
    attempt->logged_in = attempt->generation;
    result = token_login(ctx, token, attempt->logins);
    return result ? result : AGAIN;
}

static int reopen(struct token *token, struct attempt *attempt)
{
    int result;

    if (!attempt->generation || attempt->reopened)
        return HX_E_LOST;
    attempt->reopened = true;
    result = ensure_open(token, attempt->generation);
    if (attempt->flags & TOKEN_ONCE)
        return hx_error(HX_E_LOST, "the token was lost in the middle: look whether it was done");
    return result && result != HX_E_BUSY ? result : AGAIN;
}

int token_call(struct hx *ctx, struct token *token, token_step *step, void *arg, unsigned flags)
{
    struct attempt attempt = { .flags = flags };
    int result;

    do {
        result = run(token, step, arg, &attempt);
        if (result == HX_E_LOGIN && attempt.generation)
            result = log_in(ctx, token, &attempt);
        else if (result == HX_E_LOST)
            result = reopen(token, &attempt);
        else if (result == HX_E_BUSY)
            result = wait_busy(&attempt);
    } while (result == AGAIN);
    return result;
}

int token_initialise(struct token *token, const struct hx_spec *spec, const struct hx_buf *pin, size_t pins)
{
    int result;

    pthread_rwlock_wrlock(&token->lock);
    token_close(token);
    hx_error_clear();
    plugin_enter(token->host->plugin);
    result = sane(token_table(token)->initialise(&token->host->api, token->serial, spec, pin, pins));
    plugin_leave(token->host->plugin);
    token->failure = HX_OK; /* that it could not be opened until now says nothing any more */
    token->tried_at = 0;
    pthread_rwlock_unlock(&token->lock);
    return result;
}
