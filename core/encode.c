/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin's plain numbers to SubjectPublicKeyInfo and back, and r || s to DER.  Keys are taken apart by templates and
 * not by libcrypto's decoders, which would cost a process's first key most of a millisecond. */
#include "encode.h"

#include "der.h"
#include "error.h"

#include <limits.h>
#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <string.h>

enum { ED25519_WIDTH = 32, ED25519_BITS = 256, RSA_MIN_BITS = 512, RSA_MAX_BITS = 16384, POINT_MAX = 1 + 2 * 66 };

static const struct curve {
    uint32_t type, bits;
    int nid;
} curves[] = {
    { HX_P256, 256, NID_X9_62_prime256v1 },
    { HX_P384, 384, NID_secp384r1 },
    { HX_P521, 521, NID_secp521r1 },
};

typedef struct {
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *key;
} SPKI;

ASN1_SEQUENCE(SPKI) = {
    ASN1_SIMPLE(SPKI, algorithm, X509_ALGOR),
    ASN1_SIMPLE(SPKI, key, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(SPKI)

typedef struct {
    BIGNUM *n, *e;
} RSA_NUMBERS;

ASN1_SEQUENCE(RSA_NUMBERS) = {
    ASN1_SIMPLE(RSA_NUMBERS, n, BIGNUM),
    ASN1_SIMPLE(RSA_NUMBERS, e, BIGNUM),
} static_ASN1_SEQUENCE_END(RSA_NUMBERS)

static void spki_free(SPKI **spki)
{
    ASN1_item_free((ASN1_VALUE *)*spki, ASN1_ITEM_rptr(SPKI));
}

static void rsa_free(RSA_NUMBERS **rsa)
{
    ASN1_item_free((ASN1_VALUE *)*rsa, ASN1_ITEM_rptr(RSA_NUMBERS));
}

static const struct curve *curve_of(uint32_t type)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (curves[i].type == type)
            return &curves[i];
    return NULL;
}

const char *curve_name(uint32_t type)
{
    const struct curve *curve = curve_of(type);

    return curve ? OBJ_nid2sn(curve->nid) : NULL;
}

size_t hash_size(uint32_t hash)
{
    static const unsigned char sizes[] = { [HX_SHA1] = 20, [HX_SHA256] = 32, [HX_SHA384] = 48, [HX_SHA512] = 64 };

    return hash < sizeof sizes ? sizes[hash] : 0;
}

size_t key_width(uint32_t type, uint32_t bits)
{
    const struct curve *curve = curve_of(type);

    if (type == HX_RSA)
        return bits / 8 + (bits % 8 != 0);
    if (type == HX_ED25519)
        return ED25519_WIDTH;
    return curve ? (curve->bits + 7) / 8 : 0;
}

/* The point, checked to lie on its curve, uncompressed in ret; returns its length, or 0. */
static size_t point_check(const struct curve *curve, const void *point, size_t len, unsigned char ret[POINT_MAX])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name_ex(encode_libctx(), NULL, curve->nid);
    EC_POINT *at = group ? EC_POINT_new(group) : NULL;
    size_t made = 0;

    if (at && EC_POINT_oct2point(group, at, point, len, NULL) && !EC_POINT_is_at_infinity(group, at))
        made = EC_POINT_point2oct(group, at, POINT_CONVERSION_UNCOMPRESSED, ret, POINT_MAX, NULL);
    EC_POINT_free(at);
    EC_GROUP_free(group);
    return made;
}

/* Takes key, an OPENSSL_malloc()ed block. */
static int wrap(int algorithm, int param_type, int param, unsigned char *key, int len, struct hx_bytes *ret)
{
    X509_PUBKEY *spki = X509_PUBKEY_new();
    void *value = param ? OBJ_nid2obj(param) : NULL;
    int result;

    if (!spki || !key || !X509_PUBKEY_set0_param(spki, OBJ_nid2obj(algorithm), param_type, value, key, len)) {
        OPENSSL_free(key);
        X509_PUBKEY_free(spki);
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    result = der_encode(spki, ASN1_ITEM_rptr(X509_PUBKEY), ret);
    X509_PUBKEY_free(spki);
    return result;
}

static int check_rsa(const RSA_NUMBERS *rsa)
{
    int bits = BN_num_bits(rsa->n);

    if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS || !BN_is_odd(rsa->n))
        return hx_error(HX_E_INVALID, "the RSA modulus (%d bits) is not an odd number of %d to %d bits", bits,
                        RSA_MIN_BITS, RSA_MAX_BITS);
    if (BN_num_bits(rsa->e) < 2 || !BN_is_odd(rsa->e))
        return hx_error(HX_E_INVALID, "the RSA public exponent is not an odd number above 1");
    return HX_OK;
}

