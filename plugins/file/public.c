/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates are walked with libcrypto's generic ASN.1 parser: d2i_X509() would load every decoder there is, which
 * costs more than all the rest of a listing. */
#include "public.h"

#include "crypto.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <string.h>

static const struct curve curves[] = {
    { HX_P256, 256, NID_X9_62_prime256v1, "P-256", 32 },
    { HX_P384, 384, NID_secp384r1, "P-384", 48 },
    { HX_P521, 521, NID_secp521r1, "P-521", 66 },
};

const struct curve *curve_by_type(uint32_t type)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (curves[i].type == type)
            return &curves[i];
    return NULL;
}

const struct curve *curve_by_nid(int nid)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (curves[i].nid == nid)
            return &curves[i];
    return NULL;
}

STACK_OF(ASN1_TYPE) * sequence_parse(const void *der, size_t len)
{
    const unsigned char *at = der;
    STACK_OF(ASN1_TYPE) *sequence = len <= INT32_MAX ? d2i_ASN1_SEQUENCE_ANY(NULL, &at, (long)len) : NULL;
    if (sequence && at != (const unsigned char *)der + len) {
        sequence_free(sequence);
        return NULL;
    }
    return sequence;
}

static void free_element(ASN1_TYPE *element)
{
    int type = ASN1_TYPE_get(element);
    if (type != V_ASN1_OBJECT && type != V_ASN1_BOOLEAN && type != V_ASN1_NULL && element->value.asn1_string)
        OPENSSL_cleanse(element->value.asn1_string->data, (size_t)element->value.asn1_string->length);
    ASN1_TYPE_free(element);
}

void sequence_free(STACK_OF(ASN1_TYPE) * sequence)
{
    sk_ASN1_TYPE_pop_free(sequence, free_element);
}

bool sequence_get(const STACK_OF(ASN1_TYPE) * sequence, int index, int type, struct hx_buf *ret)
{
    const ASN1_TYPE *element = sk_ASN1_TYPE_value(sequence, index);
    if (!element || ASN1_TYPE_get(element) != type)
        return false;
    const ASN1_STRING *string = element->value.asn1_string;
    if (type == V_ASN1_BIT_STRING && string->flags & 7) /* bits left over in the last byte */
        return false;
    *ret = (struct hx_buf){ ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string) };
    return true;
}

int sequence_nid(const STACK_OF(ASN1_TYPE) * sequence, int index)
{
    const ASN1_TYPE *element = sk_ASN1_TYPE_value(sequence, index);
    return element && ASN1_TYPE_get(element) == V_ASN1_OBJECT ? OBJ_obj2nid(element->value.object) : NID_undef;
}

static bool hash_id(const void *data, size_t len, unsigned char ret[PUBLIC_ID])
{
    OSSL_LIB_CTX *lib = crypto_context();
    return lib && EVP_Q_digest(lib, "SHA1", NULL, data, len, ret, NULL);
}

bool public_label_id(const char *label, unsigned char ret[PUBLIC_ID])
{
    return hash_id(label, strlen(label), ret);
}

static uint32_t count_bits(const struct hx_buf *number)
{
    uint32_t bits = (uint32_t)number->len * 8;
    unsigned char first = number->len ? *(const unsigned char *)number->data : 0;
    for (unsigned mask = 0x80; mask && !(first & mask); mask >>= 1)
        bits -= bits ? 1 : 0;
    return bits;
}

static void strip_zeros(struct hx_buf *number)
{
    const unsigned char *at = number->data;
    size_t len = number->len;
    for (; len && !*at; len--)
        at++;
    *number = (struct hx_buf){ at, len };
}

static bool set_rsa(struct hx_buf n, struct hx_buf e, struct public_key *ret)
{
    strip_zeros(&n);
    strip_zeros(&e);
    if (!n.len || n.len > sizeof ret->value || !e.len || e.len > sizeof ret->rsa_e)
        return false;
    ret->type = HX_RSA;
    ret->bits = count_bits(&n);
    for (size_t i = 0; i < e.len; i++)
        ret->rsa_e = ret->rsa_e << 8 | ((const unsigned char *)e.data)[i];
    memcpy(ret->value, n.data, n.len);
    ret->len = n.len;
    return true;
}

static bool set_rsa_der(const struct hx_buf *key, struct public_key *ret)
{
    struct hx_buf n, e;
    STACK_OF(ASN1_TYPE) *sequence = sequence_parse(key->data, key->len);
    bool ok = sequence && sequence_get(sequence, 0, V_ASN1_INTEGER, &n) &&
              sequence_get(sequence, 1, V_ASN1_INTEGER, &e) && set_rsa(n, e, ret);
    sequence_free(sequence);
    return ok;
}

