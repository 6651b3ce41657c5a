/* SPDX-License-Identifier: Apache-2.0 */
/* The candidates for the device's credential, and the choice among them. */
#ifndef CHOICE_H
#define CHOICE_H

#include "certificate.h"
#include "credential.h"

struct candidate {
    struct token *token; /* retained */
    struct object key;
    char *address;
    struct hx_bytes spki; /* empty: the token does not tell, and no certificate did */
    bool paired; /* the pool was searched for its certificate */
    const struct certificate *leaf; /* in the pool; NULL: a bare key */
};

struct choice {
    struct token_set tokens; /* its problems: what was passed over, and why */
    struct pool pool;
    struct candidate *candidate;
    size_t count;
    const struct candidate *chosen;
    struct hx_bytes why;
};

void choice_free(struct choice *);
#define AUTO_CHOICE CLEANUP(choice_free)

/* Finds the candidates and chooses.  ret is filled as far as it went, also on failure: `hsmux status` shows it. */
int choice_make(struct hx *, struct choice *ret);

#endif
