/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of a token: listing, loading by ref, reading their public parts, signing with them, making and removing. */
#ifndef P11_OBJECT_H
#define P11_OBJECT_H

#include "facts.h"
#include "find.h"

struct p11_object {
    struct p11_token *token;
    struct p11_facts *facts;
    unsigned char *public; /* found elsewhere than on the object itself, when first asked for; under the token's lock */
    size_t public_len;
    char *pin; /* for the next operation with a key that wants one for each; NULL: the pinpad */
    size_t pin_len;
    bool authorised; /* and that operation may be */
};

int p11_list(struct p11_token *, struct hx_list *);
int p11_load(struct p11_token *, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info,
             struct p11_object **ret);
void p11_unload(struct p11_object *);
int p11_read(struct p11_object *, uint32_t part, struct hx_out *);
int p11_authorise(struct p11_object *, const void *pin, size_t len);
hx_op p11_sign, p11_decrypt, p11_derive;

int p11_generate(struct p11_token *, const struct hx_spec *, struct hx_out *ref);
int p11_import(struct p11_token *, const struct hx_spec *, const struct hx_buf *part, size_t parts, struct hx_out *ref);
int p11_remove(struct p11_token *, uint32_t kind, const void *ref, size_t ref_len);

/* The public-key object that belongs to a private key: the same type, id and label, or else the only one of its type
 * and id.  *ret NULL: none.  For free(). */
CK_RV p11_find_public(struct p11_session *, const struct p11_facts *private, struct p11_facts **ret);

/* Gives private keys whose public values lie in public-key objects these values, where there are many such keys. */
CK_RV p11_fill_publics(struct p11_session *, struct p11_facts **, size_t count);

/* Says which object was not there, or was there more than once. */
int p11_fail_missing(struct p11_token *, const struct p11_ref *);
int p11_fail_ambiguous(struct p11_token *, const struct p11_ref *, size_t count);

/* What list() found a moment ago; a listing of private keys outlasts one of other objects.  set() takes them over. */
void p11_recent_set(struct p11_token *, uint32_t kind, struct p11_facts **, size_t count);
struct p11_facts *p11_recent_get(struct p11_token *, const struct p11_ref *); /* a copy for free(), or NULL */
void p11_recent_clear(struct p11_token *);

#endif
