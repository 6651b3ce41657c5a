/* SPDX-License-Identifier: Apache-2.0 */
/* Logging in to a token: where the PIN comes from, whether it may be sent, and one login for all who wait for it. */
#include "error.h"
#include "log.h"
#include "login.h"
#include "secret.h"
#include "token.h"

#include <string.h>

struct login {
    const void *pin; /* NULL: the pinpad */
    size_t len;
    bool person; /* a person says so: no rule of ours forbids it */
    unsigned logins; /* so many were done when the caller found that one is needed */
    bool final; /* the token has one try left, which is a person's */
    bool lost; /* the token was lost with our PIN: nobody knows whether it counted as a try */
    bool empty; /* there is no PIN, which means the empty one, not a pinpad */
    const struct hx_bytes *own; /* what names the key that has a PIN of its own; NULL: it is the token's */
    struct token *token;
    struct token_list facts;
    uint64_t tag; /* of that PIN */
    token_pin_step *step; /* an operation that wants the PIN for itself, and its argument */
    void *arg;
};

void token_lend_pin(struct token *token, const void *pin, size_t len)
{
    pthread_mutex_lock(&token->brief_mutex);
    bytes_reset(&token->pin);
    bytes_append(&token->pin, pin, len);
    pthread_mutex_unlock(&token->brief_mutex);
}

static int fetch_pin(struct hx *ctx, struct token *token, struct hx_bytes *ret)
{
    int result = secret_fetch(ctx, token->host, "pin", ret);

    if (!result && !ret->len && token->secret_name) {
        result = secret_credential(token->secret_name, ret);
        if (result == HX_E_NOT_FOUND)
            result = HX_OK;
    }
    if (!result && ret->len) {
        token_lend_pin(token, ret->data, ret->len);
        return HX_OK;
    }
    pthread_mutex_lock(&token->brief_mutex);
    if (token->pin.len) /* the rights to read it may be gone by now */
        result = bytes_append(ret, token->pin.data, token->pin.len);
    pthread_mutex_unlock(&token->brief_mutex);
    return result;
}

void token_prefetch(struct hx *ctx, struct token *token)
{
    AUTO_BYTES struct hx_bytes pin = { 0 };
    const struct option_value *value = host_value(token->host, "pin");
    bool elsewhere = value && value->credential && !strncmp(value->credential, "hsm:", 4);
    int result;

    host_preload(token->host);
    result = elsewhere ? HX_OK : fetch_pin(ctx, token, &pin); /* to read it there would open a device */
    if (result)
        hx_log_seldom(LOG_WARNING, "token '%s': %s", token_name(token), hx_last_error());
    else if (elsewhere || pin.len || token_table(token)->authorise) /* which may try a key with the empty PIN */
        login_ahead();
}

static int send(void *arg)
{
    const struct login *login = arg;

    return token_table(login->token)->login(login->token->handle, login->pin, login->len);
}

static const char *serial_of(const struct login *login)
{
    if (login->facts.count && login->facts.token[0].serial && *login->facts.token[0].serial)
        return login->facts.token[0].serial;
    return token_name(login->token);
}

/* Sends the PIN unless it was refused before.  The memory knows a pinpad as no PIN, and the empty PIN as a NUL. */
static int send_once(struct login *login, login_try *try)
{
    if (login->empty)
        return login_once(serial_of(login), "", 1, try, login);
    return login_once(serial_of(login), login->pin ? login->pin : "", login->len, try, login);
}

/* Under this name the memory has the PINs that keys have of their own. */
static int keys_of(const struct token *token, struct hx_bytes *ret)
{
    return bytes_printf(ret, "keys of %s", token_name(token));
}

/* The same for a key's own PIN, which may be right for another key. */
static int send_own_once(struct login *login, login_try *try)
{
    AUTO_BYTES struct hx_bytes serial = { 0 };
    AUTO_BYTES struct hx_bytes text = { 0 };
    int result;

    login->empty = !login->pin;
    if ((result = keys_of(login->token, &serial)) || (result = bytes_append(&text, login->pin, login->len)) ||
        (result = bytes_append(&text, "", 1)) || (result = bytes_append(&text, login->own->data, login->own->len)) ||
        (result = login_tag((char *)serial.data, text.data, text.len, &login->tag)))
        return result;
    return login_once((char *)serial.data, text.data, text.len, try, login);
}

static int may_send(struct login *login)
{
    uint32_t flags = login->facts.count ? login->facts.token[0].flags : 0;
    const char *name = token_name(login->token);

    if (flags & HX_PIN_LOCKED)
        return hx_error(HX_E_LOCKED, "the PIN is locked: unblock it with the vendor's tool");
    login->final = flags & HX_PIN_FINAL;
    if (login->final)
        return hx_error(HX_E_PIN, "one more wrong PIN would lock it, so none is sent: say `hsmux login %s`", name);
    login->empty = !login->pin && flags & HX_PIN_EMPTY && !(flags & HX_PINPAD);
    if (!login->pin && !login->empty && !(flags & HX_PINPAD))
        return login->token->secret_name ? hx_error(HX_E_LOGIN, "wants a PIN, and there is no systemd credential '%s'",
                                                    login->token->secret_name)
                                         : hx_error(HX_E_LOGIN, "wants a PIN: set pin-file = in [token %s]", name);
    return HX_OK;
}

/* Has another thread logged in since, and to this opening of the token? */
static bool was_done(const struct token *token, const struct login *login)
{
    return !login->person && atomic_load(&token->logins) != login->logins && token->logged_in == token->generation;
}

