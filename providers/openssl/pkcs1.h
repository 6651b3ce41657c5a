/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS#1 v1.5 padding of decrypted blocks (RFC 8017 §7.2.2), taken off without a branch or an address that depends on
 * the block: neither time nor cache tells whether it was good.  What is bad becomes a decoy, never an error. */
#ifndef PKCS1_H
#define PKCS1_H

#include <stddef.h>

enum {
    PKCS1_OVERHEAD = 11, /* 00 02, eight bytes that are not zero, 00 */
    PKCS1_LENGTHS = 256, /* bytes: 128 proposals for a decoy's length, two bytes each */
    PKCS1_TLS_SECRET = 48, /* a premaster secret (RFC 5246 §7.4.7.1) */
    PKCS1_SIZE_MAX = 2048, /* of a block, in bytes: RSA of 16384 bits, OpenSSL's own limit */
};

/* What takes the place of a message whose padding is bad; as secret as the message. */
struct pkcs1_decoy {
    unsigned char bytes[PKCS1_SIZE_MAX]; /* as many as the block has; the message is at their end */
    unsigned char lengths[PKCS1_LENGTHS];
};

/* Writes size - PKCS1_OVERHEAD bytes to ret, of which ret_len are the message, or the decoy's, and the others zero.
 * size: more than PKCS1_OVERHEAD, at most PKCS1_SIZE_MAX.  The block is overwritten. */
void pkcs1_unpad(unsigned char *block, size_t size, const struct pkcs1_decoy *, unsigned char *ret, size_t *ret_len);

/* Writes the premaster secret that is in the block, if its padding is good and it begins with the version that the
 * client offered, or with the one negotiated unless that is 0; else the decoy.  size: at least PKCS1_OVERHEAD +
 * PKCS1_TLS_SECRET. */
void pkcs1_unpad_tls(const unsigned char *block, size_t size, unsigned client, unsigned negotiated,
                     const unsigned char decoy[PKCS1_TLS_SECRET], unsigned char ret[PKCS1_TLS_SECRET]);

#endif
