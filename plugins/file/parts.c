/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys out of PKCS#8, PKCS#1 and SEC 1, by libcrypto's ASN.1 parser alone: its decoders would do the same in
 * half a millisecond more, which is felt where a program starts for one signature. */
#include "parts.h"

#include "crypto.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <string.h>

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 4096

void parts_wipe(struct parts *parts)
{
    OPENSSL_cleanse(parts, sizeof *parts);
}

static bool add(struct parts *parts, struct hx_buf number)
{
    if (parts->count == PARTS_MAX || number.len > sizeof parts->store - parts->used)
        return false;
    unsigned char *to = parts->store + parts->used;
    if (number.len)
        memcpy(to, number.data, number.len);
    parts->part[parts->count++] = (struct hx_buf){ to, number.len };
    parts->used += number.len;
    return true;
}

static struct hx_buf without_zeros(struct hx_buf number)
{
    const unsigned char *at = number.data;
    while (number.len && !*at) {
        at++;
        number.len--;
    }
    number.data = at;
    return number;
}

/* The public point of a scalar; OpenSSL 3.0 does not reckon it by itself. */
static bool reckon_point(uint32_t type, const struct hx_buf *scalar, unsigned char *ret, size_t size)
{
    const struct curve *curve = curve_by_type(type);
    OSSL_LIB_CTX *lib = crypto_context();
    EC_GROUP *group = lib ? EC_GROUP_new_by_curve_name_ex(lib, NULL, curve->nid) : NULL;
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    BIGNUM *number = BN_bin2bn(scalar->data, (int)scalar->len, NULL);
    BN_CTX *scratch = lib ? BN_CTX_new_ex(lib) : NULL;
    if (number)
        BN_set_flags(number, BN_FLG_CONSTTIME);
    bool ok = point && number && scratch && EC_POINT_mul(group, point, number, NULL, NULL, scratch) &&
              EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, ret, size, scratch) == size;
    BN_CTX_free(scratch);
    BN_clear_free(number);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return ok;
}

static bool reckon_ed25519(const struct hx_buf *seed, unsigned char *ret, size_t size)
{
    OSSL_LIB_CTX *lib = crypto_context();
    EVP_PKEY *key = lib ? EVP_PKEY_new_raw_private_key_ex(lib, "ED25519", NULL, seed->data, seed->len) : NULL;
    bool ok = key && EVP_PKEY_get_raw_public_key(key, ret, &size);
    EVP_PKEY_free(key);
    return ok;
}

static int finish_rsa(const struct parts *parts, const char **ret_why)
{
    struct public_key public;
    *ret_why = "its numbers do not make an RSA key";
    if (parts->count != 8 || !public_from_rsa(&parts->part[RSA_N], &parts->part[RSA_E], &public))
        return HX_E_CONFIG;
    *ret_why = "RSA keys have 2048 to 4096 bits here";
    return public.bits < RSA_MIN_BITS || public.bits > RSA_MAX_BITS ? HX_E_UNSUPPORTED : 0;
}

/* Brings the public part of EC and Ed25519 keys in, when it is missing. */
static int finish_point(struct parts *parts, const char **ret_why)
{
    const struct curve *curve = curve_by_type(parts->type);
    size_t width = curve ? curve->width : 32, size = curve ? 1 + 2 * width : 32;
    unsigned char point[1 + 2 * 66];
    *ret_why = curve ? "its numbers do not make an EC key" : "its numbers do not make an Ed25519 key";
    if (parts->count < 1 || parts->count > 2 || !parts->part[0].len || parts->part[0].len > width)
        return HX_E_CONFIG;
    if (!curve && parts->part[0].len != width)
        return HX_E_CONFIG;
    if (parts->count == 2 && parts->part[1].len)
        return parts->part[1].len == size ? 0 : HX_E_CONFIG;
    parts->count = 1;
    bool ok =
        curve ? reckon_point(parts->type, &parts->part[0], point, size) : reckon_ed25519(&parts->part[0], point, size);
    return ok && add(parts, (struct hx_buf){ point, size }) ? 0 : HX_E_CONFIG;
}

