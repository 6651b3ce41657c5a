/* SPDX-License-Identifier: Apache-2.0 */
/* A public area (TPM 2.0 Part 2 §12.2) in our words.  The tables here are the only ones that match algorithms. */
#include "key.h"

#include <string.h>

static const struct {
    uint32_t hash;
    TPM2_ALG_ID alg;
    size_t size;
} hashes[] = {
    { HX_SHA1, TPM2_ALG_SHA1, 20 },
    { HX_SHA256, TPM2_ALG_SHA256, 32 },
    { HX_SHA384, TPM2_ALG_SHA384, 48 },
    { HX_SHA512, TPM2_ALG_SHA512, 64 },
};
#define HASHES (sizeof hashes / sizeof *hashes)

static const struct {
    uint32_t type;
    TPM2_ECC_CURVE curve;
    uint32_t bits;
} curves[] = {
    { HX_P256, TPM2_ECC_NIST_P256, 256 },
    { HX_P384, TPM2_ECC_NIST_P384, 384 },
    { HX_P521, TPM2_ECC_NIST_P521, 521 },
};
#define CURVES (sizeof curves / sizeof *curves)

TPM2_ALG_ID tpm_hash_of(uint32_t hash)
{
    for (size_t i = 0; i < HASHES; i++)
        if (hashes[i].hash == hash)
            return hashes[i].alg;
    return TPM2_ALG_NULL;
}

TPM2_ALG_ID tpm_hash_of_size(size_t size)
{
    for (size_t i = 0; i < HASHES; i++)
        if (hashes[i].size == size)
            return hashes[i].alg;
    return TPM2_ALG_NULL;
}

size_t tpm_hash_size(TPM2_ALG_ID alg)
{
    for (size_t i = 0; i < HASHES; i++)
        if (hashes[i].alg == alg)
            return hashes[i].size;
    return 0;
}

/* 0xffff: a hash that we have no word for; no operation asks for it. */
static uint32_t our_hash(TPM2_ALG_ID alg)
{
    for (size_t i = 0; i < HASHES; i++)
        if (hashes[i].alg == alg)
            return hashes[i].hash;
    return 0xffff;
}

TPM2_ECC_CURVE tpm_curve_of(uint32_t type)
{
    for (size_t i = 0; i < CURVES; i++)
        if (curves[i].type == type)
            return curves[i].curve;
    return TPM2_ECC_NONE;
}

size_t tpm_curve_width(TPM2_ECC_CURVE curve)
{
    for (size_t i = 0; i < CURVES; i++)
        if (curves[i].curve == curve)
            return (curves[i].bits + 7) / 8;
    return 0;
}

/* A scheme that is fixed in the key.  What we cannot do with it leaves it no usage. */
static void fix_scheme(TPM2_ALG_ID scheme, TPM2_ALG_ID hash, struct hx_object *info)
{
    static const struct {
        TPM2_ALG_ID alg;
        uint32_t scheme, usage;
    } schemes[] = {
        { TPM2_ALG_RSASSA, HX_RSA_PKCS1, HX_SIGN_DIGEST }, { TPM2_ALG_RSAPSS, HX_RSA_PSS, HX_SIGN_DIGEST },
        { TPM2_ALG_RSAES, HX_RSA_PKCS1, HX_DECRYPT },      { TPM2_ALG_OAEP, HX_RSA_OAEP, HX_DECRYPT },
        { TPM2_ALG_ECDSA, HX_ECDSA, HX_SIGN_DIGEST },      { TPM2_ALG_ECDH, HX_ECDH, HX_DERIVE },
        { TPM2_ALG_HMAC, HX_HMAC, HX_SIGN_MESSAGE },
    };

    if (scheme == TPM2_ALG_NULL)
        return;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (schemes[i].alg != scheme)
            continue;
        info->scheme = schemes[i].scheme;
        info->hash = scheme == TPM2_ALG_RSAES || scheme == TPM2_ALG_ECDH ? 0 : our_hash(hash);
        info->usage &= schemes[i].usage;
        return;
    }
    info->usage = 0;
}

