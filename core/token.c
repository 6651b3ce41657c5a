/* SPDX-License-Identifier: Apache-2.0 */
/* A token at work: open it when it is needed, log in, and when it is lost, open it again. */
#include "token.h"

#include "error.h"
#include "log.h"
#include "login.h"
#include "secret.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define BUSY_MS 2000 /* how long a busy token is waited for */
#define REOPEN_MS 100 /* how often opening an absent token is tried */
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

    pthread_mutex_lock(&token->list_mutex);
    all = token->loaded;
    token->loaded = NULL;
    pthread_mutex_unlock(&token->list_mutex);
    for (; all; all = all->next) {
        token_table(token)->unload(all->object);
        all->object = NULL; /* its key frees the rest */
    }
}

/* With the write lock, or as the last user. */
static void close_now(struct token *token)
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

void token_close(struct token *token)
{
    if (!table_exiting())
        close_now(token);
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
    if (!result) {
        token->handle = handle;
        token->failed_at = 0;
        return HX_OK;
    }
    token->failed_at = now_ms();
    token->failure = hx_error_in(result, "token '%s': open", token_name(token));
    snprintf(token->reason, sizeof token->reason, "%s", hx_last_error());
    return result;
}

/* Opens the token unless it is open; one whose generation is lost is closed first.  Of many threads one tries, and an
 * absent device is asked for ten times a second, not more. */
static int ensure_open(struct token *token, unsigned lost)
{
    int64_t start = now_ms();
    int result = HX_OK;

    pthread_rwlock_rdlock(&token->lock);
    start = token->failed_at > start - REOPEN_MS ? token->failed_at + REOPEN_MS : start;
    pthread_rwlock_unlock(&token->lock);
    nap(start - now_ms());
    pthread_rwlock_wrlock(&token->lock);
    if (token->handle && token->generation == lost) {
        hx_log(LOG_NOTICE, "token '%s' was lost, opening it again", token_name(token));
        close_now(token);
    }
    if (!token->handle) {
        if (token->failed_at >= start && token->failed_at)
            result = hx_error(token->failure, "%s", token->reason);
        else
            result = open_now(token);
    }
    pthread_rwlock_unlock(&token->lock);
    return result;
}