static int finish(struct parts *parts, const char **ret_why)
{
    return parts->type == HX_RSA ? finish_rsa(parts, ret_why) : finish_point(parts, ret_why);
}

int parts_from_numbers(uint32_t type, const struct hx_buf *part, size_t count, struct parts *ret, const char **ret_why)
{
    memset(ret, 0, sizeof *ret);
    ret->type = type;
    *ret_why = "it is none of RSA, P-256, P-384, P-521 and Ed25519";
    if (type != HX_RSA && type != HX_ED25519 && !curve_by_type(type))
        return HX_E_UNSUPPORTED;
    *ret_why = "it has too many or too large numbers";
    for (size_t i = 0; i < count; i++)
        if (!add(ret, type == HX_ED25519 || i ? part[i] : without_zeros(part[i])))
            return HX_E_CONFIG;
    return finish(ret, ret_why);
}

/* RSAPrivateKey ::= SEQUENCE { version 0, n, e, d, p, q, dP, dQ, qInv } (RFC 8017 A.1.2) */
static int from_rsa(const void *der, size_t len, struct parts *ret, const char **ret_why)
{
    STACK_OF(ASN1_TYPE) *sequence = sequence_parse(der, len);
    struct hx_buf number;
    ret->type = HX_RSA;
    bool ok = sequence && sk_ASN1_TYPE_num(sequence) == 9;
    for (int i = 1; ok && i <= 8; i++)
        ok = sequence_get(sequence, i, V_ASN1_INTEGER, &number) && add(ret, without_zeros(number));
    sequence_free(sequence);
    *ret_why = "it is no RSA private key of two primes";
    return ok ? finish(ret, ret_why) : HX_E_CONFIG;
}

/* The content of an explicitly tagged element. */
static bool untag(const STACK_OF(ASN1_TYPE) * sequence, int index, int tag, struct hx_buf *ret)
{
    struct hx_buf der;
    if (!sequence_get(sequence, index, V_ASN1_OTHER, &der))
        return false;
    const unsigned char *at = der.data;
    long len;
    int found_tag, found_class;
    if (ASN1_get_object(&at, &len, &found_tag, &found_class, (long)der.len) & 0x80)
        return false;
    *ret = (struct hx_buf){ at, (size_t)len };
    return found_tag == tag && found_class == V_ASN1_CONTEXT_SPECIFIC;
}

static int untag_nid(const STACK_OF(ASN1_TYPE) * sequence)
{
    struct hx_buf content;
    if (!untag(sequence, 2, 0, &content))
        return NID_undef;
    const unsigned char *at = content.data;
    ASN1_OBJECT *object = d2i_ASN1_OBJECT(NULL, &at, (long)content.len);
    int nid = OBJ_obj2nid(object);
    ASN1_OBJECT_free(object);
    return nid;
}

/* The public point, if it is there and uncompressed; otherwise it is reckoned. */
static bool add_point(const STACK_OF(ASN1_TYPE) * sequence, struct parts *ret)
{
    struct hx_buf content;
    int last = sk_ASN1_TYPE_num(sequence) - 1;
    if (last < 2 || !untag(sequence, last, 1, &content))
        return true;
    const unsigned char *at = content.data;
    ASN1_BIT_STRING *bits = d2i_ASN1_BIT_STRING(NULL, &at, (long)content.len);
    bool ok = bits;
    if (bits && bits->length && bits->data[0] == POINT_CONVERSION_UNCOMPRESSED)
        ok = add(ret, (struct hx_buf){ bits->data, (size_t)bits->length });
    ASN1_BIT_STRING_free(bits);
    return ok;
}

