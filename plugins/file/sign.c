/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures, and message authentication codes. */
#include "algorithm.h"
#include "crypto.h"
#include "object.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#define SIGNATURE_MAX 512 /* RSA of 4096 bits */

static EVP_PKEY_CTX *make_context(const struct object *object, const struct hx_alg *alg)
{
    OSSL_PARAM param[5], *at = param;
    int padding = RSA_NO_PADDING, salt = (int)alg->salt_len;
    if (alg->scheme == HX_RSA_PKCS1)
        padding = RSA_PKCS1_PADDING;
    if (alg->scheme == HX_RSA_PSS)
        padding = RSA_PKCS1_PSS_PADDING;
    if (alg->scheme != HX_ECDSA)
        *at++ = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PAD_MODE, &padding);
    char digest[HASH_NAME_SIZE], mgf[HASH_NAME_SIZE];
    if ((alg->scheme == HX_RSA_PKCS1 && alg->hash) || alg->scheme == HX_RSA_PSS)
        *at++ = hash_param(OSSL_SIGNATURE_PARAM_DIGEST, alg->hash, digest);
    if (alg->scheme == HX_RSA_PSS) {
        *at++ = hash_param(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, alg->mgf_hash ? alg->mgf_hash : alg->hash, mgf);
        *at++ = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, &salt);
    }
    *at = OSSL_PARAM_construct_end();
    OSSL_LIB_CTX *lib = crypto_context();
    EVP_PKEY_CTX *ctx = lib ? EVP_PKEY_CTX_new_from_pkey(lib, object->key, NULL) : NULL;
    if (!ctx || EVP_PKEY_sign_init_ex(ctx, param) <= 0) {
        EVP_PKEY_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static int sign_digest(struct object *object, const struct hx_alg *alg, const void *in, size_t len,
                       unsigned char ret[SIGNATURE_MAX], size_t *ret_len)
{
    /* For ECDSA the digest is a mere number, so that one context serves all hashes. */
    struct ready_context context = { .scheme = alg->scheme };
    if (alg->scheme != HX_ECDSA) {
        context.hash = alg->hash;
        context.mgf_hash = alg->mgf_hash;
        context.salt_len = alg->salt_len;
    }
    if (!ready_take(&object->ready, &context))
        context.ctx = make_context(object, alg);
    *ret_len = SIGNATURE_MAX;
    if (!context.ctx || EVP_PKEY_sign(context.ctx, ret, ret_len, in, len) <= 0) {
        EVP_PKEY_CTX_free(context.ctx);
        return hx_fail(object->token->host, HX_E_DEVICE, "cannot sign: %s", crypto_reason());
    }
    ready_give(&object->ready, &context);
    return 0;
}

static int check_rsa(const struct object *object, const struct hx_alg *alg, size_t len)
{
    const struct hx_host *host = object->token->host;
    size_t width = object->public.len, hash = hash_width(alg->hash);
    if (alg->hash && !hash)
        return hx_fail(host, HX_E_UNSUPPORTED, "unknown hash %u", alg->hash);
    if (alg->scheme == HX_RSA_RAW)
        return len == width ? 0 : hx_fail(host, HX_E_INVALID, "%zu bytes, where the modulus has %zu", len, width);
    if (alg->scheme == HX_RSA_PKCS1 && !hash)
        return len + 11 <= width ? 0 : hx_fail(host, HX_E_INVALID, "%zu bytes are too many to pad", len);
    if (alg->mgf_hash && !hash_width(alg->mgf_hash))
        return hx_fail(host, HX_E_UNSUPPORTED, "unknown mask hash %u", alg->mgf_hash);
    if (!hash || len != hash)
        return hx_fail(host, HX_E_INVALID, "%zu bytes are no digest of that hash", len);
    size_t encoded = (object->public.bits + 6) / 8; /* RFC 8017 §9.1.1: one bit less than the modulus */
    if (alg->scheme == HX_RSA_PSS && (alg->salt_len > encoded || alg->salt_len + hash + 2 > encoded))
        return hx_fail(host, HX_E_INVALID, "a salt of %u bytes is too long for the key", alg->salt_len);
    return 0;
}

static int sign_rsa(struct object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    unsigned char signature[SIGNATURE_MAX];
    size_t signature_len;
    int result = check_rsa(object, alg, len);
    if (!result)
        result = sign_digest(object, alg, in, len, signature, &signature_len);
    return result ? result : hx_put(out, signature, signature_len);
}

static int sign_ecdsa(struct object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    const struct hx_host *host = object->token->host;
    int width = (int)curve_by_type(object->public.type)->width;
    unsigned char der[SIGNATURE_MAX], numbers[2 * 66];
    size_t der_len;
    if (!len || len > (size_t)width)
        return hx_fail(host, HX_E_INVALID, "a digest of %zu bytes, where the curve takes 1 to %d", len, width);
    int result = sign_digest(object, alg, in, len, der, &der_len);
    if (result)
        return result;
    const unsigned char *at = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
    bool ok = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), numbers, width) == width &&
              BN_bn2binpad(ECDSA_SIG_get0_s(signature), numbers + width, width) == width;
    ECDSA_SIG_free(signature);
    if (!ok)
        return hx_fail(host, HX_E_DEVICE, "cannot sign: %s", crypto_reason());
    return hx_put(out, numbers, 2 * (size_t)width);
}

