/* SPDX-License-Identifier: Apache-2.0 */
/* One open token: where it is, its pool of sessions, and what was found on it a moment ago. */
#ifndef P11_TOKEN_H
#define P11_TOKEN_H

#include "module.h"

#include <pthread.h>

struct p11_facts;

/* The objects that the last list() found.  Whoever lists in order to load, as every search does, need not search the
 * token again; a second later it is searched, since other processes change it. */
struct p11_recent {
    struct p11_facts **facts;
    size_t count;
    int64_t until; /* CLOCK_MONOTONIC, milliseconds */
};

struct p11_token {
    const struct hx_host *host;
    struct p11_module *module;
    CK_FUNCTION_LIST *fn;
    CK_SLOT_ID slot;
    char label[33], serial[17]; /* without their padding */
    bool needs_login, pinpad, softhsm;
    atomic_bool fresh; /* its slot was looked at just now, and has no session yet */
    unsigned generation;
    atomic_bool wraps_points; /* ECDH: the module wants the peer's point in an OCTET STRING */

    pthread_mutex_t opening; /* held while a session is opened or closed */
    pthread_mutex_t lock; /* of all below; held for list operations only, never during a call into the module */
    pthread_cond_t room; /* a session came back, or may be opened */
    CK_SESSION_HANDLE *idle;
    size_t idle_count, idle_room;
    size_t open, limit, told; /* limit 0: none known; told: the token's own word */
    int64_t learnt; /* until when what was learnt of the limit holds, as p11_now(); 0: nothing was */
    bool all_rw; /* the only session that it has serves for changes too */
    bool logged_in;
    struct p11_recent recent[2]; /* private keys, and whatever else was listed */
};

/* Copies a field of CK_TOKEN_INFO without its padding; ret has room for one byte more than it. */
void p11_unpad(const unsigned char *field, size_t len, char *ret);

/* Do the options, and the serial number that the core asks for (NULL: any), reach this token? */
bool p11_token_is_reached(const struct hx_host *, const char *serial, const CK_TOKEN_INFO *);

int p11_token_open(const struct hx_host *, const char *serial, struct p11_token **ret);
void p11_token_close(struct p11_token *);
bool p11_token_is(const struct p11_token *, const CK_TOKEN_INFO *); /* the same label and serial? */
/* Is it still the one in its slot?  HX_E_LOST, with the reason, if another is, or none.  ret may be NULL. */
int p11_token_check(struct p11_token *, CK_TOKEN_INFO *ret);
int p11_token_scan(const struct hx_host *, struct hx_tokens *);
int p11_token_describe(struct p11_token *, struct hx_tokens *);
int p11_token_login(struct p11_token *, const void *pin, size_t len);
int p11_token_random(struct p11_token *, void *buf, size_t len);

/* initialise.c: the plugin's initialise(). */
int p11_token_initialise(const struct hx_host *, const char *serial, const struct hx_spec *, const struct hx_buf *pin,
                         size_t pins);

/* Is something hidden until login()? */
bool p11_token_wants_login(struct p11_token *);

#endif