/* Runs the step if the token is open or can be opened.  *ret_generation: the one it ran in; 0: it did not run. */
static int run(struct token *token, token_step *step, void *arg, unsigned *ret_generation)
{
    int result;

    *ret_generation = 0;
    for (;;) {
        pthread_rwlock_rdlock(&token->lock);
        if (token->handle)
            break;
        pthread_rwlock_unlock(&token->lock);
        if ((result = ensure_open(token, 0)))
            return result;
    }
    *ret_generation = token->generation;
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

struct login {
    struct token *token;
    const void *pin; /* NULL: the pinpad */
    size_t len;
    bool person; /* a person says so: no rule of ours forbids it */
    unsigned logins;
    struct token_list facts;
};

static int fetch_pin(struct hx *ctx, struct token *token, struct hx_bytes *ret)
{
    int result = secret_fetch(ctx, token->host, "pin", ret);

    if (!result && !ret->len && token->secret_name) {
        result = secret_credential(token->secret_name, ret);
        if (result == HX_E_NOT_FOUND)
            result = HX_OK;
    }
    pthread_mutex_lock(&token->login_mutex);
    if (!result && ret->len) {
        bytes_reset(&token->pin);
        bytes_append(&token->pin, ret->data, ret->len);
    } else if (token->pin.len) { /* the rights to read it may be gone by now */
        result = bytes_append(ret, token->pin.data, token->pin.len);
    }
    pthread_mutex_unlock(&token->login_mutex);
    return result;
}

void token_prefetch(struct hx *ctx, struct token *token)
{
    AUTO_BYTES struct hx_bytes pin = { 0 };
    const struct option_value *value = host_value(token->host, "pin");

    host_preload(token->host);
    if (value && value->credential && !strncmp(value->credential, "hsm:", 4))
        return; /* it would open a device */
    if (fetch_pin(ctx, token, &pin))
        hx_log(LOG_INFO, "token '%s': %s", token_name(token), hx_last_error());
}

static int send(void *arg)
{
    const struct login *login = arg;

    return sane(token_table(login->token)->login(login->token->handle, login->pin, login->len));
}

static const char *serial_of(const struct login *login)
{
    if (login->facts.count && login->facts.token[0].serial)
        return login->facts.token[0].serial;
    return token_name(login->token);
}

static int may_send(const struct login *login)
{
    uint32_t flags = login->facts.count ? login->facts.token[0].flags : 0;
    const char *name = token_name(login->token);

    if (flags & HX_PIN_LOCKED)
        return hx_error(HX_E_LOCKED, "the PIN is locked: unblock it with the vendor's tool");
    if (flags & HX_PIN_FINAL)
        return hx_error(HX_E_PIN, "one more wrong PIN would lock it, so none is sent: say `hsmux login %s`", name);
    if (!login->pin && !(flags & HX_PINPAD))
        return login->token->secret_name ? hx_error(HX_E_LOGIN, "wants a PIN, and there is no systemd credential '%s'",
                                                    login->token->secret_name)
                                         : hx_error(HX_E_LOGIN, "wants a PIN: set pin-file = in [token %s]", name);
    return HX_OK;
}

static int log_in(struct token *token, void *arg)
{
    struct login *login = arg;
    int result = HX_OK;

    if (!token_table(token)->login)
        return hx_error(HX_E_UNSUPPORTED, "plugin '%s' has no login", token_table(token)->name);
    pthread_mutex_lock(&token->login_mutex);
    if (login->person || atomic_load(&token->logins) == login->logins) {
        token_list_free(&login->facts);
        result = token_describe(token, &login->facts);
        if (!result && !login->person)
            result = may_send(login);
        if (!result)
            result = login->person || !login->pin ? send(login)
                                                  : login_once(serial_of(login), login->pin, login->len, send, login);
        if (!result)
            atomic_fetch_add(&token->logins, 1);
        if (!result && login->person)
            login_forget(serial_of(login));
    }
    pthread_mutex_unlock(&token->login_mutex);
    return result;
}

/* Logs in, opening the token once more if it goes away meanwhile. */
static int log_in_now(struct login *login)
{
    unsigned generation;
    int result = run(login->token, log_in, login, &generation);

    if (result == HX_E_LOST && generation && !(result = ensure_open(login->token, generation)))
        result = run(login->token, log_in, login, &generation);
    token_list_free(&login->facts);
    return result ? hx_error_in(result, "token '%s': login", token_name(login->token)) : HX_OK;
}

int token_login_now(struct hx *ctx, struct token *token, const void *pin, size_t len)
{
    struct login login = { .token = token, .pin = pin, .len = len, .person = true };

    (void)ctx;
    return log_in_now(&login);
}

static int log_in_again(struct hx *ctx, struct token *token, unsigned logins)
{
    AUTO_BYTES struct hx_bytes pin = { 0 };
    struct login login = { .token = token, .logins = logins };
    int result = fetch_pin(ctx, token, &pin);

    if (result)
        return hx_error_in(result, "token '%s'", token_name(token));
    login.pin = pin.len ? pin.data : NULL;
    login.len = pin.len;
    return log_in_now(&login);
}

struct attempt {
    unsigned flags, logins, generation;
    bool logged_in, reopened;
    int64_t busy_since, pause;
};

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

static int recover(struct hx *ctx, struct token *token, int result, struct attempt *attempt)
{
    int mended;

    switch (result) {
    case HX_E_LOGIN:
        if (attempt->logged_in || !attempt->generation)
            return result;
        attempt->logged_in = true;
        mended = log_in_again(ctx, token, attempt->logins);
        return mended ? mended : AGAIN;
    case HX_E_LOST:
        if (!attempt->generation || attempt->reopened)
            return result;
        attempt->reopened = true;
        attempt->logged_in = false;
        mended = ensure_open(token, attempt->generation);
        if (attempt->flags & TOKEN_ONCE)
            return hx_error(result, "token '%s' was lost in the middle: look whether it was done", token_name(token));
        return mended ? mended : AGAIN;
    case HX_E_BUSY:
        return wait_busy(attempt);
    default:
        return result;
    }
}

int token_call(struct hx *ctx, struct token *token, token_step *step, void *arg, unsigned flags)
{
    struct attempt attempt = { .flags = flags };
    int result;

    do {
        attempt.logins = atomic_load(&token->logins);
        result = run(token, step, arg, &attempt.generation);
        if (!result)
            return HX_OK;
        result = recover(ctx, token, result, &attempt);
    } while (result == AGAIN);
    return result;
}
