/* SPDX-License-Identifier: Apache-2.0 */
/* The table of key types: one row each, and all that tells them apart. */
#ifndef KEYTYPE_H
#define KEYTYPE_H

#include "provider.h"

enum { KEYTYPES = 3 };

struct keysize {
    uint32_t type, bits; /* enum hx_type */
    int group; /* NID of the named curve; 0: there is none */
    int security_bits, signature_max; /* as the default provider gives them; the signature in bytes */
};

struct keytype {
    const char *name; /* the first of names */
    const char *names; /* as the default provider has them, so that one name means one thing */
    /* The first of signatures.  A name that only we have would spare OpenSSL a look at the default provider for each
     * signature; but then its cache would hold our key management first, and give it to whoever wants a key of this
     * type from anybody. */
    const char *signature;
    const char *signatures;
    const char *cipher; /* its asymmetric cipher; NULL: it cannot decrypt */
    const char *exchange; /* its key agreement; NULL: none */
    const char *description;
    int nid; /* of the algorithm in SubjectPublicKeyInfo */
    uint32_t scheme; /* enum hx_scheme, unless padding says otherwise */
    bool signs_message; /* not a digest */
    bool has_padding; /* PKCS#1 or PSS */
    const struct keysize *sizes; /* the first is the default; ended by type 0 */
    /* OpenSSL asks these before there is a key, so each row needs its own. */
    OSSL_FUNC_keymgmt_new_fn *key_new;
    OSSL_FUNC_keymgmt_gen_init_fn *gen_init;
    OSSL_FUNC_keymgmt_query_operation_name_fn *operation_name;
    OSSL_FUNC_decoder_newctx_fn *decoder_new;
};

extern const struct keytype keytypes[KEYTYPES];

/* The row of an enum hx_type, or of a SubjectPublicKeyInfo's algorithm; NULL: none. */
const struct keytype *keytype_of(uint32_t type);
const struct keytype *keytype_of_nid(int nid);

/* The row's size of that type and bits, NULL for an unusual one. */
const struct keysize *keytype_size(const struct keytype *, uint32_t type, uint32_t bits);

/* The row's size with a named group ("P-256", "prime256v1", "secp384r1"); NULL: it has none of that name. */
const struct keysize *keytype_group(const struct keytype *, const char *group);

#endif
