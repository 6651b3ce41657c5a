/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures (TPM2_Sign, TPM 2.0 Part 3 §20.2): one command each.  What a TPM's own schemes cannot say is padded here,
 * for the raw operation. */
#include "digestinfo.h"
#include "object.h"

#include <string.h>

struct signing {
    TPM2B_DIGEST digest;
    TPMT_SIG_SCHEME scheme;
    TPMT_SIGNATURE *signature;
    TSS2_RC rc;
};

static TSS2_RC sign_command(const struct tpm_use *use, void *arg)
{
    static const TPMT_TK_HASHCHECK no_ticket = { .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL };
    struct signing *signing = arg;

    tpm_encrypt(use->esys, use->session, TPMA_SESSION_DECRYPT);
    signing->rc = Esys_Sign(use->esys, use->key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &signing->digest,
                            &signing->scheme, &no_ticket, &signing->signature);
    return signing->rc;
}

static int put_signature(struct tpm_object *object, const TPMT_SIGNATURE *signature, struct hx_out *out)
{
    const TPMS_SIGNATURE_ECC *ecdsa = &signature->signature.ecdsa;
    size_t width;
    int result;

    switch (signature->sigAlg) {
    case TPM2_ALG_RSASSA:
    case TPM2_ALG_RSAPSS:
        return hx_put(out, signature->signature.rsassa.sig.buffer, signature->signature.rsassa.sig.size);
    case TPM2_ALG_ECDSA:
        width = tpm_curve_width(object->key->public.publicArea.parameters.eccDetail.curveID);
        result = tpm_put_number(out, ecdsa->signatureR.buffer, ecdsa->signatureR.size, width);
        return result ? result : tpm_put_number(out, ecdsa->signatureS.buffer, ecdsa->signatureS.size, width);
    default:
        return hx_fail(object->token->host, HX_E_DEVICE, "the TPM made another kind of signature");
    }
}

static int sign_digest(struct tpm_object *object, struct signing *signing, struct hx_out *out)
{
    int result = tpm_use(object->token, object->key, sign_command, signing, "TPM2_Sign");

    if (result)
        return result;
    result = put_signature(object, signing->signature, out);
    Esys_Free(signing->signature);
    return result;
}

/* Of size bytes the TPM takes the first width. */
static int keep_digest(struct tpm_object *object, const void *in, size_t len, size_t width, size_t size,
                       TPM2B_DIGEST *ret)
{
    if (len > width || width > size || size > sizeof ret->buffer)
        return hx_fail(object->token->host, HX_E_INVALID, "a digest of %zu bytes, where the key takes %zu", len, width);
    *ret = (TPM2B_DIGEST){ .size = (UINT16)size };
    memcpy(ret->buffer + width - len, in, len);
    return 0;
}

/* A TPM takes a digest only of a length that one of its hashes has, and of that as much as the curve is wide (FIPS
 * 186-4 §6.4), as the core did: what is shorter is the same number with zeroes before it, and behind it, for a key that
 * is made for a longer hash. */
static int sign_ecdsa(struct tpm_object *object, const void *in, size_t len, struct hx_out *out)
{
    static const size_t sizes[] = { 32, 48, 64 };
    const TPMT_ECC_SCHEME *fixed;
    struct signing signing = { .scheme = { .scheme = TPM2_ALG_ECDSA } };
    size_t width = 0, curve;
    int result;

    if ((result = tpm_check_key(object, TPM2_ALG_ECC, TPMA_OBJECT_SIGN_ENCRYPT, TPM2_ALG_ECDSA)))
        return result;
    fixed = &object->key->public.publicArea.parameters.eccDetail.scheme;
    curve = tpm_curve_width(object->key->public.publicArea.parameters.eccDetail.curveID);
    if (len > curve)
        len = curve;
    for (size_t i = 0; i < 3 && width < len; i++)
        width = sizes[i];
    if (fixed->scheme == TPM2_ALG_ECDSA)
        width = tpm_hash_size(fixed->details.ecdsa.hashAlg);
    if ((result = keep_digest(object, in, len, width < curve ? width : curve, width, &signing.digest)))
        return result;
    signing.scheme.details.ecdsa.hashAlg =
        fixed->scheme == TPM2_ALG_ECDSA ? fixed->details.ecdsa.hashAlg : tpm_hash_of_size(width);
    return sign_digest(object, &signing, out);
}