static int encode_rsa(const struct hx_object *info, const void *modulus, size_t len, struct hx_bytes *ret)
{
    CLEANUP(rsa_free) RSA_NUMBERS *rsa = (RSA_NUMBERS *)ASN1_item_new(ASN1_ITEM_rptr(RSA_NUMBERS));
    unsigned char e[8], *der = NULL;
    int result, der_len;

    for (int i = 0; i < 8; i++)
        e[i] = (unsigned char)(info->rsa_e >> (56 - 8 * i));
    if (len > RSA_MAX_BITS)
        return hx_error(HX_E_INVALID, "an RSA modulus of %zu bytes is too long", len);
    if (!rsa || !BN_bin2bn(modulus, (int)len, rsa->n) || !BN_bin2bn(e, sizeof e, rsa->e))
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    if ((result = check_rsa(rsa)))
        return result;
    if (info->bits && info->bits != (uint32_t)BN_num_bits(rsa->n))
        return hx_error(HX_E_INVALID, "the RSA modulus has %d bits and not %u as was said", BN_num_bits(rsa->n),
                        (unsigned)info->bits);
    der_len = ASN1_item_i2d((ASN1_VALUE *)rsa, &der, ASN1_ITEM_rptr(RSA_NUMBERS));
    return wrap(NID_rsaEncryption, V_ASN1_NULL, 0, der, der_len, ret);
}

static int encode_point(const struct curve *curve, const unsigned char *point, size_t len, struct hx_bytes *ret)
{
    unsigned char checked[POINT_MAX];
    size_t want = 1 + 2 * key_width(curve->type, 0);

    if (len != want || point[0] != POINT_CONVERSION_UNCOMPRESSED)
        return hx_error(HX_E_INVALID, "the public key is not an uncompressed point (04 || X || Y) of %zu bytes", want);
    if (point_check(curve, point, len, checked) != want)
        return hx_error(HX_E_INVALID, "the public key is not a point on the curve '%s'", curve_name(curve->type));
    return wrap(NID_X9_62_id_ecPublicKey, V_ASN1_OBJECT, curve->nid, OPENSSL_memdup(checked, want), (int)want, ret);
}

static int encode_public(const struct hx_object *info, const void *public, size_t len, struct hx_bytes *ret)
{
    const struct curve *curve = curve_of(info->type);

    if (!public || !len)
        return hx_error(HX_E_INVALID, "the public key is empty");
    if (curve)
        return encode_point(curve, public, len, ret);
    if (info->type == HX_RSA)
        return encode_rsa(info, public, len, ret);
    if (info->type != HX_ED25519)
        return hx_error(HX_E_UNSUPPORTED, "a key of type %u has no public form", (unsigned)info->type);
    if (len != ED25519_WIDTH)
        return hx_error(HX_E_INVALID, "an Ed25519 public key has 32 bytes and not %zu", len);
    return wrap(NID_ED25519, V_ASN1_UNDEF, 0, OPENSSL_memdup(public, len), (int)len, ret);
}

int encode_spki(const struct hx_object *info, const void *public, size_t len, struct hx_bytes *ret)
{
    AUTO_ERRORS mark = ERR_set_mark();
    int result = encode_public(info, public, len, ret);

    /* What a token says of its own key cannot be the caller's mistake. */
    return result == HX_E_INVALID ? HX_E_DEVICE : result;
}

static int parse_rsa(const void *der, size_t len, struct hx_object *ret_info, struct hx_bytes *ret_public)
{
    CLEANUP(rsa_free) RSA_NUMBERS *rsa = der_decode(der, len, ASN1_ITEM_rptr(RSA_NUMBERS));
    unsigned char e[8], n[RSA_MAX_BITS / 8];
    int result, width;

    if (!rsa)
        return hx_error(HX_E_INVALID, "not an RSA public key");
    if ((result = check_rsa(rsa)))
        return result;
    if (BN_bn2binpad(rsa->e, e, sizeof e) < 0)
        return hx_error(HX_E_UNSUPPORTED, "an RSA public exponent of more than 64 bits is not supported");
    width = BN_bn2bin(rsa->n, n);
    if ((result = bytes_append(ret_public, n, (size_t)width)))
        return result;
    ret_info->type = HX_RSA;
    ret_info->bits = (uint32_t)BN_num_bits(rsa->n);
    ret_info->rsa_e = 0;
    for (int i = 0; i < 8; i++)
        ret_info->rsa_e = ret_info->rsa_e << 8 | e[i];
    return HX_OK;
}

