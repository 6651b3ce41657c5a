/* SPDX-License-Identifier: Apache-2.0 */
/* Between CKA_EC_PARAMS, CKA_EC_POINT and the curves that hsmux knows. */
#ifndef P11_CURVE_H
#define P11_CURVE_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The enum hx_type of a key with these parameters; 0: none of ours. */
uint32_t p11_curve_type(CK_KEY_TYPE, const void *params, size_t len);

uint32_t p11_curve_bits(uint32_t type);

/* libcrypto's name of the curve; NULL: none of ours. */
const char *p11_curve_group(uint32_t type);

/* CKA_EC_PARAMS for a new key: DER for OPENSSL_free(), its length, or 0.  by_name: for modules that know the curve by
 * PrintableString only. */
size_t p11_curve_params(uint32_t type, bool by_name, unsigned char **ret);

#define P11_POINT_MAX 133 /* P-521: 04 || X || Y */

/* The point inside CKA_EC_POINT, which may be raw or wrapped in an OCTET STRING, or inside a SubjectPublicKeyInfo;
 * Ed25519: the 32 bytes.  Its length; 0: that is no uncompressed point of the curve. */
size_t p11_curve_point(uint32_t type, const void *value, size_t len, unsigned char ret[P11_POINT_MAX]);
size_t p11_curve_point_of_spki(uint32_t type, const void *spki, size_t len, unsigned char ret[P11_POINT_MAX]);

/* Is it an uncompressed point of the curve? */
bool p11_curve_has_point(uint32_t type, const void *point, size_t len);

/* The point in an OCTET STRING: DER for OPENSSL_free(), its length, or 0. */
size_t p11_curve_wrap_point(const void *point, size_t len, unsigned char **ret);

#endif