static bool rsa_facts(const TPMT_PUBLIC *public, struct hx_object *info)
{
    const TPMS_RSA_PARMS *parms = &public->parameters.rsaDetail;

    info->kind = HX_PRIVATE_KEY;
    info->type = HX_RSA;
    info->bits = parms->keyBits;
    info->rsa_e = parms->exponent ? parms->exponent : 65537;
    info->usage = (public->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT ? HX_SIGN_DIGEST : 0) |
                  (public->objectAttributes & TPMA_OBJECT_DECRYPT ? HX_DECRYPT : 0);
    fix_scheme(parms->scheme.scheme, parms->scheme.details.anySig.hashAlg, info);
    return true;
}

static bool ecc_facts(const TPMT_PUBLIC *public, struct hx_object *info)
{
    const TPMS_ECC_PARMS *parms = &public->parameters.eccDetail;

    info->kind = HX_PRIVATE_KEY;
    info->usage = (public->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT ? HX_SIGN_DIGEST : 0) |
                  (public->objectAttributes & TPMA_OBJECT_DECRYPT ? HX_DERIVE : 0);
    fix_scheme(parms->scheme.scheme, parms->scheme.details.anySig.hashAlg, info);
    for (size_t i = 0; i < CURVES; i++)
        if (curves[i].curve == parms->curveID) {
            info->type = curves[i].type;
            info->bits = curves[i].bits;
            return true;
        }
    return false;
}

/* A keyed hash that neither signs nor decrypts is sealed data. */
static bool keyedhash_facts(const TPMT_PUBLIC *public, struct hx_object *info)
{
    const TPMT_KEYEDHASH_SCHEME *scheme = &public->parameters.keyedHashDetail.scheme;

    if (!(public->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT))
        return false;
    info->kind = HX_SECRET_KEY;
    info->type = HX_GENERIC;
    info->usage = HX_SIGN_MESSAGE;
    fix_scheme(scheme->scheme, scheme->details.hmac.hashAlg, info);
    return true;
}

bool tpm_public_facts(const TPMT_PUBLIC *public, struct hx_object *ret)
{
    struct hx_object info = { .flags = HX_IN_HARDWARE | HX_OWN_AUTH };
    bool known = public->type == TPM2_ALG_RSA         ? rsa_facts(public, &info)
                 : public->type == TPM2_ALG_ECC       ? ecc_facts(public, &info)
                 : public->type == TPM2_ALG_KEYEDHASH ? keyedhash_facts(public, &info)
                                                      : false;

    if (!known)
        return false;
    if (public->objectAttributes & TPMA_OBJECT_RESTRICTED) {
        info.flags |= HX_RESTRICTED;
        info.usage = 0;
    }
    *ret = info;
    return true;
}

int tpm_put_number(struct hx_out *out, const unsigned char *data, size_t len, size_t width)
{
    static const unsigned char zeroes[TPM2_MAX_ECC_KEY_BYTES];
    int result = 0;

    if (len < width && width - len <= sizeof zeroes)
        result = hx_put(out, zeroes, width - len);
    return result ? result : hx_put(out, data, len);
}

int tpm_public_put(const TPMT_PUBLIC *public, struct hx_out *out)
{
    const TPMS_ECC_POINT *point = &public->unique.ecc;
    size_t width;
    int result;

    if (public->type == TPM2_ALG_RSA)
        return hx_put(out, public->unique.rsa.buffer, public->unique.rsa.size);
    if (public->type != TPM2_ALG_ECC)
        return HX_E_UNSUPPORTED;
    width = tpm_curve_width(public->parameters.eccDetail.curveID);
    if ((result = hx_put(out, "\4", 1)) || (result = tpm_put_number(out, point->x.buffer, point->x.size, width)))
        return result;
    return tpm_put_number(out, point->y.buffer, point->y.size, width);
}
