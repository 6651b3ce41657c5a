/* SPDX-License-Identifier: Apache-2.0 */
/* Refs as bytes: version, kind, two lengths of two bytes, id, label, and where needed eight bytes of hash. */
#include "ref.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1
#define HEAD 6
#define HASH 8

unsigned char *p11_ref_write(const struct p11_ref *ref, size_t *ret_len)
{
    size_t len = HEAD + ref->id_len + ref->label_len + (ref->has_hash ? HASH : 0);
    unsigned char *data = malloc(len), *at = data;

    if (!data)
        return NULL;
    *at++ = VERSION;
    *at++ = (unsigned char)ref->kind;
    *at++ = (unsigned char)(ref->id_len >> 8);
    *at++ = (unsigned char)ref->id_len;
    *at++ = (unsigned char)(ref->label_len >> 8);
    *at++ = (unsigned char)ref->label_len;
    if (ref->id_len)
        memcpy(at, ref->id, ref->id_len);
    at += ref->id_len;
    if (ref->label_len)
        memcpy(at, ref->label, ref->label_len);
    at += ref->label_len;
    for (unsigned i = 0; ref->has_hash && i < HASH; i++)
        *at++ = (unsigned char)(ref->hash >> (8 * (HASH - 1 - i)));
    *ret_len = len;
    return data;
}

bool p11_ref_read(const void *data, size_t len, struct p11_ref *ret)
{
    const unsigned char *at = data;
    struct p11_ref ref = { 0 };
    size_t rest;

    if (len < HEAD || at[0] != VERSION)
        return false;
    ref.kind = at[1];
    ref.id_len = (size_t)at[2] << 8 | at[3];
    ref.label_len = (size_t)at[4] << 8 | at[5];
    if (p11_class(ref.kind) == CK_UNAVAILABLE_INFORMATION || len - HEAD < ref.id_len + ref.label_len)
        return false;
    ref.id = at + HEAD;
    ref.label = ref.id + ref.id_len;
    rest = len - HEAD - ref.id_len - ref.label_len;
    if (rest != 0 && rest != HASH)
        return false;
    ref.has_hash = rest == HASH;
    for (unsigned i = 0; i < rest; i++)
        ref.hash = ref.hash << 8 | ref.label[ref.label_len + i];
    *ret = ref;
    return true;
}

struct p11_ref p11_ref_of(const struct p11_facts *facts)
{
    return (struct p11_ref){
        .kind = facts->kind,
        .id = p11_facts_id(facts),
        .id_len = facts->id_len,
        .label = facts->data,
        .label_len = facts->label_len,
        .has_hash = facts->has_hash,
        .hash = facts->hash,
    };
}

bool p11_ref_fits(const struct p11_ref *ref, const struct p11_facts *facts)
{
    return ref->kind == facts->kind && ref->id_len == facts->id_len && ref->label_len == facts->label_len &&
           (ref->id_len == 0 || !memcmp(ref->id, p11_facts_id(facts), ref->id_len)) &&
           (ref->label_len == 0 || !memcmp(ref->label, facts->data, ref->label_len));
}
