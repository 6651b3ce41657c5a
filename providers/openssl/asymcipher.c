/* SPDX-License-Identifier: Apache-2.0 */
/* RSA decryption: the token does it, and takes off OAEP; PKCS#1 v1.5 padding is taken off here.  Encryption needs no
 * private key, so the default provider does it. */
#include "asymcipher.h"

#include "rejection.h"
#include "word.h"

#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS = 5 };

static void *newctx(void *provider)
{
    struct cipher *cipher = calloc(1, sizeof(*cipher));

    if (!cipher)
        return NULL;
    cipher->provider = provider;
    cipher->padding = RSA_PKCS1_PADDING;
    return cipher;
}

static void freectx(void *ctx)
{
    struct cipher *cipher = ctx;

    OPENSSL_free(cipher->label);
    key_free(cipher->key);
    free(cipher);
}

static void *dupctx(void *ctx)
{
    const struct cipher *from = ctx;
    struct cipher *cipher = malloc(sizeof(*cipher));

    if (!cipher)
        return NULL;
    *cipher = *from;
    if (cipher->key)
        key_retain(cipher->key);
    if (!from->label)
        return cipher;
    cipher->label = OPENSSL_memdup(from->label, from->label_len);
    if (cipher->label || !from->label_len)
        return cipher;
    freectx(cipher);
    return NULL;
}

static int init(struct cipher *cipher, void *key, const OSSL_PARAM params[])
{
    if (key) {
        key_retain(key);
        key_free(cipher->key);
        cipher->key = key;
    }
    if (!cipher->key)
        return error_raise(cipher->provider, HX_E_INVALID, __func__, "no key");
    cipher->padding = RSA_PKCS1_PADDING;
    return cipher_set_params(cipher, params);
}

static int is_private(struct cipher *cipher)
{
    return cipher->key->hx || error_raise(cipher->provider, HX_E_INVALID, __func__, "a public key cannot decrypt");
}

static int decrypt_init(void *ctx, void *key, const OSSL_PARAM params[])
{
    return init(ctx, key, params) && is_private(ctx);
}

static int encrypt_init(void *ctx, void *key, const OSSL_PARAM params[])
{
    return init(ctx, key, params);
}

int cipher_raw(struct key *key, const unsigned char *number, size_t size, unsigned char *ret)
{
    static const struct hx_alg alg = { .scheme = HX_RSA_RAW };
    struct hx_bytes bytes = { 0 };
    int result = hx_decrypt(key->hx, &alg, number, size, &bytes);
    int ok;

    if (result < 0)
        return error_hx(key->provider, result, __func__);
    ok = bytes.len <= size;
    if (ok) {
        /* A token that drops leading zeros must not turn each good padding into an error. */
        memset(ret, 0, size - bytes.len);
        memcpy(ret + size - bytes.len, bytes.data, bytes.len);
    }
    hx_bytes_free(&bytes);
    return ok || error_raise(key->provider, HX_E_DEVICE, __func__, "'%s': the token's answer is too long",
                             hx_key_address(key->hx));
}

static int decrypt_oaep(struct cipher *cipher, const unsigned char *in, size_t size, unsigned char *out,
                        size_t *out_len)
{
    const struct digest *digest = cipher->digest, *mgf = cipher->mgf_digest ? cipher->mgf_digest : digest;
    struct hx_alg alg = { .scheme = HX_RSA_OAEP,
                          .hash = digest->hash,
                          .mgf_hash = mgf->hash,
                          .param = { cipher->label, cipher->label_len } };
    struct hx_bytes bytes = { 0 };
    int result, ok;

    if (!alg.hash || !alg.mgf_hash)
        return error_raise(cipher->provider, HX_E_UNSUPPORTED, __func__,
                           "digest '%s': tokens do not know it for oaep: use sha1, sha256, sha384 or sha512",
                           alg.hash ? mgf->name : digest->name);
    result = hx_decrypt(cipher->key->hx, &alg, in, size, &bytes);
    if (result < 0)
        return error_hx(cipher->provider, result, __func__);
    ok = bytes.len <= size;
    if (ok) {
        memcpy(out, bytes.data, bytes.len);
        *out_len = bytes.len;
    } else {
        error_raise(cipher->provider, HX_E_DEVICE, __func__, "'%s': the token's answer is too long",
                    hx_key_address(cipher->key->hx));
    }
    hx_bytes_free(&bytes);
    return ok;
}