static int parse_point(int nid, const void *point, size_t len, struct hx_object *ret_info, struct hx_bytes *ret_public)
{
    unsigned char checked[POINT_MAX];

    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        size_t width;

        if (curves[i].nid != nid)
            continue;
        if (!(width = point_check(&curves[i], point, len, checked)))
            return hx_error(HX_E_INVALID, "the public key is not a point on the curve '%s'", OBJ_nid2sn(nid));
        ret_info->type = curves[i].type;
        ret_info->bits = curves[i].bits;
        return bytes_append(ret_public, checked, width);
    }
    return hx_error(HX_E_UNSUPPORTED, "the curve '%s' is not supported; P-256, P-384 and P-521 are", OBJ_nid2sn(nid));
}

static int parse_ed25519(int param_type, const void *key, size_t len, struct hx_object *ret_info,
                         struct hx_bytes *ret_public)
{
    if (param_type != V_ASN1_UNDEF || len != ED25519_WIDTH)
        return hx_error(HX_E_INVALID, "not an Ed25519 public key of 32 bytes without parameters");
    ret_info->type = HX_ED25519;
    ret_info->bits = ED25519_BITS;
    return bytes_append(ret_public, key, len);
}

static int parse(const SPKI *spki, struct hx_object *ret_info, struct hx_bytes *ret_public)
{
    const unsigned char *key = ASN1_STRING_get0_data(spki->key);
    size_t len = (size_t)ASN1_STRING_length(spki->key);
    const ASN1_OBJECT *algorithm;
    const void *param;
    int param_type;
    char name[80];

    X509_ALGOR_get0(&algorithm, &param_type, &param, spki->algorithm);
    switch (OBJ_obj2nid(algorithm)) {
    case NID_rsaEncryption:
        return parse_rsa(key, len, ret_info, ret_public);
    case NID_X9_62_id_ecPublicKey:
        if (param_type != V_ASN1_OBJECT)
            return hx_error(HX_E_UNSUPPORTED, "an EC key whose curve is not named is not supported");
        return parse_point(OBJ_obj2nid(param), key, len, ret_info, ret_public);
    case NID_ED25519:
        return parse_ed25519(param_type, key, len, ret_info, ret_public);
    }
    OBJ_obj2txt(name, sizeof name, algorithm, 0);
    return hx_error(HX_E_UNSUPPORTED, "a public key of type '%s' is not supported", name);
}

int spki_parse(const void *der, size_t len, struct hx_object *ret_info, struct hx_bytes *ret_public)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(spki_free) SPKI *spki = der_decode(der, len, ASN1_ITEM_rptr(SPKI));
    AUTO_BYTES struct hx_bytes public = { 0 };
    struct hx_object info = { 0 };
    int result;

    if (!spki)
        return hx_error(HX_E_INVALID, "not a SubjectPublicKeyInfo");
    if ((result = parse(spki, &info, &public)))
        return result;
    if (ret_info) {
        ret_info->type = info.type;
        ret_info->bits = info.bits;
        ret_info->rsa_e = info.rsa_e;
    }
    if (ret_public)
        bytes_move(ret_public, &public);
    return HX_OK;
}

int spki_normal(const void *der, size_t len, struct hx_bytes *ret)
{
    AUTO_ERRORS mark = ERR_set_mark();
    AUTO_BYTES struct hx_bytes public = { 0 };
    struct hx_object info = { 0 };
    int result = spki_parse(der, len, &info, &public);

    return result ? result : encode_public(&info, public.data, public.len, ret);
}

int decode_spki(const void *spki, size_t len, struct hx_object *ret)
{
    return spki_parse(spki, len, ret, NULL);
}

int encode_ecdsa(const void *rs, size_t len, struct hx_bytes *ret)
{
    AUTO_ERRORS mark = ERR_set_mark();
    unsigned char der[160], *end = der;
    size_t half = len / 2;
    ECDSA_SIG *sig;
    BIGNUM *r, *s;
    int zero;

    if (!rs || !len || len % 2 || len > POINT_MAX - 1)
        return hx_error(HX_E_DEVICE, "an ECDSA signature of %zu bytes is not r || s", len);
    sig = ECDSA_SIG_new();
    r = BN_bin2bn(rs, (int)half, NULL);
    s = BN_bin2bn((const unsigned char *)rs + half, (int)half, NULL);
    if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(sig);
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    zero = BN_is_zero(r) || BN_is_zero(s);
    /* Two INTEGERs of at most 67 bytes and their headers: 141 bytes. */
    i2d_ECDSA_SIG(sig, &end);
    ECDSA_SIG_free(sig);
    if (zero)
        return hx_error(HX_E_DEVICE, "an ECDSA signature of zero is none");
    return bytes_append(ret, der, (size_t)(end - der));
}
