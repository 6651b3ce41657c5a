/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures: hash in software, send the digest to the token.  One table of functions serves all key types. */
#include "signature.h"

#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static void *newctx(void *provider, const char *propq)
{
    struct signature *sig = calloc(1, sizeof(*sig));

    (void)propq;
    if (!sig)
        return NULL;
    sig->provider = provider;
    signature_reset(sig);
    return sig;
}

static void freectx(void *ctx)
{
    struct signature *sig = ctx;

    EVP_MD_CTX_free(sig->hash);
    key_free(sig->key);
    free(sig);
}

static void *dupctx(void *ctx)
{
    const struct signature *from = ctx;
    struct signature *sig = malloc(sizeof(*sig));

    if (!sig)
        return NULL;
    *sig = *from;
    sig->hash = NULL;
    if (sig->key)
        key_retain(sig->key);
    if (!from->hashing)
        return sig;
    sig->hash = EVP_MD_CTX_new();
    if (sig->hash && EVP_MD_CTX_copy_ex(sig->hash, from->hash) == 1)
        return sig;
    freectx(sig);
    return NULL;
}

static int init(struct signature *sig, void *key, const OSSL_PARAM params[])
{
    if (key) {
        key_retain(key);
        key_free(sig->key);
        sig->key = key;
    }
    if (!sig->key)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "no key");
    signature_reset(sig);
    return signature_set_params(sig, params);
}

static int init_digest(struct signature *sig, const char *digest, void *key, const OSSL_PARAM params[])
{
    if (!init(sig, key, NULL))
        return 0;
    if (sig->key->type->signs_message)
        return !digest || !*digest ||
               error_raise(sig->provider, HX_E_INVALID, __func__, "digest '%s': a key of type '%s' takes none", digest,
                           sig->key->type->name);
    if (digest && *digest && !signature_set_digest(sig, digest))
        return 0;
    sig->digest_fixed = !!sig->digest;
    return signature_set_params(sig, params);
}

static int is_private(struct signature *sig)
{
    return sig->key->hx || error_raise(sig->provider, HX_E_INVALID, __func__, "a public key cannot sign");
}

/* A message that is not hashed here must come in one piece, by way of digest_sign. */
static int is_digest(struct signature *sig)
{
    return !sig->key->type->signs_message ||
           error_raise(sig->provider, HX_E_UNSUPPORTED, __func__, "a key of type '%s' signs messages, not digests",
                       sig->key->type->name);
}

static int sign_init(void *sig, void *key, const OSSL_PARAM params[])
{
    return init(sig, key, params) && is_private(sig) && is_digest(sig);
}

static int verify_init(void *sig, void *key, const OSSL_PARAM params[])
{
    return init(sig, key, params) && is_digest(sig);
}

static int digest_sign_init(void *sig, const char *digest, void *key, const OSSL_PARAM params[])
{
    return init_digest(sig, digest, key, params) && is_private(sig);
}

static int digest_verify_init(void *sig, const char *digest, void *key, const OSSL_PARAM params[])
{
    return init_digest(sig, digest, key, params);
}

static int max_size(struct signature *sig, size_t *ret)
{
    int size = key_signature_max(sig->key);

    if (size <= 0)
        return 0;
    *ret = (size_t)size;
    return 1;
}

static int send(struct signature *sig, const struct hx_alg *alg, const void *in, size_t len, unsigned char *out,
                size_t *out_len, size_t size)
{
    struct hx_bytes bytes = { 0 };
    int result = hx_sign(sig->key->hx, alg, in, len, &bytes);
    int ok;

    if (result < 0)
        return error_hx(sig->provider, result, __func__);
    ok = bytes.len <= size;
    if (ok) {
        memcpy(out, bytes.data, bytes.len);
        *out_len = bytes.len;
    } else {
        error_raise(sig->provider, HX_E_INVALID, __func__, "signature: no room for it");
    }
    hx_bytes_free(&bytes);
    return ok;
}