/* ECPrivateKey ::= SEQUENCE { version 1, key OCTET STRING, [0] curve OPTIONAL, [1] point OPTIONAL } (RFC 5915 §3) */
static int from_ec(int nid, const void *der, size_t len, struct parts *ret, const char **ret_why)
{
    STACK_OF(ASN1_TYPE) *sequence = sequence_parse(der, len);
    struct hx_buf scalar;
    bool ok = sequence && sequence_get(sequence, 1, V_ASN1_OCTET_STRING, &scalar) && add(ret, without_zeros(scalar)) &&
              add_point(sequence, ret);
    if (ok && nid == NID_undef)
        nid = untag_nid(sequence);
    sequence_free(sequence);
    const struct curve *curve = curve_by_nid(nid);
    *ret_why = "its curve is none of P-256, P-384 and P-521";
    if (ok && !curve)
        return HX_E_UNSUPPORTED;
    *ret_why = "it is no EC private key";
    if (!ok)
        return HX_E_CONFIG;
    ret->type = curve->type;
    return finish(ret, ret_why);
}

static int from_ed25519(const void *der, size_t len, struct parts *ret, const char **ret_why)
{
    const unsigned char *at = der;
    ASN1_OCTET_STRING *seed = d2i_ASN1_OCTET_STRING(NULL, &at, (long)len);
    ret->type = HX_ED25519;
    bool ok = seed && add(ret, (struct hx_buf){ ASN1_STRING_get0_data(seed), (size_t)ASN1_STRING_length(seed) });
    if (seed)
        OPENSSL_cleanse(seed->data, (size_t)seed->length);
    ASN1_OCTET_STRING_free(seed);
    *ret_why = "it is no Ed25519 private key";
    return ok ? finish(ret, ret_why) : HX_E_CONFIG;
}

static int curve_of(const X509_ALGOR *algorithm)
{
    const void *value;
    int type;
    X509_ALGOR_get0(NULL, &type, &value, algorithm);
    int nid = type == V_ASN1_OBJECT ? OBJ_obj2nid(value) : NID_undef;
    return nid == NID_undef ? NID_X9_62_id_ecPublicKey : nid; /* a number that is no curve's */
}

static int from_pkcs8(const PKCS8_PRIV_KEY_INFO *info, struct parts *ret, const char **ret_why)
{
    const ASN1_OBJECT *oid;
    const X509_ALGOR *algorithm;
    const unsigned char *der;
    int len;
    PKCS8_pkey_get0(&oid, &der, &len, &algorithm, info);
    switch (OBJ_obj2nid(oid)) {
    case NID_rsaEncryption:
        return from_rsa(der, (size_t)len, ret, ret_why);
    case NID_X9_62_id_ecPublicKey:
        return from_ec(curve_of(algorithm), der, (size_t)len, ret, ret_why);
    case NID_ED25519:
        return from_ed25519(der, (size_t)len, ret, ret_why);
    default:
        *ret_why = "its type is none of RSA, EC and Ed25519";
        return HX_E_UNSUPPORTED;
    }
}

int parts_from_block(const struct block *block, struct parts *ret, const char **ret_why)
{
    memset(ret, 0, sizeof *ret);
    if (block->what == BLOCK_RSA_KEY)
        return from_rsa(block->der, block->len, ret, ret_why);
    if (block->what == BLOCK_EC_KEY)
        return from_ec(NID_undef, block->der, block->len, ret, ret_why);
    const unsigned char *at = block->der;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)block->len);
    *ret_why = "it is no PKCS#8 private key";
    int result = info ? from_pkcs8(info, ret, ret_why) : HX_E_CONFIG;
    PKCS8_PRIV_KEY_INFO_free(info);
    return result;
}

bool parts_public(const struct parts *parts, struct public_key *ret)
{
    if (parts->type == HX_RSA)
        return public_from_rsa(&parts->part[RSA_N], &parts->part[RSA_E], ret);
    return public_from_point(parts->type, parts->part[EC_POINT_].data, parts->part[EC_POINT_].len, ret);
}