/* Points come uncompressed; a compressed one is legal but so rare that its key counts as of unknown type. */
static bool set_point(uint32_t type, const struct hx_buf *point, struct public_key *ret)
{
    const struct curve *curve = curve_by_type(type);
    size_t len = curve ? 1 + 2 * curve->width : 32;
    if (point->len != len || (curve && *(const unsigned char *)point->data != 4))
        return false;
    ret->type = type;
    ret->bits = curve ? curve->bits : 256;
    memcpy(ret->value, point->data, len);
    ret->len = len;
    return true;
}

static void set_key(const STACK_OF(ASN1_TYPE) * algorithm, const struct hx_buf *key, struct public_key *ret)
{
    const struct curve *curve;
    switch (sequence_nid(algorithm, 0)) {
    case NID_rsaEncryption:
        set_rsa_der(key, ret);
        return;
    case NID_X9_62_id_ecPublicKey:
        curve = curve_by_nid(sequence_nid(algorithm, 1));
        if (curve)
            set_point(curve->type, key, ret);
        return;
    case NID_ED25519:
        set_point(HX_ED25519, key, ret);
        return;
    default:
        return;
    }
}

bool public_from_spki(const void *der, size_t len, struct public_key *ret)
{
    struct public_key public = { 0 };
    struct hx_buf algorithm_der, key;
    STACK_OF(ASN1_TYPE) *spki = sequence_parse(der, len), *algorithm = NULL;
    bool ok = spki && sequence_get(spki, 0, V_ASN1_SEQUENCE, &algorithm_der) &&
              sequence_get(spki, 1, V_ASN1_BIT_STRING, &key) && key.len &&
              (algorithm = sequence_parse(algorithm_der.data, algorithm_der.len)) &&
              hash_id(key.data, key.len, public.id);
    if (ok) {
        set_key(algorithm, &key, &public);
        *ret = public;
    }
    sequence_free(algorithm);
    sequence_free(spki);
    return ok;
}

/* Certificate ::= SEQUENCE { tbs SEQUENCE { [0] version OPTIONAL, serial, signature, issuer, validity, subject,
 * spki, ... }, ... } (RFC 5280 §4.1) */
bool public_from_certificate(const void *der, size_t len, struct public_key *ret)
{
    struct hx_buf tbs_der, serial, spki;
    STACK_OF(ASN1_TYPE) *certificate = sequence_parse(der, len), *tbs = NULL;
    bool ok = certificate && sequence_get(certificate, 0, V_ASN1_SEQUENCE, &tbs_der) &&
              (tbs = sequence_parse(tbs_der.data, tbs_der.len));
    if (ok) {
        int version = sequence_get(tbs, 0, V_ASN1_OTHER, &serial) ? 1 : 0;
        ok = sequence_get(tbs, version + 5, V_ASN1_SEQUENCE, &spki) && public_from_spki(spki.data, spki.len, ret);
    }
    sequence_free(tbs);
    sequence_free(certificate);
    return ok;
}

static bool push_integer(STACK_OF(ASN1_TYPE) * sequence, const struct hx_buf *number)
{
    ASN1_TYPE *element = ASN1_TYPE_new();
    ASN1_INTEGER *integer = ASN1_INTEGER_new();
    if (!element || !integer || !ASN1_STRING_set(integer, number->data, (int)number->len) ||
        !sk_ASN1_TYPE_push(sequence, element)) {
        ASN1_INTEGER_free(integer);
        ASN1_TYPE_free(element);
        return false;
    }
    ASN1_TYPE_set(element, V_ASN1_INTEGER, integer);
    return true;
}

/* RSAPublicKey ::= SEQUENCE { n, e } (RFC 8017 A.1.1) is what the id is the hash of. */
bool public_from_rsa(const struct hx_buf *n, const struct hx_buf *e, struct public_key *ret)
{
    struct public_key public = { 0 };
    struct hx_buf number[] = { *n, *e };
    unsigned char *der = NULL;
    STACK_OF(ASN1_TYPE) *sequence = sk_ASN1_TYPE_new_null();
    strip_zeros(&number[0]);
    strip_zeros(&number[1]);
    bool ok = sequence && set_rsa(number[0], number[1], &public) && push_integer(sequence, &number[0]) &&
              push_integer(sequence, &number[1]);
    int len = ok ? i2d_ASN1_SEQUENCE_ANY(sequence, &der) : 0;
    ok = len > 0 && hash_id(der, (size_t)len, public.id);
    OPENSSL_free(der);
    sequence_free(sequence);
    if (ok)
        *ret = public;
    return ok;
}

bool public_from_point(uint32_t type, const void *point, size_t len, struct public_key *ret)
{
    struct public_key public = { 0 };
    if (!set_point(type, &(struct hx_buf){ point, len }, &public) || !hash_id(point, len, public.id))
        return false;
    *ret = public;
    return true;
}

bool public_equal(const struct public_key *a, const struct public_key *b)
{
    return a->type == b->type && a->rsa_e == b->rsa_e && a->len == b->len && !memcmp(a->value, b->value, a->len);
}
