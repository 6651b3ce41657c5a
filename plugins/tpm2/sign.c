/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures (TPM2_Sign, TPM 2.0 Part 3 §20.2): one command each. */
#include "object.h"

#include <string.h>

struct signing {
    TPM2B_DIGEST digest;
    TPMT_SIG_SCHEME scheme;
    TPMT_SIGNATURE *signature;
};

static TSS2_RC sign_command(const struct tpm_use *use, void *arg)
{
    static const TPMT_TK_HASHCHECK no_ticket = { .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL };
    struct signing *signing = arg;

    tpm_encrypt(use->esys, use->session, TPMA_SESSION_DECRYPT);
    return Esys_Sign(use->esys, use->key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &signing->digest, &signing->scheme,
                     &no_ticket, &signing->signature);
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

static int keep_digest(struct tpm_object *object, const void *in, size_t len, size_t width, TPM2B_DIGEST *ret)
{
    if (len > width || width > sizeof ret->buffer)
        return hx_fail(object->token->host, HX_E_INVALID, "a digest of %zu bytes", len);
    *ret = (TPM2B_DIGEST){ .size = (UINT16)width };
    memcpy(ret->buffer + width - len, in, len);
    return 0;
}

/* A TPM takes a digest only of a length that one of its hashes has, and no more of the hash than that: a shorter one is
 * the same number with zeroes before it. */
static int sign_ecdsa(struct tpm_object *object, const void *in, size_t len, struct hx_out *out)
{
    static const size_t sizes[] = { 32, 48, 64 };
    const TPMT_ASYM_SCHEME *fixed =
        (const TPMT_ASYM_SCHEME *)&object->key->public.publicArea.parameters.eccDetail.scheme;
    struct signing signing = { .scheme = { .scheme = TPM2_ALG_ECDSA } };
    size_t width = 0;
    int result;

    for (size_t i = 0; i < 3 && width < len; i++)
        width = sizes[i];
    if ((result = keep_digest(object, in, len, width, &signing.digest)))
        return result;
    signing.scheme.details.ecdsa.hashAlg =
        fixed->scheme == TPM2_ALG_ECDSA ? fixed->details.ecdsa.hashAlg : tpm_hash_of_size(width);
    return sign_digest(object, &signing, out);
}

static int sign_rsa(struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    struct signing signing = { .scheme = { .scheme = alg->scheme == HX_RSA_PSS ? TPM2_ALG_RSAPSS : TPM2_ALG_RSASSA } };
    TPM2_ALG_ID hash = tpm_hash_of(alg->hash);
    int result;

    if (hash == TPM2_ALG_NULL)
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "it signs digests of a known hash only");
    if (alg->scheme == HX_RSA_PSS && (alg->salt_len != len || (alg->mgf_hash && alg->mgf_hash != alg->hash)))
        return hx_fail(object->token->host, HX_E_UNSUPPORTED,
                       "its PSS takes a salt as long as the digest, and one hash");
    if ((result = keep_digest(object, in, len, len, &signing.digest)))
        return result;
    signing.scheme.details.any.hashAlg = hash;
    return sign_digest(object, &signing, out);
}

int tpm_sign(struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    const struct hx_host *host = object->token->host;

    if (!object->key)
        return hx_fail(host, HX_E_UNSUPPORTED, "it is no key");
    switch (alg->scheme) {
    case HX_RSA_PKCS1:
    case HX_RSA_PSS:
        return sign_rsa(object, alg, in, len, out);
    case HX_ECDSA:
        return sign_ecdsa(object, in, len, out);
    default:
        return hx_fail(host, HX_E_UNSUPPORTED, "a TPM has no such signatures");
    }
}
