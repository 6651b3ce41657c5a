/* SPDX-License-Identifier: Apache-2.0 */
/* The session pool: as many sessions as there are operations at once, opened when first needed, at most as many as the
 * token has.  Idle ones stay open, which also keeps the login: it ends with the last session. */
#include "session.h"

#include "error.h"
#include "fork.h"

#include <stdlib.h>

static void close_session(struct p11_token *token, CK_SESSION_HANDLE handle)
{
    pthread_mutex_lock(&token->opening);
    token->fn->C_CloseSession(handle);
    pthread_mutex_unlock(&token->opening);
}

#define LEARNT_MS 3000 /* other processes give their sessions back */

/* With the lock. */
static bool is_full(struct p11_token *token)
{
    if (token->learnt && p11_now() >= token->learnt) {
        token->learnt = 0;
        token->limit = token->told;
    }
    return token->limit && token->open >= token->limit;
}

/* 1: taken from the idle ones; 0: the caller may open one more.  Waits while neither is possible: somebody holds a
 * session then, and gives it back. */
static int reserve(struct p11_token *token, CK_SESSION_HANDLE *ret)
{
    int found;

    pthread_mutex_lock(&token->lock);
    while (token->idle_count == 0 && is_full(token))
        pthread_cond_wait(&token->room, &token->lock);
    found = token->idle_count > 0;
    if (found)
        *ret = token->idle[--token->idle_count];
    else
        token->open++;
    pthread_mutex_unlock(&token->lock);
    return found;
}

/* The token has fewer sessions than it said, or other processes hold some: returns whether ours will come back. */
static bool learn_limit(struct p11_token *token)
{
    bool others;

    pthread_mutex_lock(&token->lock);
    others = --token->open > 0;
    if (others) {
        token->limit = token->open;
        token->learnt = p11_now() + LEARNT_MS;
    }
    pthread_cond_signal(&token->room);
    pthread_mutex_unlock(&token->lock);
    return others;
}

/* The login ends with the last session. */
static void forget_one(struct p11_token *token)
{
    pthread_mutex_lock(&token->lock);
    token->logged_in = --token->open > 0 && token->logged_in;
    pthread_cond_signal(&token->room);
    pthread_mutex_unlock(&token->lock);
}

/* All sessions of the process are gone at once, and a handle that we still hold may be given to somebody else's next
 * session: the idle ones are forgotten, not closed. */
void p11_sessions_forget(struct p11_token *token)
{
    pthread_mutex_lock(&token->lock);
    token->open -= token->idle_count;
    token->idle_count = 0;
    token->logged_in = false;
    pthread_cond_broadcast(&token->room);
    pthread_mutex_unlock(&token->lock);
}

/* One at a time, since tpm2-pkcs11 gives two threads the same session.
 * One that is opened later than the first is looked at: in another token's session, which somebody has put into the
 * same slot, the handles that we know may be those of other keys.  The idle sessions are gone then. */
static int open_session(struct p11_token *token, CK_FLAGS flags, CK_SESSION_HANDLE *ret, CK_RV *ret_rv)
{
    CK_SESSION_HANDLE handle;
    int r;

    pthread_mutex_lock(&token->opening);
    *ret_rv = token->fn->C_OpenSession(token->slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &handle);
    pthread_mutex_unlock(&token->opening);
    if (*ret_rv != CKR_OK)
        return p11_fail(token->host, token->label, "C_OpenSession", *ret_rv);
    r = atomic_exchange(&token->fresh, false) ? 0 : p11_token_check(token, NULL);
    if (r) {
        close_session(token, handle);
        if (r == HX_E_LOST)
            p11_sessions_forget(token);
        return r;
    }
    *ret = handle;
    return 0;
}

static bool is_all_rw(struct p11_token *token)
{
    bool all_rw;

    pthread_mutex_lock(&token->lock);
    all_rw = token->all_rw;
    pthread_mutex_unlock(&token->lock);
    return all_rw;
}

int p11_session_take(struct p11_token *token, struct p11_session *ret)
{
    CK_SESSION_HANDLE handle = 0;
    CK_RV rv = CKR_OK;
    int r;

    p11_gate_enter();
    while (!reserve(token, &handle)) {
        r = open_session(token, is_all_rw(token) ? CKF_RW_SESSION : 0, &handle, &rv);
        if (!r)
            break;
        if (rv == CKR_SESSION_COUNT && learn_limit(token))
            continue;
        if (rv != CKR_SESSION_COUNT)
            forget_one(token);
        p11_gate_leave();
        return r;
    }
    *ret = (struct p11_session){ .token = token, .fn = token->fn, .handle = handle };
    return 0;
}

static bool keep(struct p11_token *token, CK_SESSION_HANDLE session)
{
    CK_SESSION_HANDLE *grown;
    bool kept = true;

    pthread_mutex_lock(&token->lock);
    if (token->idle_count == token->idle_room) {
        grown = reallocarray(token->idle, token->idle_room + 16, sizeof *grown);
        kept = grown != NULL;
        if (kept) {
            token->idle = grown;
            token->idle_room += 16;
        }
    }
    if (kept)
        token->idle[token->idle_count++] = session;
    pthread_cond_signal(&token->room);
    pthread_mutex_unlock(&token->lock);
    return kept;
}