static int decrypt_pkcs1(struct cipher *cipher, const unsigned char *in, size_t size, unsigned char *out,
                         size_t *out_len)
{
    unsigned char block[PKCS1_SIZE_MAX];
    struct pkcs1_decoy decoy;
    int ok = rejection_decoy(cipher->key, in, size, &decoy) && cipher_raw(cipher->key, in, size, block);

    if (ok)
        pkcs1_unpad(block, size, &decoy, out, out_len);
    OPENSSL_cleanse(block, size);
    OPENSSL_cleanse(&decoy, sizeof(decoy));
    return ok;
}

static int decrypt_tls(struct cipher *cipher, const unsigned char *in, size_t size, unsigned char *out, size_t *out_len)
{
    OSSL_LIB_CTX *libctx = software_libctx(cipher->provider);
    unsigned char block[PKCS1_SIZE_MAX], decoy[PKCS1_TLS_SECRET];
    int ok;

    if (!cipher->client)
        return error_raise(cipher->provider, HX_E_INVALID, __func__, "no tls client version set");
    if (!libctx)
        return 0;
    ok = (RAND_priv_bytes_ex(libctx, decoy, sizeof(decoy), 0) == 1 ||
          error_raise(cipher->provider, HX_E_DEVICE, __func__, "no random numbers")) &&
         cipher_raw(cipher->key, in, size, block);
    if (ok) {
        pkcs1_unpad_tls(block, size, cipher->client, cipher->negotiated, decoy, out);
        *out_len = PKCS1_TLS_SECRET;
    }
    OPENSSL_cleanse(block, size);
    OPENSSL_cleanse(decoy, sizeof(decoy));
    return ok;
}

static int decrypt_raw(struct cipher *cipher, const unsigned char *in, size_t size, unsigned char *out, size_t *out_len)
{
    if (!cipher_raw(cipher->key, in, size, out))
        return 0;
    *out_len = size;
    return 1;
}

static int is_allowed(struct cipher *cipher)
{
    const char *what = cipher->padding == RSA_NO_PADDING ? "none" : "pkcs1";

    return cipher->provider->rsa_pkcs1_decrypt ||
           error_raise(
               cipher->provider, HX_E_ACCESS, __func__,
               "decryption with padding %s is switched off, since attackers can learn from it: use oaep, or say "
               "'allow-rsa-pkcs1-decrypt = yes' in the provider's section of openssl.cnf",
               what);
}

static int decrypt_number(struct cipher *cipher, const unsigned char *in, size_t size, unsigned char *out,
                          size_t *out_len)
{
    if (cipher->padding == RSA_PKCS1_OAEP_PADDING)
        return decrypt_oaep(cipher, in, size, out, out_len);
    if (!is_allowed(cipher))
        return 0;
    switch (cipher->padding) {
    case RSA_PKCS1_WITH_TLS_PADDING:
        return decrypt_tls(cipher, in, size, out, out_len);
    case RSA_NO_PADDING:
        return decrypt_raw(cipher, in, size, out, out_len);
    default:
        return decrypt_pkcs1(cipher, in, size, out, out_len);
    }
}