/* The digests beside enum hx_hash that a PKCS#1 signature may name: what signs with another nobody can verify. */
static bool has_digest_info(int nid)
{
    static const int nids[] = { NID_md5,        NID_mdc2,     NID_ripemd160, NID_sha224,   NID_sha512_224,
                                NID_sha512_256, NID_sha3_224, NID_sha3_256,  NID_sha3_384, NID_sha3_512 };

    for (size_t i = 0; i < sizeof(nids) / sizeof(*nids); i++)
        if (nids[i] == nid)
            return true;
    return false;
}

/* PKCS#1 with a digest that tokens have no number for: they pad our DigestInfo as it is. */
static int send_digest_info(struct signature *sig, const void *in, size_t len, unsigned char *out, size_t *out_len,
                            size_t size)
{
    static const struct hx_alg alg = { .scheme = HX_RSA_PKCS1 };
    ASN1_OCTET_STRING *digest;
    unsigned char *der = NULL;
    X509_ALGOR *algorithm;
    X509_SIG *info;
    int der_len = -1, ok = 0;

    if (!has_digest_info(sig->digest->nid))
        return error_raise(sig->provider, HX_E_UNSUPPORTED, __func__, "digest '%s': not for pkcs1", sig->digest->name);
    info = X509_SIG_new();
    if (info) {
        X509_SIG_getm(info, &algorithm, &digest);
        if (X509_ALGOR_set0(algorithm, OBJ_nid2obj(sig->digest->nid), V_ASN1_NULL, NULL) == 1 &&
            ASN1_OCTET_STRING_set(digest, in, (int)len) == 1)
            der_len = i2d_X509_SIG(info, &der);
    }
    if (der_len > 0)
        ok = send(sig, &alg, der, (size_t)der_len, out, out_len, size);
    OPENSSL_free(der);
    X509_SIG_free(info);
    return ok;
}

static int send_pss(struct signature *sig, const void *in, size_t len, unsigned char *out, size_t *out_len, size_t size)
{
    struct hx_alg alg = { .scheme = HX_RSA_PSS, .hash = sig->digest ? sig->digest->hash : 0 };
    int salt = signature_salt(sig, len);

    if (!sig->digest)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "pss: no digest set");
    if (!alg.hash || (sig->mgf_digest && !sig->mgf_digest->hash))
        return error_raise(sig->provider, HX_E_UNSUPPORTED, __func__, "digest '%s': not for pss", sig->digest->name);
    if (salt < 0)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "pss: the key is too short for digest and salt");
    alg.salt_len = (uint32_t)salt;
    alg.mgf_hash = sig->mgf_digest ? sig->mgf_digest->hash : 0;
    return send(sig, &alg, in, len, out, out_len, size);
}

static int sign(void *ctx, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    struct signature *sig = ctx;
    const struct digest *digest = sig->digest;
    struct hx_alg alg = { .scheme = sig->key->type->scheme, .hash = digest ? digest->hash : 0 };

    if (!is_private(sig))
        return 0;
    if (!out)
        return max_size(sig, out_len);
    if (digest && len != digest->size)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "digest '%s' has %zu bytes, not %zu", digest->name,
                           digest->size, len);
    if (!sig->key->type->has_padding)
        return send(sig, &alg, in, len, out, out_len, size);
    if (sig->padding == RSA_PKCS1_PSS_PADDING)
        return send_pss(sig, in, len, out, out_len, size);
    /* TLS 1.0's MD5 and SHA-1 side by side are signed without a DigestInfo (RFC 2246 §4.7). */
    if (digest && !digest->hash && digest->nid != NID_md5_sha1)
        return send_digest_info(sig, in, len, out, out_len, size);
    return send(sig, &alg, in, len, out, out_len, size);
}

static int verify(void *sig, const unsigned char *bytes, size_t bytes_len, const unsigned char *in, size_t len)
{
    return verify_digest(sig, bytes, bytes_len, in, len);
}

static int recover_init(void *sig, void *key, const OSSL_PARAM params[])
{
    return verify_init(sig, key, params);
}

