/* SPDX-License-Identifier: Apache-2.0 */
/* RSA's paddings, for tokens that do the bare operation only. */
#ifndef RSAPAD_H
#define RSAPAD_H

#include "bytes.h"

/* What HX_RSA_RAW makes a PSS signature of (RFC 8017 §9.1.1), for a modulus of so many bits; as wide as that.  Digest
 * and salt have lengths that fit. */
int pss_encode(uint32_t bits, const struct hx_alg *, const void *digest, struct hx_bytes *ret);

/* The plaintext out of what HX_RSA_RAW decrypted, as wide as the modulus (RFC 8017 §7.1.2, step 3).  Whatever is wrong
 * with it, the result and its reason are the same. */
int oaep_decode(const struct hx_alg *, const void *block, size_t width, struct hx_bytes *ret);

/* Zeroes put before a number, which a token may have cut; HX_E_DEVICE when it is too long. */
int number_widen(struct hx_bytes *, size_t width);

#endif