static int sign_eddsa(struct object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    const struct hx_host *host = object->token->host;
    unsigned char signature[64];
    size_t signature_len = sizeof signature;
    if (alg->param.len || alg->hash)
        return hx_fail(host, HX_E_UNSUPPORTED, "Ed25519 knows neither a context nor a hash");
    OSSL_LIB_CTX *lib = crypto_context();
    EVP_MD_CTX *ctx = lib ? EVP_MD_CTX_new() : NULL;
    bool ok = ctx && EVP_DigestSignInit_ex(ctx, NULL, NULL, lib, NULL, object->key, NULL) > 0 &&
              EVP_DigestSign(ctx, signature, &signature_len, len ? in : "", len) > 0;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return hx_fail(host, HX_E_DEVICE, "cannot sign: %s", crypto_reason());
    return hx_put(out, signature, signature_len);
}

static int sign_hmac(struct object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    const struct hx_host *host = object->token->host;
    unsigned char tag[64];
    size_t tag_len = 0;
    char digest[HASH_NAME_SIZE];
    if (!hash_width(alg->hash))
        return hx_fail(host, HX_E_UNSUPPORTED, "unknown hash %u", alg->hash);
    OSSL_PARAM param[] = { hash_param(OSSL_MAC_PARAM_DIGEST, alg->hash, digest), OSSL_PARAM_construct_end() };
    OSSL_LIB_CTX *lib = crypto_context();
    EVP_MAC *mac = lib ? EVP_MAC_fetch(lib, "HMAC", NULL) : NULL;
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    bool ok = ctx && EVP_MAC_init(ctx, object->value, object->len, param) && EVP_MAC_update(ctx, in, len) &&
              EVP_MAC_final(ctx, tag, &tag_len, sizeof tag);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    int result =
        ok ? hx_put(out, tag, tag_len) : hx_fail(host, HX_E_DEVICE, "cannot reckon the code: %s", crypto_reason());
    OPENSSL_cleanse(tag, sizeof tag);
    return result;
}

int object_sign(void *p, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    static const struct {
        uint32_t scheme, first, last;
        int (*sign)(struct object *, const struct hx_alg *, const void *, size_t, struct hx_out *);
    } schemes[] = {
        { HX_RSA_PKCS1, HX_RSA, HX_RSA, sign_rsa },       { HX_RSA_PSS, HX_RSA, HX_RSA, sign_rsa },
        { HX_RSA_RAW, HX_RSA, HX_RSA, sign_rsa },         { HX_ECDSA, HX_P256, HX_P521, sign_ecdsa },
        { HX_EDDSA, HX_ED25519, HX_ED25519, sign_eddsa }, { HX_HMAC, HX_GENERIC, HX_GENERIC, sign_hmac },
    };
    struct object *object = p;
    uint32_t type = object->kind == HX_CERTIFICATE ? 0 : object->public.type;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes && algorithm_is_plain(alg); i++)
        if (alg->scheme == schemes[i].scheme && type >= schemes[i].first && type <= schemes[i].last)
            return schemes[i].sign(object, alg, in, len, out);
    return hx_fail(object->token->host, HX_E_UNSUPPORTED, "this object cannot sign in that way");
}
