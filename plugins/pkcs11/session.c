/* SPDX-License-Identifier: Apache-2.0 */
/* The session pool: as many sessions as there are operations at once, opened when first needed, at most as many as the
 * token has.  Idle ones stay open, which also keeps the login: it ends with the last session. */
#include "session.h"

#include "error.h"
#include "fork.h"

#include <stdlib.h>

/* One at a time: tpm2-pkcs11 gives two threads the same session. */
static CK_RV open_session(struct p11_token *token, CK_FLAGS flags, CK_SESSION_HANDLE *ret)
{
    CK_RV rv;

    pthread_mutex_lock(&token->opening);
    rv = token->fn->C_OpenSession(token->slot, flags, NULL, NULL, ret);
    pthread_mutex_unlock(&token->opening);
    return rv;
}

static void close_session(struct p11_token *token, CK_SESSION_HANDLE handle)
{
    pthread_mutex_lock(&token->opening);
    token->fn->C_CloseSession(handle);
    pthread_mutex_unlock(&token->opening);
}

/* 1: taken from the idle ones; 0: the caller may open one more.  Waits while neither is possible: somebody holds a
 * session then, and gives it back. */
static int reserve(struct p11_token *token, CK_SESSION_HANDLE *ret)
{
    int found;

    pthread_mutex_lock(&token->lock);
    while (token->idle_count == 0 && token->limit && token->open >= token->limit)
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
    token->limit = others ? token->open : token->limit;
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

int p11_session_take(struct p11_token *token, struct p11_session *ret)
{
    CK_SESSION_HANDLE handle = 0;
    CK_RV rv = CKR_OK;

    p11_gate_enter();
    while (!reserve(token, &handle)) {
        rv = open_session(token, CKF_SERIAL_SESSION, &handle);
        if (rv == CKR_OK)
            break;
        if (rv == CKR_SESSION_COUNT && learn_limit(token))
            continue;
        if (rv != CKR_SESSION_COUNT)
            forget_one(token);
        p11_gate_leave();
        return p11_fail(token->host, token->label, "C_OpenSession", rv);
    }
    *ret = (struct p11_session){ .token = token, .fn = token->fn, .handle = handle };
    return 0;
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

static void drop(struct p11_session *session, CK_RV rv)
{
    struct p11_token *token = session->token;

    if (p11_sessions_are_gone(rv))
        p11_sessions_forget(token);
    else
        close_session(token, session->handle);
    if (rv == CKR_USER_NOT_LOGGED_IN) {
        pthread_mutex_lock(&token->lock);
        token->logged_in = false;
        pthread_mutex_unlock(&token->lock);
    }
    if (!session->rw)
        forget_one(token);
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

int p11_session_take_rw(struct p11_token *token, struct p11_session *ret)
{
    const CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    CK_SESSION_HANDLE handle;
    CK_RV rv;

    p11_gate_enter();
    rv = open_session(token, flags, &handle);
    if (rv == CKR_SESSION_COUNT && close_spare(token))
        rv = open_session(token, flags, &handle);
    if (rv != CKR_OK) {
        p11_gate_leave();
        return p11_fail(token->host, token->label, "C_OpenSession", rv);
    }
    *ret = (struct p11_session){ .token = token, .fn = token->fn, .handle = handle, .rw = true };
    return 0;
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
