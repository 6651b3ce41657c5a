/* SPDX-License-Identifier: Apache-2.0 */
/* A view of the token whose failures stay here: one bad file must not fail a listing, only be logged. */
#ifndef QUIET_H
#define QUIET_H

#include "token.h"

struct quiet {
    struct hx_host host; /* first */
    const struct hx_host *outer;
    struct token token; /* knows host and path, not the PIN */
    char reason[1024];
};

void quiet_init(struct quiet *, const struct token *);
void quiet_warn(struct quiet *); /* logs the last reason */

#endif