/* *ret_rc: what the TPM said. */
static int sign_rsa(struct tpm_object *object, TPM2_ALG_ID scheme, TPM2_ALG_ID hash, const void *in, size_t len,
                    struct hx_out *out, TSS2_RC *ret_rc)
{
    struct signing signing = { 0 };
    size_t size = tpm_hash_size(hash);
    int result = tpm_check_key(object, TPM2_ALG_RSA, TPMA_OBJECT_SIGN_ENCRYPT, scheme);

    if (result || (result = keep_digest(object, in, len, size, size, &signing.digest)))
        return result;
    signing.scheme.scheme = scheme;
    signing.scheme.details.any.hashAlg = hash;
    result = sign_digest(object, &signing, out);
    *ret_rc = signing.rc;
    return result;
}

static int sign_pss(struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    TPM2_ALG_ID hash = tpm_hash_of(alg->hash);
    TSS2_RC rc;

    if (hash == TPM2_ALG_NULL)
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "a TPM has no such hash");
    if (alg->salt_len != len || (alg->mgf_hash && alg->mgf_hash != alg->hash))
        return hx_fail(object->token->host, HX_E_UNSUPPORTED,
                       "a TPM's PSS takes a salt as long as the digest, and one hash");
    return sign_rsa(object, TPM2_ALG_RSAPSS, hash, in, len, out, &rc);
}

/* RFC 8017 §9.2, from its step 3 on. */
static int sign_block(struct tpm_object *object, const void *info, size_t len, struct hx_out *out)
{
    unsigned char block[TPM2_MAX_RSA_KEY_BYTES];
    size_t width;
    int result = tpm_check_key(object, TPM2_ALG_RSA, TPMA_OBJECT_DECRYPT, TPM2_ALG_NULL);

    if (result)
        return result;
    width = (size_t)object->key->public.publicArea.parameters.rsaDetail.keyBits / 8;
    if (width > sizeof block || len + 11 > width)
        return hx_fail(object->token->host, HX_E_INVALID, "%zu bytes are too many for a key of %zu", len, width);
    memset(block, 0xff, width);
    block[0] = 0;
    block[1] = 1;
    block[width - len - 1] = 0;
    memcpy(block + width - len, info, len);
    return tpm_raw(object, block, width, out);
}

/* Says whether it failed for that the TPM does not have the hash; which is asked once. */
static bool lacks(struct tpm_object *object, uint32_t hash, TSS2_RC rc)
{
    TPM2_RC answer = tpm_rc(rc);

    if (answer == TPM2_RC_HASH || answer == TPM2_RC_SCHEME || answer == TPM2_RC_VALUE)
        object->token->tpm->lacks |= 1u << hash;
    return object->token->tpm->lacks >> hash & 1;
}

static bool is_free(const struct tpm_object *object)
{
    const TPMT_PUBLIC *public = &object->key->public.publicArea;

    return public->parameters.rsaDetail.scheme.scheme == TPM2_ALG_NULL &&
           public->objectAttributes & TPMA_OBJECT_DECRYPT;
}

/* Without a hash's name the digest stands in its DigestInfo or, as in TLS 1.1, in none. */
static int sign_pkcs1(struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len,
                      struct hx_out *out)
{
    struct tpm_digest_info info;
    TSS2_RC rc = 0;
    int result;

    if (alg->hash ? !tpm_digest_info_make(alg->hash, in, len, &info) : !tpm_digest_info_parse(in, len, &info))
        return alg->hash ? hx_fail(object->token->host, HX_E_UNSUPPORTED, "a TPM has no such hash")
                         : sign_block(object, in, len, out);
    if (!is_free(object) || !lacks(object, info.hash, 0)) {
        result = sign_rsa(object, TPM2_ALG_RSASSA, tpm_hash_of(info.hash), info.digest, info.digest_len, out, &rc);
        if (!rc || !is_free(object) || !lacks(object, info.hash, rc))
            return result;
    }
    return sign_block(object, info.der, info.len, out);
}

int tpm_sign(struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    switch (alg->scheme) {
    case HX_RSA_PKCS1:
        return sign_pkcs1(object, alg, in, len, out);
    case HX_RSA_PSS:
        return sign_pss(object, alg, in, len, out);
    case HX_RSA_RAW:
        return tpm_raw(object, in, len, out);
    case HX_ECDSA:
        return sign_ecdsa(object, in, len, out);
    case HX_HMAC:
        return tpm_mac(object, alg, in, len, out);
    default:
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "a TPM has no such signatures");
    }
}
