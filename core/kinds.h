/* SPDX-License-Identifier: Apache-2.0 */
/* What a key's token was seen to do since it was opened: the kinds of operation that it does right by itself, and those
 * that the core pads for it. */
#ifndef KINDS_H
#define KINDS_H

#include <hsmux/types.h>
#include <stdatomic.h>
#include <stdbool.h>

struct kinds {
    _Atomic uint64_t seen[16]; /* what finds no room is looked at each time */
    atomic_uint opening; /* how often all was forgotten */
    _Atomic int64_t looked_at; /* CLOCK_MONOTONIC, ms: when one was last seen to be right */
};

enum padder { BY_TOKEN, BY_CORE };

/* Which opening of the token an operation runs in: to be asked for inside its step. */
unsigned kinds_opening(struct kinds *);

/* A kind: scheme, hash, mask's hash, PSS: length of the salt, OAEP: is there a label? */
bool kinds_known(struct kinds *, const struct hx_alg *, enum padder, unsigned opening);
void kinds_note(struct kinds *, const struct hx_alg *, enum padder, unsigned opening);

/* Is it a while since one was seen to be right?  Another program may have put another key in the place of ours. */
bool kinds_stale(const struct kinds *);
void kinds_looked(struct kinds *);

/* The token was opened anew, and may be another one by now. */
void kinds_forget(struct kinds *);

#endif
