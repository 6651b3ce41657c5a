/* SPDX-License-Identifier: Apache-2.0 */
/* The name under which an object is found again: kind, CKA_ID and CKA_LABEL, and where these are shared a hash of its
 * value.  No handle and no slot number, which do not last. */
#ifndef P11_REF_H
#define P11_REF_H

#include "facts.h"

struct p11_ref {
    uint32_t kind;
    const unsigned char *id, *label;
    size_t id_len, label_len;
    bool has_hash;
    uint64_t hash;
};

/* The ref's bytes, for free(); their number in *ret_len.  NULL: out of memory. */
unsigned char *p11_ref_write(const struct p11_ref *, size_t *ret_len);

/* Points into data.  false: not one of ours. */
bool p11_ref_read(const void *data, size_t len, struct p11_ref *ret);

/* The ref of an object; points into facts.  The hash is used if it was made. */
struct p11_ref p11_ref_of(const struct p11_facts *);

/* Do kind, id and label fit? */
bool p11_ref_fits(const struct p11_ref *, const struct p11_facts *);

#endif
