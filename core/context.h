/* SPDX-License-Identifier: Apache-2.0 */
/* A context: one configuration, and the tokens that it names or, if it names none, that are there. */
#ifndef CONTEXT_H
#define CONTEXT_H

#include "config.h"
#include "token.h"

/* The public key of a private key that cannot tell it, as a test signature proved. */
struct proof {
    struct proof *next;
    const struct token *token;
    struct hx_bytes ref, spki;
};

struct slot {
    struct slot *next;
    char *name; /* what addresses call the token */
    struct token *token;
};

struct hx {
    struct hx *next; /* all contexts, for fork() */
    atomic_uint refs;
    struct config *config;
    bool configured; /* there are [token] sections */
    pthread_mutex_t mutex; /* the rest; held for moments only */
    struct slot *slots; /* grows at its end; tokens stay until the context goes */
    struct proof *proofs;
};

struct hx *context_retain(struct hx *);

/* A token that could not even be looked for, and why. */
struct problem {
    char *name, *reason;
    int result;
};

struct token_set {
    struct token **token; /* each retained */
    size_t count;
    struct problem *problem;
    size_t problems;
};

void token_set_free(struct token_set *);
#define AUTO_TOKEN_SET CLEANUP(token_set_free)
int token_set_problem(struct token_set *, const char *name, int result);

/* All tokens: the configured ones or, with none configured, those that the installed plugins find now. */
int context_tokens(struct hx *, struct token_set *ret);

/* What the context's addresses call the token; lives as long as the context.  Another context that shares the token may
 * call it something else. */
const char *context_name(struct hx *, const struct token *);

/* The token of that name, retained. */
int context_token(struct hx *, const char *name, struct token **ret);

/* The same; NULL: the only one whose plugin can do something. */
typedef bool context_can(const struct hx_plugin *);
int context_token_that(struct hx *, const char *name, context_can *can, struct token **ret);

/* Like context_token(), without touching a device: HX_E_NOT_FOUND if that is impossible, since only a scan can tell. */
int context_token_known(struct hx *, const char *name, struct token **ret);

void token_unref(struct token **);
#define AUTO_TOKEN CLEANUP(token_unref)

/* The slot of that name, with the mutex held; NULL: none.  Adds a token, which is taken over, unless it is there. */
struct slot *context_slot(struct hx *, const char *name);
int context_add(struct hx *, const char *name, struct token *);

/* discover.c: adds what the installed plugins find (failures become set's problems), or one token that was found. */
int context_discover(struct hx *, struct token_set *set);
int context_add_found(struct hx *, struct plugin *, const char *name, const char *serial);

/* table.c, around fork(): no context is half made meanwhile; the child has fresh locks. */
void context_fork_prepare(void);
void context_fork_done(void);
void context_fork_child(void);

#endif