static int recover(void *sig, unsigned char *out, size_t *out_len, size_t size, const unsigned char *bytes, size_t len)
{
    return verify_recover(sig, out, out_len, size, bytes, len);
}

static int start_hash(struct signature *sig)
{
    if (sig->hashing)
        return 1;
    if (!sig->digest)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "no digest set");
    if (!sig->hash)
        sig->hash = EVP_MD_CTX_new();
    sig->hashing = sig->hash && EVP_DigestInit_ex2(sig->hash, sig->digest->md, NULL) == 1;
    return sig->hashing;
}

static int digest_update(void *ctx, const unsigned char *data, size_t len)
{
    struct signature *sig = ctx;

    return is_digest(sig) && start_hash(sig) && EVP_DigestUpdate(sig->hash, data, len) == 1;
}

static int finish_hash(struct signature *sig, unsigned char *out, unsigned *len)
{
    if (!is_digest(sig) || !start_hash(sig))
        return 0;
    sig->hashing = false;
    return EVP_DigestFinal_ex(sig->hash, out, len) == 1;
}

static int digest_sign_final(void *ctx, unsigned char *out, size_t *out_len, size_t size)
{
    struct signature *sig = ctx;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;

    if (!out)
        return max_size(sig, out_len);
    return finish_hash(sig, digest, &len) && sign(sig, out, out_len, size, digest, len);
}

static int digest_verify_final(void *sig, const unsigned char *bytes, size_t bytes_len)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;

    return finish_hash(sig, digest, &len) && verify_digest(sig, bytes, bytes_len, digest, len);
}

static int digest_once(struct signature *sig, const void *in, size_t len, unsigned char *out, unsigned *out_len)
{
    if (!sig->digest)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "no digest set");
    return EVP_Digest(in, len, out, out_len, sig->digest->md, NULL) == 1;
}

static int digest_sign(void *ctx, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    struct signature *sig = ctx;
    const struct hx_alg alg = { .scheme = sig->key->type->scheme };
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len;

    if (!out)
        return max_size(sig, out_len);
    if (sig->key->type->signs_message)
        return is_private(sig) && send(sig, &alg, in, len, out, out_len, size);
    return digest_once(sig, in, len, digest, &digest_len) && sign(sig, out, out_len, size, digest, digest_len);
}

static int digest_verify(void *ctx, const unsigned char *bytes, size_t bytes_len, const unsigned char *in, size_t len)
{
    struct signature *sig = ctx;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len;

    if (sig->key->type->signs_message)
        return verify_message(sig, bytes, bytes_len, in, len);
    return digest_once(sig, in, len, digest, &digest_len) && verify_digest(sig, bytes, bytes_len, digest, digest_len);
}

const OSSL_DISPATCH signature_functions[] = {
    { OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))newctx },
    { OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))freectx },
    { OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))dupctx },
    { OSSL_FUNC_SIGNATURE_SIGN_INIT, (void (*)(void))sign_init },
    { OSSL_FUNC_SIGNATURE_SIGN, (void (*)(void))sign },
    { OSSL_FUNC_SIGNATURE_VERIFY_INIT, (void (*)(void))verify_init },
    { OSSL_FUNC_SIGNATURE_VERIFY, (void (*)(void))verify },
    { OSSL_FUNC_SIGNATURE_VERIFY_RECOVER_INIT, (void (*)(void))recover_init },
    { OSSL_FUNC_SIGNATURE_VERIFY_RECOVER, (void (*)(void))recover },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))digest_sign_init },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))digest_update },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))digest_sign_final },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))digest_sign },
    { OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, (void (*)(void))digest_verify_init },
    { OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, (void (*)(void))digest_update },
    { OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, (void (*)(void))digest_verify_final },
    { OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, (void (*)(void))digest_verify },
    { OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))signature_set_params },
    { OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))signature_settable },
    { OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))signature_get_params },
    { OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))signature_gettable },
    { 0, NULL },
};