static int decrypt(void *ctx, unsigned char *out, size_t *out_len, size_t out_size, const unsigned char *in, size_t len)
{
    struct cipher *cipher = ctx;
    int width = is_private(cipher) ? key_signature_max(cipher->key) : 0;
    size_t size = width > 0 ? (size_t)width : 0;
    size_t most = cipher->padding == RSA_PKCS1_WITH_TLS_PADDING ? PKCS1_TLS_SECRET : size;
    unsigned char number[PKCS1_SIZE_MAX] = { 0 };

    if (!size)
        return 0;
    if (!out) {
        *out_len = most;
        return 1;
    }
    if (size > sizeof(number) || size < PKCS1_OVERHEAD + PKCS1_TLS_SECRET)
        return error_raise(cipher->provider, HX_E_UNSUPPORTED, __func__, "a key of %d bits", key_bits(cipher->key));
    if (out_size < most)
        return error_raise(cipher->provider, HX_E_INVALID, __func__, "decryption: room for %zu bytes, not %zu",
                           out_size, most);
    if (len > size)
        return error_raise(cipher->provider, HX_E_INVALID, __func__, "decryption: %zu bytes, the key has %zu", len,
                           size);
    if (len)
        memcpy(number + size - len, in, len);
    return decrypt_number(cipher, number, size, out, out_len);
}

/* Into ret, ended. */
static void encryption_params(struct cipher *cipher, OSSL_PARAM *ret)
{
    *ret++ = OSSL_PARAM_construct_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, &cipher->padding);
    if (cipher->padding == RSA_PKCS1_OAEP_PADDING) {
        *ret++ = word_digest_param(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, cipher->digest);
        if (cipher->mgf_digest)
            *ret++ = word_digest_param(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, cipher->mgf_digest);
        if (cipher->label)
            *ret++ =
                OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, cipher->label, cipher->label_len);
    }
    *ret = OSSL_PARAM_construct_end();
}

static int encrypt(void *ctx, unsigned char *out, size_t *out_len, size_t out_size, const unsigned char *in, size_t len)
{
    struct cipher *cipher = ctx;
    EVP_PKEY *public = key_public(cipher->key);
    OSSL_PARAM params[PARAMS];
    EVP_PKEY_CTX *pkey_ctx;
    size_t got = out_size;
    int ok;

    if (!public)
        return 0;
    encryption_params(cipher, params);
    pkey_ctx = EVP_PKEY_CTX_new_from_pkey(software_libctx(cipher->provider), public, NULL);
    ok = pkey_ctx && EVP_PKEY_encrypt_init_ex(pkey_ctx, params) == 1 &&
         EVP_PKEY_encrypt(pkey_ctx, out, &got, in, len) == 1;
    EVP_PKEY_CTX_free(pkey_ctx);
    if (ok)
        *out_len = got;
    return ok || error_raise(cipher->provider, HX_E_INVALID, __func__,
                             "encryption: not of %zu bytes with this padding and a key of %d bits", len,
                             key_bits(cipher->key));
}

const OSSL_DISPATCH asymcipher_functions[] = {
    { OSSL_FUNC_ASYM_CIPHER_NEWCTX, (void (*)(void))newctx },
    { OSSL_FUNC_ASYM_CIPHER_FREECTX, (void (*)(void))freectx },
    { OSSL_FUNC_ASYM_CIPHER_DUPCTX, (void (*)(void))dupctx },
    { OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, (void (*)(void))decrypt_init },
    { OSSL_FUNC_ASYM_CIPHER_DECRYPT, (void (*)(void))decrypt },
    { OSSL_FUNC_ASYM_CIPHER_ENCRYPT_INIT, (void (*)(void))encrypt_init },
    { OSSL_FUNC_ASYM_CIPHER_ENCRYPT, (void (*)(void))encrypt },
    { OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, (void (*)(void))cipher_set_params },
    { OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, (void (*)(void))cipher_settable },
    { OSSL_FUNC_ASYM_CIPHER_GET_CTX_PARAMS, (void (*)(void))cipher_get_params },
    { OSSL_FUNC_ASYM_CIPHER_GETTABLE_CTX_PARAMS, (void (*)(void))cipher_gettable },
    { 0, NULL },
};
