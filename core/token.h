/* SPDX-License-Identifier: Apache-2.0 */
/* One token of the process-wide table: opened when first needed, reopened when lost, shared by all contexts. */
#ifndef TOKEN_H
#define TOKEN_H

#include "bytes.h"
#include "host.h"
#include "scan.h"

#include <pthread.h>
#include <stdatomic.h>

struct token;

/* An object that is loaded on the token; a new one for each time the token was opened. */
struct loaded {
    struct loaded *next; /* the token's list, under its list_mutex */
    struct loaded *before; /* what the parent of this process had loaded: never touched, freed with the key */
    unsigned generation;
    void *object;
};

struct token {
    struct token *next; /* the table's list and the count, under the table's mutex */
    unsigned refs;
    struct host *host; /* plugin, options, name */
    char *serial; /* which one, of several that the options reach; NULL: the only one */
    char *secret_name; /* with no INI: the systemd credential that may hold the PIN; else NULL */

    pthread_rwlock_t lock; /* read: a call runs; write: opening, closing */
    void *handle; /* NULL: not open */
    unsigned generation; /* which opening this is; counts forks too */
    int64_t tried_at; /* when opening was last tried, in ms; 0: never */
    int failure; /* its result, and the reason if it failed */
    char reason[512];

    pthread_mutex_t load_mutex; /* loading objects */
    pthread_mutex_t login_mutex; /* logging in */
    _Atomic unsigned logins; /* how often it was done: a caller sees whether another was faster */
    unsigned logged_in; /* the generation that the last one was done in */

    pthread_mutex_t brief_mutex; /* held for moments only, so that a fork can wait for it: */
    struct loaded *loaded; /* what is loaded, */
    struct hx_bytes pin; /* and the PIN, fetched ahead for when the file cannot be read any more */
    bool quiet; /* table.c: the lock is held while the process forks */
    bool watched; /* table.c: we are told of exit() before the token's libraries are */
};

/* table.c */

/* Watches for forks and the process's end; before any lock of ours is taken that a child could need. */
void table_prepare(void);

/* The token in the table, made if it is not there; the table takes host over, also when it fails.  serial and
 * secret_name may be NULL. */
int token_get(struct host *host, const char *serial, const char *secret_name, struct token **ret);
struct token *token_retain(struct token *);
void token_release(struct token *); /* NULL is allowed */

/* A token was opened, with its lock held for writing: in exit() we have to come before what its libraries do there,
 * and what was registered last comes first. */
void table_opened(struct token *);

/* The process is in exit(): the libraries under a plugin may be gone already, so no plugin is called any more. */
bool table_exiting(void);

/* token.c */

const char *token_name(const struct token *);
const struct hx_plugin *token_table(const struct token *);

/* Runs step(token, arg) with the token open and its lock held; logs in, reopens, waits as the result demands.
 * ONCE: step changes the token, so it is not repeated when the token was lost in the middle.  LOGIN: step logs in. */
typedef int token_step(struct token *, void *arg);
enum token_call_flags { TOKEN_ONCE = 1, TOKEN_LOGIN = 2 };
int token_call(struct hx *, struct token *, token_step *step, void *arg, unsigned flags);

/* Between these, as within a step, the process neither forks nor ends: for libcrypto at work on what a step brought.
 * HX_E_LOST: it ends already. */
int token_hold(struct token *);
void token_let_go(struct token *);

/* What the token tells of itself now; inside a step.  Zero where the plugin cannot tell. */
int token_describe(struct token *, struct token_list *ret);

/* Closes the token and has the plugin initialise it; what is open of it in other contexts is lost, and found again. */
int token_initialise(struct token *, const struct hx_spec *, const struct hx_buf *pin, size_t pins);

/* Closes the token; nobody uses it any more. */
void token_close(struct token *);

/* session.c */

/* Fetches the PIN and maps the vendor's library, without touching a device.  A failure shows when the PIN is needed. */
void token_prefetch(struct hx *, struct token *);

/* The PIN to use where none is configured. */
void token_lend_pin(struct token *, const void *pin, size_t len);

/* Logs in with the PIN that is configured, unless it was done since token->logins was this. */
int token_login(struct hx *, struct token *, unsigned logins);

/* Runs step(token, arg, pin, len) with the PIN that is configured (NULL: the token's pinpad): it makes one operation
 * with a key that wants the PIN each time, and HX_E_PIN from it means that the PIN was refused.  One at a time.  own:
 * what names a key, or data, that has a PIN of its own, with which it was asked for (NULL: the empty one);
 * ret_tag: what login.h knows that PIN by, if it was right; NULL: nobody asks. */
typedef int token_pin_step(struct token *, void *arg, const void *pin, size_t len);
int token_authorised(struct hx *, struct token *, const struct hx_bytes *own, token_pin_step *step, void *arg,
                     _Atomic uint64_t *ret_tag);

/* Sends this PIN, or NULL for the pinpad, on a person's word (hx_login). */
int token_login_now(struct hx *, struct token *, const void *pin, size_t len);

/* loaded.c */

/* The object in slot, loaded in this opening of the token by load(token, arg, ret_object); inside a step. */
typedef int token_load(struct token *, void *arg, void **ret_object);
int token_object(struct token *, _Atomic(struct loaded *) *slot, token_load *load, void *arg, void **ret_object);
/* Unloads what slot holds, unless it is the parent's. */
void token_drop(struct token *, _Atomic(struct loaded *) *slot);

/* sink.c: where results go. */
struct sink {
    struct hx_out api; /* first */
    struct hx_bytes bytes;
};
void sink_init(struct sink *);
void sink_free(struct sink *);
#define AUTO_SINK CLEANUP(sink_free)

#endif
