/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of read-only sessions of one token, and read-write sessions for the rare change. */
#ifndef P11_SESSION_H
#define P11_SESSION_H

#include "token.h"

struct p11_session {
    struct p11_token *token;
    CK_FUNCTION_LIST *fn;
    CK_SESSION_HANDLE handle;
    bool rw;
    bool spoilt; /* by the caller: not for the pool again */
    const char *function; /* the call that was made last, for the message */
};

/* A session for one operation; opens one, or waits for one when the token has no more.  Each must go through
 * p11_session_done() afterwards. */
int p11_session_take(struct p11_token *, struct p11_session *ret);

/* A session that may change the token.  HX_E_LOGIN where that ended the login. */
int p11_session_take_rw(struct p11_token *, struct p11_session *ret);

/* Before a login for the sake of a change: takes one and gives it back, so that the login need not be done twice. */
void p11_session_expect_rw(struct p11_token *);

/* Gives the session back, or drops it when rv says that it is dead.  0 for CKR_OK, else what p11_fail() makes of rv. */
int p11_session_done(struct p11_session *, CK_RV rv);

/* All sessions of the process are gone, and the login with them. */
void p11_sessions_forget(struct p11_token *);

/* Closes our sessions, and no others. */
void p11_sessions_close(struct p11_token *);

#endif
