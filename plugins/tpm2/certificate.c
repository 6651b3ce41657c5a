/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of our own read a certificate: libcrypto's X509 would load every decoder that there is, and fail on the
 * keys of some makers' endorsement certificates. */
#include "certificate.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

typedef struct {
    ASN1_INTEGER *version, *serial;
    X509_ALGOR *algorithm;
    X509_NAME *issuer;
    ASN1_STRING *validity; /* its whole DER, as of the next but one */
    X509_NAME *subject;
    ASN1_STRING *spki;
    ASN1_BIT_STRING *issuer_id, *subject_id;
    STACK_OF(X509_EXTENSION) * extensions;
} TO_BE_SIGNED;

ASN1_SEQUENCE(TO_BE_SIGNED) = {
    ASN1_EXP_OPT(TO_BE_SIGNED, version, ASN1_INTEGER, 0),
    ASN1_SIMPLE(TO_BE_SIGNED, serial, ASN1_INTEGER),
    ASN1_SIMPLE(TO_BE_SIGNED, algorithm, X509_ALGOR),
    ASN1_SIMPLE(TO_BE_SIGNED, issuer, X509_NAME),
    ASN1_SIMPLE(TO_BE_SIGNED, validity, ASN1_SEQUENCE),
    ASN1_SIMPLE(TO_BE_SIGNED, subject, X509_NAME),
    ASN1_SIMPLE(TO_BE_SIGNED, spki, ASN1_SEQUENCE),
    ASN1_IMP_OPT(TO_BE_SIGNED, issuer_id, ASN1_BIT_STRING, 1),
    ASN1_IMP_OPT(TO_BE_SIGNED, subject_id, ASN1_BIT_STRING, 2),
    ASN1_EXP_SEQUENCE_OF_OPT(TO_BE_SIGNED, extensions, X509_EXTENSION, 3),
} static_ASN1_SEQUENCE_END(TO_BE_SIGNED)

typedef struct {
    TO_BE_SIGNED *signed_part;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
} CERTIFICATE;

ASN1_SEQUENCE(CERTIFICATE) = {
    ASN1_SIMPLE(CERTIFICATE, signed_part, TO_BE_SIGNED),
    ASN1_SIMPLE(CERTIFICATE, algorithm, X509_ALGOR),
    ASN1_SIMPLE(CERTIFICATE, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(CERTIFICATE)

typedef struct {
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *key;
} PUBLIC_KEY;

ASN1_SEQUENCE(PUBLIC_KEY) = {
    ASN1_SIMPLE(PUBLIC_KEY, algorithm, X509_ALGOR),
    ASN1_SIMPLE(PUBLIC_KEY, key, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(PUBLIC_KEY)

typedef struct {
    ASN1_INTEGER *n, *e;
} RSA_KEY;

ASN1_SEQUENCE(RSA_KEY) = {
    ASN1_SIMPLE(RSA_KEY, n, ASN1_INTEGER),
    ASN1_SIMPLE(RSA_KEY, e, ASN1_INTEGER),
} static_ASN1_SEQUENCE_END(RSA_KEY)

/* The value that fills these bytes to the last one, or NULL. */
static void *decode(const void *der, size_t len, const ASN1_ITEM *item)
{
    const unsigned char *at = der;
    ASN1_VALUE *value = len && len <= INT32_MAX ? ASN1_item_d2i(NULL, &at, (long)len, item) : NULL;

    if (value && at != (const unsigned char *)der + len) {
        ASN1_item_free(value, item);
        return NULL;
    }
    return value;
}

size_t tpm_certificate_length(const void *start, size_t memory)
{
    const unsigned char *at = start;
    size_t header;
    long len;
    int tag, class, how;

    if (memory < 16 || memory > INT32_MAX)
        return 0;
    ERR_set_mark();
    how = ASN1_get_object(&at, &len, &tag, &class, (long)memory);
    ERR_pop_to_mark();
    header = (size_t)(at - (const unsigned char *)start);
    if (how != V_ASN1_CONSTRUCTED || tag != V_ASN1_SEQUENCE || class != V_ASN1_UNIVERSAL || len <= 0)
        return 0;
    return header + (size_t)len;
}

static void rsa_facts(const PUBLIC_KEY *public, struct hx_object *ret)
{
    RSA_KEY *key =
        decode(ASN1_STRING_get0_data(public->key), (size_t)ASN1_STRING_length(public->key), ASN1_ITEM_rptr(RSA_KEY));
    BIGNUM *n = key ? ASN1_INTEGER_to_BN(key->n, NULL) : NULL;

    if (n && ASN1_INTEGER_get_uint64(&ret->rsa_e, key->e)) {
        ret->type = HX_RSA;
        ret->bits = (uint32_t)BN_num_bits(n);
    }
    BN_free(n);
    ASN1_item_free((ASN1_VALUE *)key, ASN1_ITEM_rptr(RSA_KEY));
}

static void ec_facts(const PUBLIC_KEY *public, struct hx_object *ret)
{
    static const struct {
        int nid;
        uint32_t type, bits;
    } curves[] = {
        { NID_X9_62_prime256v1, HX_P256, 256 },
        { NID_secp384r1, HX_P384, 384 },
        { NID_secp521r1, HX_P521, 521 },
    };
    const void *curve = NULL;
    int type;

    X509_ALGOR_get0(NULL, &type, &curve, public->algorithm);
    for (size_t i = 0; i < sizeof curves / sizeof *curves && type == V_ASN1_OBJECT; i++)
        if (OBJ_obj2nid(curve) == curves[i].nid) {
            ret->type = curves[i].type;
            ret->bits = curves[i].bits;
        }
}

static void key_facts(const ASN1_STRING *spki, struct hx_object *ret)
{
    PUBLIC_KEY *public =
        decode(ASN1_STRING_get0_data(spki), (size_t)ASN1_STRING_length(spki), ASN1_ITEM_rptr(PUBLIC_KEY));
    const ASN1_OBJECT *oid = NULL;

    if (!public)
        return;
    X509_ALGOR_get0(&oid, NULL, NULL, public->algorithm);
    switch (OBJ_obj2nid(oid)) {
    case NID_rsaEncryption:
    case NID_rsaesOaep: /* some makers' endorsement keys */
        rsa_facts(public, ret);
        break;
    case NID_X9_62_id_ecPublicKey:
        ec_facts(public, ret);
        break;
    case NID_ED25519:
        ret->type = HX_ED25519;
        ret->bits = 256;
        break;
    }
    ASN1_item_free((ASN1_VALUE *)public, ASN1_ITEM_rptr(PUBLIC_KEY));
}

bool tpm_certificate_facts(const void *der, size_t len, struct hx_object *ret)
{
    CERTIFICATE *certificate;
    bool found;

    ERR_set_mark();
    certificate = decode(der, len, ASN1_ITEM_rptr(CERTIFICATE));
    found = certificate != NULL;
    if (found)
        key_facts(certificate->signed_part->spki, ret);
    ASN1_item_free((ASN1_VALUE *)certificate, ASN1_ITEM_rptr(CERTIFICATE));
    ERR_pop_to_mark();
    return found;
}
