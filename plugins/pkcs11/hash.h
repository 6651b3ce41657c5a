/* SPDX-License-Identifier: Apache-2.0 */
/* A hash as PKCS#11 writes it: by itself, as a mask, in an HMAC, and in front of an RSA PKCS#1 signature. */
#ifndef P11_HASH_H
#define P11_HASH_H

#include <p11-kit/pkcs11.h>
#include <stdint.h>

struct p11_hash {
    uint32_t hash; /* enum hx_hash */
    CK_MECHANISM_TYPE mechanism, hmac;
    CK_KEY_TYPE hmac_key; /* for this HMAC and no other */
    CK_RSA_PKCS_MGF_TYPE mgf;
    unsigned char size, prefix_len, prefix[19]; /* DigestInfo without the digest: RFC 8017 §9.2, note 1 */
};

/* NULL: unknown. */
const struct p11_hash *p11_hash(uint32_t hash);
const struct p11_hash *p11_hash_of_key(CK_KEY_TYPE);

#endif
