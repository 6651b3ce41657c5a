/* SPDX-License-Identifier: Apache-2.0 */
/* Searching the token by a template: three calls however many objects it holds. */
#ifndef P11_FIND_H
#define P11_FIND_H

#include "facts.h"
#include "ref.h"

struct p11_handles {
    CK_OBJECT_HANDLE *handle;
    size_t count;
};

struct p11_want { /* zero fields: any */
    uint32_t kind;
    const void *id, *label;
    size_t id_len, label_len;
};

/* The lasting objects that fit; for free(). */
CK_RV p11_find(struct p11_session *, const struct p11_want *, struct p11_handles *ret);

/* The one object that bears the ref, for free(); *ret NULL: there is none.  *ret_count: how many did. */
CK_RV p11_find_ref(struct p11_session *, const struct p11_ref *, struct p11_facts **ret, size_t *ret_count);

/* The objects that fit, each described; entries are NULL for those passed over.  For p11_free_facts(). */
CK_RV p11_find_facts(struct p11_session *, const struct p11_want *, struct p11_facts ***ret, size_t *ret_count);
void p11_free_facts(struct p11_facts **, size_t count);

#endif
