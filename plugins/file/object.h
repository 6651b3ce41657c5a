/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded object, and what a listing tells of one. */
#ifndef OBJECT_H
#define OBJECT_H

#include "contents.h"
#include "public.h"
#include "ready.h"

struct object {
    struct token *token;
    uint32_t kind;
    struct public_key public; /* keys, certificates */
    EVP_PKEY *key; /* private keys */
    struct ready ready; /* contexts for the next operation with the key */
    unsigned char *value; /* certificate, data, secret; wiped */
    size_t len;
};

int object_load(void *token, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info, void **ret);
void object_unload(void *object);
int object_read(void *object, uint32_t part, struct hx_out *);

/* Private operations: sign.c, decrypt.c. */
hx_op object_sign, object_decrypt, object_derive;

/* Adds it to the list; index counts the certificates in one file. */
int object_describe(uint32_t kind, const struct contents *, const char *file, size_t index, const struct public_key *,
                    struct hx_list *);

/* What a key may do. */
uint32_t object_usage(uint32_t kind, uint32_t type);

#endif
