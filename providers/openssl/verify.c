/* SPDX-License-Identifier: Apache-2.0 */
/* Verification, and the names of signature algorithms: all public, so the default provider does it, with the key's
 * public half in our private library context. */
#include "signature.h"

#include "word.h"

#include <openssl/params.h>
#include <openssl/rsa.h>

enum { PARAMS = 5, ALGORITHM_MAX = 512 };

typedef int init_fn(EVP_PKEY_CTX *ctx, const OSSL_PARAM params[]);

/* The padding, into ret, ended. */
static void padding_params(struct signature *sig, int *salt, OSSL_PARAM *ret)
{
    if (sig->key->type->has_padding)
        *ret++ = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PAD_MODE, &sig->padding);
    if (sig->key->type->has_padding && sig->padding == RSA_PKCS1_PSS_PADDING) {
        *ret++ = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, salt);
        if (sig->mgf_digest)
            *ret++ = word_digest_param(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, sig->mgf_digest);
    }
    *ret = OSSL_PARAM_construct_end();
}

static EVP_PKEY_CTX *verifier(struct signature *sig, init_fn *init)
{
    EVP_PKEY *public = key_public(sig->key);
    OSSL_PARAM params[PARAMS], *at = params;
    EVP_PKEY_CTX *ctx;

    if (!public)
        return NULL;
    if (sig->digest)
        *at++ = word_digest_param(OSSL_SIGNATURE_PARAM_DIGEST, sig->digest);
    padding_params(sig, &sig->salt, at);
    ctx = EVP_PKEY_CTX_new_from_pkey(software_libctx(sig->provider), public, NULL);
    if (ctx && init(ctx, params) == 1)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    error_raise(sig->provider, HX_E_UNSUPPORTED, __func__, "verification: not with this digest and padding");
    return NULL;
}

int verify_digest(struct signature *sig, const void *bytes, size_t len, const void *in, size_t in_len)
{
    EVP_PKEY_CTX *ctx = verifier(sig, EVP_PKEY_verify_init_ex);
    int good = ctx && EVP_PKEY_verify(ctx, bytes, len, in, in_len) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

int verify_recover(struct signature *sig, unsigned char *out, size_t *out_len, size_t size, const void *bytes,
                   size_t len)
{
    EVP_PKEY_CTX *ctx = verifier(sig, EVP_PKEY_verify_recover_init_ex);
    size_t got = size;
    int good = ctx && EVP_PKEY_verify_recover(ctx, out, &got, bytes, len) == 1;

    EVP_PKEY_CTX_free(ctx);
    if (good)
        *out_len = got;
    return good;
}

int verify_message(struct signature *sig, const void *bytes, size_t len, const void *in, size_t in_len)
{
    EVP_PKEY *public = key_public(sig->key);
    EVP_MD_CTX *ctx = public ? EVP_MD_CTX_new() : NULL;
    int good = ctx &&
               EVP_DigestVerifyInit_ex(ctx, NULL, NULL, software_libctx(sig->provider), NULL, public, NULL) == 1 &&
               EVP_DigestVerify(ctx, bytes, len, in, in_len) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

int verify_algorithm(struct signature *sig, OSSL_PARAM *ret)
{
    EVP_PKEY *public = key_public(sig->key);
    unsigned char der[ALGORITHM_MAX];
    OSSL_PARAM padding[PARAMS];
    OSSL_PARAM wanted[] = {
        OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, der, sizeof(der)),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *pctx;
    EVP_MD_CTX *ctx;
    int salt = 0, ok;

    if (!public || (!sig->digest && !sig->key->type->signs_message))
        return 0;
    if (sig->digest && sig->key->type->has_padding)
        salt = signature_salt(sig, sig->digest->size);
    if (salt < 0)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "pss: the key is too short for digest and salt");
    padding_params(sig, &salt, padding);
    ctx = EVP_MD_CTX_new();
    ok = ctx &&
         EVP_DigestVerifyInit_ex(ctx, &pctx, sig->digest ? sig->digest->name : NULL, software_libctx(sig->provider),
                                 NULL, public, padding) == 1 &&
         EVP_PKEY_CTX_get_params(pctx, wanted) == 1 && OSSL_PARAM_modified(wanted) &&
         OSSL_PARAM_set_octet_string(ret, der, wanted[0].return_size);
    EVP_MD_CTX_free(ctx);
    return ok;
}
