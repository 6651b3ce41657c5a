/* SPDX-License-Identifier: Apache-2.0 */
/* Curves as PKCS#11 writes them.  All ASN.1 goes through libcrypto's plain encoders, which use no library context and
 * so cannot come back to our own provider; what they complain of is not for the application's error queue. */
#include "curve.h"

#include <hsmux/types.h>
#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

static const struct curve {
    uint32_t type, bits;
    CK_KEY_TYPE key_type;
    int nid;
    size_t point; /* bytes */
    const char *name; /* PKCS#11 v3.0 §2.3.3, curveName */
} curves[] = {
    { HX_P256, 256, CKK_EC, NID_X9_62_prime256v1, 65, "secp256r1" },
    { HX_P384, 384, CKK_EC, NID_secp384r1, 97, "secp384r1" },
    { HX_P521, 521, CKK_EC, NID_secp521r1, 133, "secp521r1" },
    { HX_ED25519, 256, CKK_EC_EDWARDS, NID_ED25519, 32, "edwards25519" },
};

static const struct curve *by_type(uint32_t type)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (curves[i].type == type)
            return &curves[i];
    return NULL;
}

static bool is_curve(const struct curve *curve, const ASN1_TYPE *params)
{
    const ASN1_STRING *name;

    if (params->type == V_ASN1_OBJECT)
        return OBJ_obj2nid(params->value.object) == curve->nid;
    if (params->type != V_ASN1_PRINTABLESTRING)
        return false;
    name = params->value.printablestring;
    return (size_t)ASN1_STRING_length(name) == strlen(curve->name) &&
           !memcmp(ASN1_STRING_get0_data(name), curve->name, strlen(curve->name));
}

uint32_t p11_curve_type(CK_KEY_TYPE key_type, const void *data, size_t len)
{
    const unsigned char *at = data;
    ASN1_TYPE *params;
    uint32_t type = 0;

    ERR_set_mark();
    params = data && len < 4096 ? d2i_ASN1_TYPE(NULL, &at, (long)len) : NULL;
    ERR_pop_to_mark();
    for (size_t i = 0; params && i < sizeof curves / sizeof *curves; i++)
        if (curves[i].key_type == key_type && is_curve(&curves[i], params))
            type = curves[i].type;
    ASN1_TYPE_free(params);
    return type;
}

uint32_t p11_curve_bits(uint32_t type)
{
    const struct curve *curve = by_type(type);

    return curve ? curve->bits : 0;
}

const char *p11_curve_group(uint32_t type)
{
    const struct curve *curve = by_type(type);

    return curve ? OBJ_nid2sn(curve->nid) : NULL;
}

size_t p11_curve_params(uint32_t type, bool by_name, unsigned char **ret)
{
    const struct curve *curve = by_type(type);
    ASN1_PRINTABLESTRING *name;
    unsigned char *der = NULL;
    int len = 0;

    if (!curve)
        return 0;
    if (by_name) {
        name = ASN1_PRINTABLESTRING_new();
        if (name && ASN1_STRING_set(name, curve->name, -1))
            len = i2d_ASN1_PRINTABLESTRING(name, &der);
        ASN1_PRINTABLESTRING_free(name);
    } else {
        len = i2d_ASN1_OBJECT(OBJ_nid2obj(curve->nid), &der);
    }
    if (len <= 0)
        return 0;
    *ret = der;
    return (size_t)len;
}

static size_t take_point(const struct curve *curve, const void *value, size_t len, unsigned char *ret)
{
    if (len != curve->point || (curve->key_type == CKK_EC && *(const unsigned char *)value != 4))
        return 0;
    memcpy(ret, value, len);
    return len;
}

/* The lengths tell raw from wrapped: one is never the other's. */
size_t p11_curve_point(uint32_t type, const void *value, size_t len, unsigned char ret[P11_POINT_MAX])
{
    const struct curve *curve = by_type(type);
    const unsigned char *at = value;
    ASN1_OCTET_STRING *inner;
    size_t found;

    if (!curve || !value || len == 0 || len > 4096)
        return 0;
    found = take_point(curve, value, len, ret);
    if (found)
        return found;
    ERR_set_mark();
    inner = d2i_ASN1_OCTET_STRING(NULL, &at, (long)len);
    ERR_pop_to_mark();
    if (inner && at == (const unsigned char *)value + len && ASN1_STRING_length(inner) > 0)
        found = take_point(curve, ASN1_STRING_get0_data(inner), (size_t)ASN1_STRING_length(inner), ret);
    ASN1_OCTET_STRING_free(inner);
    return found;
}

/* SEQUENCE { AlgorithmIdentifier, BIT STRING } (RFC 5280 §4.1), taken apart without a decoder's help: that would ask
 * every provider, ours too. */
size_t p11_curve_point_of_spki(uint32_t type, const void *spki, size_t len, unsigned char ret[P11_POINT_MAX])
{
    const struct curve *curve = by_type(type);
    const unsigned char *at = spki;
    ASN1_SEQUENCE_ANY *sequence;
    const ASN1_TYPE *bits;
    size_t found = 0;

    if (!curve || !spki || len == 0 || len > 4096)
        return 0;
    ERR_set_mark();
    sequence = d2i_ASN1_SEQUENCE_ANY(NULL, &at, (long)len);
    ERR_pop_to_mark();
    bits = sequence && sk_ASN1_TYPE_num(sequence) == 2 ? sk_ASN1_TYPE_value(sequence, 1) : NULL;
    if (bits && bits->type == V_ASN1_BIT_STRING && ASN1_STRING_length(bits->value.bit_string) > 0)
        found = take_point(curve, ASN1_STRING_get0_data(bits->value.bit_string),
                           (size_t)ASN1_STRING_length(bits->value.bit_string), ret);
    sk_ASN1_TYPE_pop_free(sequence, ASN1_TYPE_free);
    return found;
}

/* The group's own arithmetic, for which libcrypto asks no provider. */
bool p11_curve_has_point(uint32_t type, const void *point, size_t len)
{
    const struct curve *curve = by_type(type);
    bool uncompressed = curve && curve->key_type == CKK_EC && len == curve->point && *(const unsigned char *)point == 4;
    EC_GROUP *group = uncompressed ? EC_GROUP_new_by_curve_name(curve->nid) : NULL;
    EC_POINT *found = group ? EC_POINT_new(group) : NULL;
    bool has;

    ERR_set_mark();
    has = found && EC_POINT_oct2point(group, found, point, len, NULL) && EC_POINT_is_on_curve(group, found, NULL) > 0;
    ERR_pop_to_mark();
    EC_POINT_free(found);
    EC_GROUP_free(group);
    return has;
}

size_t p11_curve_wrap_point(const void *point, size_t len, unsigned char **ret)
{
    ASN1_OCTET_STRING *string = ASN1_OCTET_STRING_new();
    unsigned char *der = NULL;
    int der_len = 0;

    if (string && len <= P11_POINT_MAX && ASN1_OCTET_STRING_set(string, point, (int)len))
        der_len = i2d_ASN1_OCTET_STRING(string, &der);
    ASN1_OCTET_STRING_free(string);
    if (der_len <= 0)
        return 0;
    *ret = der;
    return (size_t)der_len;
}