/* Of keys' own PINs all: which of them the person has put right nobody knows. */
static void forget_refused(const struct login *login)
{
    AUTO_BYTES struct hx_bytes keys = { 0 };

    login_forget(serial_of(login), login->pin ? login->pin : "", login->len);
    if (!keys_of(login->token, &keys))
        login_forget_all((char *)keys.data);
}

static int log_in(struct token *token, struct login *login)
{
    int result;

    token_list_free(&login->facts);
    if ((result = token_describe(token, &login->facts)) || (!login->person && (result = may_send(login))))
        return result;
    result = login->person ? send(login) : send_once(login, send);
    login->lost = result == HX_E_LOST;
    if (login->person && login->pin && result == HX_E_PIN)
        login_refused(serial_of(login), login->pin, login->len);
    if (result)
        return result;
    token->logged_in = token->generation;
    atomic_fetch_add(&token->logins, 1);
    if (login->person)
        forget_refused(login);
    return HX_OK;
}

static int log_in_step(struct token *token, void *arg)
{
    struct login *login = arg;
    int result = HX_OK;

    if (!token_table(token)->login)
        return hx_error(HX_E_UNSUPPORTED, "plugin '%s' has no login", token_table(token)->name);
    if (login->lost)
        return hx_error(HX_E_LOST, "the token was lost while it looked at the PIN, which is not sent twice");
    pthread_mutex_lock(&token->login_mutex);
    if (!was_done(token, login))
        result = log_in(token, login);
    pthread_mutex_unlock(&token->login_mutex);
    return result;
}

static int log_in_now(struct hx *ctx, struct login *login)
{
    int result = token_call(ctx, login->token, log_in_step, login, TOKEN_LOGIN);

    token_list_free(&login->facts);
    return result;
}

int token_login_now(struct hx *ctx, struct token *token, const void *pin, size_t len)
{
    struct login login = { .token = token, .pin = pin, .len = len, .person = true };
    int result = log_in_now(ctx, &login);

    return result ? hx_error_in(result, "token '%s': login", token_name(token)) : HX_OK;
}

static void advise_to_set(const struct token *token)
{
    if (token->secret_name)
        hx_error(HX_E_PIN, "the key wants a PIN (its auth value), and there is no systemd credential '%s'",
                 token->secret_name);
    else
        hx_error(HX_E_PIN, "the key wants a PIN (its auth value): set pin-file = in [token %s]", token_name(token));
}

/* A wrong PIN is the commonest mistake: say which one was sent. */
static void advise(const struct login *login)
{
    const struct token *token = login->token;
    const struct option_value *pin = host_value(token->host, "pin");
    AUTO_BYTES struct hx_bytes said = { 0 };
    const char *name = token_name(token);

    if (login->empty)
        advise_to_set(token);
    if (login->empty || bytes_text(&said, hx_last_error()))
        return;
    if (!login->pin) {
        hx_error(HX_E_PIN, "%s: say `hsmux login %s --pinpad`", (char *)said.data, name);
        return;
    }
    if (pin && pin->file)
        hx_error(HX_E_PIN, "%s: correct it in '%s' (if it is right by now: `hsmux login %s`)", (char *)said.data,
                 pin->file, name);
    else if (pin && pin->credential)
        hx_error(HX_E_PIN, "%s: correct the credential '%s' (if it is right by now: `hsmux login %s`)",
                 (char *)said.data, pin->credential, name);
    else
        hx_error(HX_E_PIN, "%s: correct it (if it is right by now: `hsmux login %s`)", (char *)said.data, name);
}

static int log_in_with(struct hx *ctx, struct login *login, token_step *step, unsigned flags)
{
    AUTO_BYTES struct hx_bytes pin = { 0 };
    int result = fetch_pin(ctx, login->token, &pin);

    if (result)
        return result;
    login->pin = pin.len ? pin.data : NULL;
    login->len = pin.len;
    result = token_call(ctx, login->token, step, login, flags);
    token_list_free(&login->facts);
    if (result == HX_E_PIN && !login->final)
        advise(login);
    return result;
}

int token_login(struct hx *ctx, struct token *token, unsigned logins)
{
    struct login login = { .token = token, .logins = logins };
    int result = log_in_with(ctx, &login, log_in_step, TOKEN_LOGIN);

    return result ? hx_error_in(result, "login") : HX_OK;
}

static int perform(void *arg)
{
    const struct login *login = arg;

    return login->step(login->token, login->arg, login->pin, login->len);
}

/* Nobody else's login or operation comes in between; the same memory that guards logins says whether the PIN may go. */
static int authorised_step(struct token *token, void *arg)
{
    struct login *login = arg;
    int result;

    pthread_mutex_lock(&token->login_mutex);
    token_list_free(&login->facts);
    if (login->own) /* whether it may be sent depends on the key too: the plugin says so */
        result = send_own_once(login, perform);
    else if (!(result = token_describe(token, &login->facts)) && !(result = may_send(login)))
        result = send_once(login, perform);
    pthread_mutex_unlock(&token->login_mutex);
    return result;
}

int token_authorised(struct hx *ctx, struct token *token, const struct hx_bytes *own, token_pin_step *step, void *arg,
                     _Atomic uint64_t *ret_tag)
{
    struct login login = { .token = token, .own = own, .step = step, .arg = arg };
    int result = log_in_with(ctx, &login, authorised_step, own ? TOKEN_LOGIN : 0);

    if (!result && ret_tag)
        atomic_store(ret_tag, login.tag);
    return result;
}
