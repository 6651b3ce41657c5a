/* SPDX-License-Identifier: Apache-2.0 */
/* RSA decryption and ECDH. */
#include "algorithm.h"
#include "crypto.h"
#include "key.h"
#include "object.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#define PLAIN_MAX 512 /* RSA of 4096 bits */

static EVP_PKEY_CTX *make_context(const struct object *object, const struct hx_alg *alg)
{
    OSSL_PARAM param[5], *at = param;
    char digest[HASH_NAME_SIZE], mgf[HASH_NAME_SIZE];
    int padding = alg->scheme == HX_RSA_OAEP ? RSA_PKCS1_OAEP_PADDING : RSA_NO_PADDING;
    *at++ = OSSL_PARAM_construct_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, &padding);
    if (alg->scheme == HX_RSA_OAEP) {
        void *label = (void *)(uintptr_t)alg->param.data; /* only read */
        *at++ = hash_param(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, alg->hash, digest);
        *at++ = hash_param(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, alg->mgf_hash ? alg->mgf_hash : alg->hash, mgf);
        if (alg->param.len)
            *at++ = OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label, alg->param.len);
    }
    *at = OSSL_PARAM_construct_end();
    OSSL_LIB_CTX *lib = crypto_context();
    EVP_PKEY_CTX *ctx = lib ? EVP_PKEY_CTX_new_from_pkey(lib, object->key, NULL) : NULL;
    if (!ctx || EVP_PKEY_decrypt_init_ex(ctx, param) <= 0) {
        EVP_PKEY_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

int object_decrypt(void *p, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    struct object *object = p;
    const struct hx_host *host = object->token->host;
    unsigned char plain[PLAIN_MAX];
    size_t plain_len = sizeof plain;
    bool oaep = alg->scheme == HX_RSA_OAEP;
    if (!object->key || object->public.type != HX_RSA || (!oaep && alg->scheme != HX_RSA_RAW) ||
        !algorithm_is_plain(alg))
        return hx_fail(host, HX_E_UNSUPPORTED, "this object cannot decrypt in that way");
    if (oaep && (!hash_width(alg->hash) || (alg->mgf_hash && !hash_width(alg->mgf_hash))))
        return hx_fail(host, HX_E_UNSUPPORTED, "unknown hash %u or mask hash %u", alg->hash, alg->mgf_hash);
    if (len != object->public.len)
        return hx_fail(host, HX_E_INVALID, "%zu bytes, where the modulus has %zu", len, object->public.len);
    EVP_PKEY_CTX *ctx = make_context(object, alg);
    bool ok = ctx && EVP_PKEY_decrypt(ctx, plain, &plain_len, in, len) > 0;
    EVP_PKEY_CTX_free(ctx);
    int result = ok ? hx_put(out, plain, plain_len) : hx_fail(host, HX_E_INVALID, "cannot decrypt that");
    OPENSSL_cleanse(plain, sizeof plain);
    return result;
}

int object_derive(void *p, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    struct object *object = p;
    const struct hx_host *host = object->token->host;
    unsigned char secret[66];
    size_t secret_len = sizeof secret;
    const struct curve *curve = curve_by_type(object->public.type);
    if (!object->key || !curve || alg->scheme != HX_ECDH || !algorithm_is_plain(alg))
        return hx_fail(host, HX_E_UNSUPPORTED, "this object cannot derive in that way");
    EVP_PKEY *peer = key_from_point(curve->type, in, len);
    if (!peer)
        return hx_fail(host, HX_E_INVALID, "the peer's key is no point on the curve");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_context(), object->key, NULL);
    bool ok = ctx && EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, peer) > 0 &&
              EVP_PKEY_derive(ctx, secret, &secret_len) > 0 && secret_len == curve->width;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    int result =
        ok ? hx_put(out, secret, secret_len) : hx_fail(host, HX_E_DEVICE, "cannot derive: %s", crypto_reason());
    OPENSSL_cleanse(secret, sizeof secret);
    return result;
}
