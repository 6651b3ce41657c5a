/* SPDX-License-Identifier: Apache-2.0 */
/* The outside of a key reference, as an ASN.1 template for libcrypto.  Its public key stays undecoded: that would
 * fetch from a library context, and most DER that comes by is not ours. */
#include "reference.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <string.h>

struct spki {
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *key;
};

struct reference {
    ASN1_INTEGER *version;
    ASN1_UTF8STRING *address;
    struct spki *public;
};

typedef struct spki SPKI;
typedef struct reference REFERENCE;

ASN1_SEQUENCE(SPKI) = {
    ASN1_SIMPLE(SPKI, algorithm, X509_ALGOR),
    ASN1_SIMPLE(SPKI, key, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(SPKI)

ASN1_SEQUENCE(REFERENCE) = {
    ASN1_SIMPLE(REFERENCE, version, ASN1_INTEGER),
    ASN1_SIMPLE(REFERENCE, address, ASN1_UTF8STRING),
    ASN1_OPT(REFERENCE, public, SPKI),
} static_ASN1_SEQUENCE_END(REFERENCE)

static bool is_reference(const REFERENCE *reference)
{
    static const char scheme[] = "hsm:";
    const ASN1_UTF8STRING *address = reference->address;

    return ASN1_STRING_length(address) >= (int)strlen(scheme) &&
           !memcmp(ASN1_STRING_get0_data(address), scheme, strlen(scheme));
}

bool reference_peek(const void *der, size_t len, int *ret_nid)
{
    const unsigned char *at = der;
    const ASN1_OBJECT *algorithm = NULL;
    REFERENCE *reference;
    bool ours;

    ERR_set_mark();
    reference = (REFERENCE *)ASN1_item_d2i(NULL, &at, (long)len, ASN1_ITEM_rptr(REFERENCE));
    ERR_pop_to_mark();
    if (!reference)
        return false;
    ours = is_reference(reference);
    if (reference->public)
        X509_ALGOR_get0(&algorithm, NULL, NULL, reference->public->algorithm);
    if (ours)
        *ret_nid = algorithm ? OBJ_obj2nid(algorithm) : NID_undef;
    ASN1_item_free((ASN1_VALUE *)reference, ASN1_ITEM_rptr(REFERENCE));
    return ours;
}
