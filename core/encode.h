/* SPDX-License-Identifier: Apache-2.0 */
/* Between a plugin's plain numbers and the world's ASN.1, all through libcrypto in one private library context. */
#ifndef ENCODE_H
#define ENCODE_H

#include "bytes.h"

#include <hsmux/types.h>

/* The private library context; made on first use, anew after fork() (its locks may be held by a thread that the child
 * does not have), never freed.  NULL: out of memory. */
void *encode_libctx(void);

/* SubjectPublicKeyInfo, DER, from info's type, rsa_e and the bytes of HX_PUBLIC (RFC 5280 §4.1, 3279, 5480, 8410). */
int encode_spki(const struct hx_object *info, const void *public, size_t len, struct hx_bytes *ret);

/* Type and bits (and rsa_e) out of a SubjectPublicKeyInfo; HX_E_UNSUPPORTED for a key type we do not know. */
int decode_spki(const void *spki, size_t len, struct hx_object *ret);

/* r || s to Ecdsa-Sig-Value (RFC 3279 §2.2.3). */
int encode_ecdsa(const void *rs, size_t len, struct hx_bytes *ret);

/* Is this signature (in hx_sign's own form: ECDSA as DER) good?  in: what was given to hx_sign.
 * 0: good; HX_E_DEVICE: bad.  PSS is checked with exactly alg's salt length. */
int encode_verify(const void *spki, size_t spki_len, const struct hx_alg *alg, const void *in, size_t in_len,
                  const void *sig, size_t sig_len);
/* The same, of a PSS signature; when it is bad, *ret_salt says which length of salt it is good with, -1: with none. */
int encode_verify_salt(const void *spki, size_t spki_len, const struct hx_alg *alg, const void *in, size_t in_len,
                       const void *sig, size_t sig_len, int *ret_salt);

/* The length in bytes of a hash's digest; 0 for an unknown hash. */
size_t hash_size(uint32_t hash);

/* Signature width: RSA: the modulus; EC: the curve's field, one number; Ed25519: 32.  0 for an unknown type. */
size_t key_width(uint32_t type, uint32_t bits);

/* The key reference: SEQUENCE { INTEGER 1, UTF8String address, SubjectPublicKeyInfo OPTIONAL }. */
int encode_reference(const char *address, const void *spki, size_t spki_len, struct hx_bytes *ret_pem);
/* ret_spki stays empty when there is none.  Trailing bytes, an unknown version, an address that is not "hsm:...", or
 * one with a NUL are refused. */
int decode_reference(const void *der, size_t len, struct hx_bytes *ret_address, struct hx_bytes *ret_spki);

/* Certificates. */
struct cert_facts {
    struct hx_bytes spki, subject, issuer; /* DER */
    char *common_name; /* UTF-8; NULL: none */
    int is_ca;
    int64_t not_before, not_after; /* seconds since 1970 */
};
int cert_facts(const void *der, size_t len, struct cert_facts *ret);
void cert_facts_free(struct cert_facts *);
/* Did issuer's key sign cert? 1 or 0.  Names are compared too. */
int cert_issued_by(const void *cert, size_t cert_len, const void *issuer, size_t issuer_len);
/* Appends PEM. */
int cert_to_pem(const void *der, size_t len, struct hx_bytes *ret);
/* Calls fn with the DER of each certificate in a PEM (or single DER) text; other PEM blocks are passed over. */
int cert_each(const void *text, size_t len, int (*fn)(void *arg, const void *der, size_t der_len), void *arg);

#endif
