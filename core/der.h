/* SPDX-License-Identifier: Apache-2.0 */
/* Small tools around libcrypto: DER to and from templates, a key's parts, and an error queue left as it was found. */
#ifndef DER_H
#define DER_H

#include "bytes.h"

#include <hsmux/types.h>
#include <openssl/asn1.h>
#include <openssl/err.h>

/* We run inside programs that look at this queue, so each public function of ours that may add to it opens with
 * `AUTO_ERRORS mark = ERR_set_mark();`. */
static inline void errors_drop(const int *mark)
{
    (void)mark;
    ERR_pop_to_mark();
}
#define AUTO_ERRORS CLEANUP(errors_drop) __attribute__((unused)) const int

/* The value that fills der to its last byte, to be freed with ASN1_item_free(); NULL: there is none. */
void *der_decode(const void *der, size_t len, const ASN1_ITEM *);
int der_encode(const void *value, const ASN1_ITEM *, struct hx_bytes *ret);

/* PEM with this label, appended. */
int der_to_pem(const char *label, const void *der, size_t len, struct hx_bytes *ret);

/* A string of any ASN.1 type as UTF-8; HX_E_INVALID, with what in the reason, when it holds a NUL or is not valid. */
int der_text(const ASN1_STRING *, const char *what, struct hx_bytes *ret);

/* As decode_spki(), with the bytes of HX_PUBLIC (EC: uncompressed).  Either may be NULL. */
int spki_parse(const void *spki, size_t len, struct hx_object *ret_info, struct hx_bytes *ret_public);

/* The one encoding that encode_spki() gives this key. */
int spki_normal(const void *spki, size_t len, struct hx_bytes *ret);

/* In the private context, for EVP_PKEY_free(); NULL: libcrypto does not take it. */
struct evp_pkey_st *spki_key(const void *spki, size_t len);

/* libcrypto's name for an EC type's curve; NULL: not EC. */
const char *curve_name(uint32_t type);

#endif