/* Of a session that we have not closed: C_CloseAllSessions or C_Finalize, by whoever else uses the module. */
static bool is_somebody_elses_work(CK_RV rv)
{
    return rv == CKR_SESSION_HANDLE_INVALID || rv == CKR_SESSION_CLOSED || rv == CKR_CRYPTOKI_NOT_INITIALIZED;
}

/* Before the last session goes, another is opened, so that no peer who spoils one makes us log in again. */
static void keep_login(struct p11_token *token)
{
    CK_SESSION_HANDLE handle;
    bool last;
    CK_RV rv;

    pthread_mutex_lock(&token->lock);
    last = token->logged_in && token->open == 1 && token->limit != 1;
    token->open += last;
    pthread_mutex_unlock(&token->lock);
    if (!last)
        return;
    if (open_session(token, 0, &handle, &rv)) {
        forget_one(token);
    } else if (!keep(token, handle)) {
        close_session(token, handle);
        forget_one(token);
    }
}

static void drop(struct p11_session *session, CK_RV rv)
{
    struct p11_token *token = session->token;

    if (is_somebody_elses_work(rv))
        atomic_store(&token->module->shared, true);
    if (p11_sessions_are_gone(rv)) {
        p11_sessions_forget(token);
    } else {
        if (!session->rw && p11_result(rv) != HX_E_LOST)
            keep_login(token);
        close_session(token, session->handle);
    }
    if (rv == CKR_USER_NOT_LOGGED_IN) {
        pthread_mutex_lock(&token->lock);
        token->logged_in = false;
        pthread_mutex_unlock(&token->lock);
    }
    if (!session->rw)
        forget_one(token);
}

/* The pool may hold all that the token has: an idle session makes room, but the last one, which keeps the login. */
static bool close_spare(struct p11_token *token)
{
    CK_SESSION_HANDLE handle = 0;
    bool found;

    pthread_mutex_lock(&token->lock);
    found = token->idle_count > 1;
    if (found)
        handle = token->idle[--token->idle_count];
    pthread_mutex_unlock(&token->lock);
    if (!found)
        return false;
    close_session(token, handle);
    forget_one(token);
    return true;
}

/* Takes the pool's session, if there is but one, and waits for whoever has it. */
static bool take_only(struct p11_token *token, CK_SESSION_HANDLE *ret)
{
    bool found;

    pthread_mutex_lock(&token->lock);
    while (token->open == 1 && token->idle_count == 0 && !token->all_rw)
        pthread_cond_wait(&token->room, &token->lock);
    found = token->open == 1 && !token->all_rw;
    if (found)
        *ret = token->idle[--token->idle_count];
    pthread_mutex_unlock(&token->lock);
    return found;
}

/* A token that has one session gives no other for changes: that one is opened anew for both, which ends the login. */
static int make_all_rw(struct p11_token *token)
{
    CK_SESSION_HANDLE handle;
    bool was_logged_in;
    CK_RV rv;
    int r;

    if (!take_only(token, &handle))
        return 0;
    close_session(token, handle);
    r = open_session(token, CKF_RW_SESSION, &handle, &rv);
    if (r) {
        forget_one(token);
        return r;
    }
    pthread_mutex_lock(&token->lock);
    was_logged_in = token->logged_in;
    token->logged_in = false;
    token->all_rw = true;
    pthread_mutex_unlock(&token->lock);
    if (!keep(token, handle)) {
        close_session(token, handle);
        forget_one(token);
    }
    return was_logged_in
               ? hx_fail(token->host, HX_E_LOGIN, "token '%s' has one session, and wants a login for it", token->label)
               : 0;
}

static int take_rw(struct p11_token *token, struct p11_session *ret)
{
    CK_SESSION_HANDLE handle;
    CK_RV rv;
    int r;

    if (is_all_rw(token))
        return p11_session_take(token, ret);
    r = open_session(token, CKF_RW_SESSION, &handle, &rv);
    if (r && rv == CKR_SESSION_COUNT && close_spare(token))
        r = open_session(token, CKF_RW_SESSION, &handle, &rv);
    if (!r) {
        p11_gate_enter(); /* until it is done */
        *ret = (struct p11_session){ .token = token, .fn = token->fn, .handle = handle, .rw = true };
        return 0;
    }
    if (rv != CKR_SESSION_COUNT)
        return r;
    r = make_all_rw(token);
    if (r)
        return r;
    return is_all_rw(token) ? p11_session_take(token, ret)
                            : p11_fail(token->host, token->label, "C_OpenSession", CKR_SESSION_COUNT);
}

int p11_session_take_rw(struct p11_token *token, struct p11_session *ret)
{
    int r;

    p11_gate_enter();
    r = take_rw(token, ret);
    p11_gate_leave();
    return r;
}

void p11_session_expect_rw(struct p11_token *token)
{
    struct p11_session session;

    if (p11_session_take_rw(token, &session) == 0)
        p11_session_done(&session, CKR_OK);
}

int p11_session_done(struct p11_session *session, CK_RV rv)
{
    struct p11_token *token = session->token;

    if (session->rw || session->spoilt || p11_session_is_dead(rv) || !keep(token, session->handle))
        drop(session, rv);
    p11_gate_leave();
    return rv == CKR_OK ? 0 : p11_fail(token->host, token->label, session->function, rv);
}

void p11_sessions_close(struct p11_token *token)
{
    p11_gate_enter();
    while (token->idle_count > 0)
        close_session(token, token->idle[--token->idle_count]);
    p11_gate_leave();
    free(token->idle);
    token->idle = NULL;
}
