/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of one object, in one allocation. */
#ifndef P11_FACTS_H
#define P11_FACTS_H

#include "session.h"

/* The kind of an object's class, and back; 0 and CK_UNAVAILABLE_INFORMATION: none of ours. */
uint32_t p11_kind(CK_OBJECT_CLASS);
CK_OBJECT_CLASS p11_class(uint32_t kind);

/* What such a key usually may. */
uint32_t p11_usual_usage(uint32_t kind, uint32_t type);

struct p11_facts {
    CK_OBJECT_HANDLE handle;
    uint32_t kind, type, bits, usage, flags;
    uint32_t mac_hash; /* a secret key: 0, or the only hash that it is for */
    uint64_t rsa_e; /* 0: not told */
    uint64_t hash; /* of what sets it apart from its namesakes, with has_hash */
    bool has_hash;
    size_t label_len, id_len, public_len; /* public: modulus or point; empty: not told */
    unsigned char data[]; /* label, NUL, id, public */
};

/* *ret NULL: an object that is none of ours, or gone meanwhile.  For free(). */
CK_RV p11_facts_read(struct p11_session *, CK_OBJECT_HANDLE, uint32_t kind, struct p11_facts **ret);
struct p11_facts *p11_facts_copy(const struct p11_facts *);

const char *p11_facts_label(const struct p11_facts *);
const unsigned char *p11_facts_id(const struct p11_facts *);
const unsigned char *p11_facts_public(const struct p11_facts *);

/* Same kind, label and id? */
bool p11_facts_namesakes(const struct p11_facts *, const struct p11_facts *);

/* Hashes the public value, or of a certificate or data object its value, once. */
CK_RV p11_facts_hash(struct p11_session *, struct p11_facts *);

/* Of two hashed namesakes: are they one object stored twice? */
bool p11_facts_same(const struct p11_facts *, const struct p11_facts *);

#endif
