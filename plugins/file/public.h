/* SPDX-License-Identifier: Apache-2.0 */
/* A public key as plain numbers, taken out of a certificate or SubjectPublicKeyInfo. */
#ifndef PUBLIC_H
#define PUBLIC_H

#include <hsmux/types.h>
#include <openssl/asn1.h>
#include <stdbool.h>

#define PUBLIC_MAX 1024 /* RSA of 8192 bits, in a certificate */
#define PUBLIC_ID 20

struct public_key {
    uint32_t type, bits; /* 0: a type that we do not know */
    uint64_t rsa_e;
    unsigned char value[PUBLIC_MAX]; /* as HX_PUBLIC */
    size_t len;
    unsigned char id[PUBLIC_ID]; /* SHA-1 of the subjectPublicKey bits (RFC 5280 §4.2.1.2), as PKCS#11 tools use */
};

/* false: not DER of that kind. */
bool public_from_spki(const void *der, size_t len, struct public_key *ret);
bool public_from_certificate(const void *der, size_t len, struct public_key *ret);

bool public_from_rsa(const struct hx_buf *n, const struct hx_buf *e, struct public_key *ret);
bool public_from_point(uint32_t type, const void *point, size_t len, struct public_key *ret);

bool public_equal(const struct public_key *, const struct public_key *);

/* The first bytes of a hash of the label: an id for what has no public key. */
bool public_label_id(const char *label, unsigned char ret[PUBLIC_ID]);

/* What is common to the curves; NULL for a type that is none. */
struct curve {
    uint32_t type, bits;
    int nid;
    const char *group;
    size_t width; /* bytes of a coordinate */
};
const struct curve *curve_by_type(uint32_t type);
const struct curve *curve_by_nid(int nid);

/* The elements of a SEQUENCE; strict: nothing may follow.  For sequence_free(), which wipes. */
STACK_OF(ASN1_TYPE) * sequence_parse(const void *der, size_t len);
void sequence_free(STACK_OF(ASN1_TYPE) *);
/* The element's bytes: of an INTEGER the magnitude, of a BIT STRING or OCTET STRING the content, of all else DER. */
bool sequence_get(const STACK_OF(ASN1_TYPE) *, int index, int type, struct hx_buf *ret);
/* The element as an object identifier's NID; NID_undef. */
int sequence_nid(const STACK_OF(ASN1_TYPE) *, int index);

#endif
