/* SPDX-License-Identifier: Apache-2.0 */
/* Objects on tokens: list them, find the one an address means, name it. */
#ifndef OBJECT_H
#define OBJECT_H

#include "address.h"
#include "context.h"

struct object {
    struct hx_object info; /* its pointers lead to the members below */
    char *label;
    struct hx_bytes id, ref;
};

struct object_list {
    struct object *object;
    size_t count;
};

int object_copy(struct object *ret, const struct hx_object *info);
void object_free(struct object *); /* empties it */
#define AUTO_OBJECT CLEANUP(object_free)
void object_list_free(struct object_list *);
#define AUTO_OBJECTS CLEANUP(object_list_free)

/* Is it a private key for signatures of the user's own? */
bool object_may_sign(const struct hx_object *);

/* The objects on a token that fit want (zero fields: any). */
int object_list(struct hx *, struct token *, const struct hx_object *want, struct object_list *ret);
/* The same inside a step, and load()'s description of one object. */
int object_list_now(struct token *, const struct hx_object *want, struct object_list *ret);
int object_load_now(struct token *, uint32_t kind, const struct hx_bytes *ref, struct object *ret_info,
                    void **ret_object);

/* The tokens an address may mean; for hsm: exactly one. */
int object_tokens(struct hx *, const struct address *, struct token_set *ret);

/* The one object at an address.  HX_E_NOT_FOUND says where it was looked for, HX_E_AMBIGUOUS lists what fits. */
int object_find(struct hx *, const char *address, uint32_t kind, struct token **ret_token, struct object *ret);

/* Reads a part (enum hx_part) of an object that was found. */
int object_read(struct hx *, struct token *, const struct object *, uint32_t part, struct hx_bytes *ret);

/* Its address: by label where that is unique among the objects in list, else with the id. */
int object_address(struct hx *, struct token *, const struct object *, const struct object_list *list,
                   struct hx_bytes *ret);

/* The SubjectPublicKeyInfo of a private or public key, from what the token tells.  HX_E_UNSUPPORTED: it does not. */
int object_spki(struct hx *, struct token *, const struct object *, struct hx_bytes *ret);
/* The same inside a step. */
int object_spki_now(struct token *, void *object, const struct hx_object *info, struct hx_bytes *ret);

#endif
