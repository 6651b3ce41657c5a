/* SPDX-License-Identifier: Apache-2.0 */
/* What the directory holds. */
#ifndef LIST_H
#define LIST_H

#include "contents.h"

int list_objects(void *token, struct hx_list *);

/* Calls fn for each file of ours that can be read, until it returns non-zero, which list_each returns. */
typedef int list_fn(void *arg, const char *file, const struct contents *);
int list_each(struct token *, list_fn *fn, void *arg);

/* Is there an encrypted key or secret? */
int list_encrypted(struct token *, bool *ret);

#endif
