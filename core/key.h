/* SPDX-License-Identifier: Apache-2.0 */
/* A key as applications hold it: an address, what is known of it, and the object when it is loaded. */
#ifndef KEY_H
#define KEY_H

#include "kinds.h"
#include "object.h"

struct hx_key {
    atomic_uint refs;
    struct hx *hx;
    _Atomic(struct token *) token; /* NULL: a scan must find it first */
    char *address; /* its own, "hsm:TOKEN/KIND/..." */
    struct address where; /* the same, parsed */
    struct object object; /* what applications are told; fixed once the key is open */
    struct hx_bytes spki; /* empty: the token does not tell, and no certificate did */
    struct hx_bytes ref; /* under the token's load_mutex */
    _Atomic(struct loaded *) loaded;
    struct kinds kinds;
    atomic_bool always_auth; /* the key that is loaded wants the PIN for each operation */
    atomic_bool own_auth; /* it has a PIN of its own */
    _Atomic uint64_t own_tag; /* which was right the last time; 0: none was */
};

/* The key that object_find() or a list gave. */
int key_open_object(struct hx *, struct token *, const struct object *, const char *address, struct hx_key **ret);

/* The object, loaded and checked against the public key; inside a step. */
int key_object_now(struct token *, struct hx_key *, void **ret_object);

/* The key's token, found if need be; lives as long as the key. */
int key_token(struct hx_key *, struct token **ret);

/* Is this the public key of that private key, which cannot tell it?  A test signature decides; if so, it is kept. */
int key_prove_public(struct hx_key *, const void *spki, size_t len);

void key_close_p(struct hx_key **);
#define AUTO_KEY CLEANUP(key_close_p)

#endif
