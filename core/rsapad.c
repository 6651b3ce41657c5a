/* SPDX-License-Identifier: Apache-2.0 */
/* RSA's paddings, for tokens that do the bare operation only.  libcrypto has them as functions of their own in its old
 * interface alone, so this file, and no other, uses what it calls deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "rsapad.h"

#include "der.h"
#include "encode.h"
#include "error.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

enum { RSA_MAX_WIDTH = 2048 };

/* From the private context: others, and the hashes that libcrypto has by itself, would be looked for in the default
 * one, where our own provider may be. */
struct digests {
    EVP_MD *hash, *mask;
};

static void digests_free(struct digests *digests)
{
    EVP_MD_free(digests->hash);
    EVP_MD_free(digests->mask);
}

static EVP_MD *digest_fetch(uint32_t hash)
{
    static const char *const names[] = {
        [HX_SHA1] = "SHA1", [HX_SHA256] = "SHA256", [HX_SHA384] = "SHA384", [HX_SHA512] = "SHA512"
    };

    return hash_size(hash) && encode_libctx() ? EVP_MD_fetch(encode_libctx(), names[hash], NULL) : NULL;
}

static int digests_fetch(const struct hx_alg *alg, struct digests *ret)
{
    ret->hash = digest_fetch(alg->hash);
    ret->mask = digest_fetch(alg->mgf_hash ? alg->mgf_hash : alg->hash);
    if (!ret->hash || !ret->mask)
        return hx_error(HX_E_UNSUPPORTED, "libcrypto does not have this hash");
    return HX_OK;
}

static EVP_PKEY *key_from(OSSL_PARAM *params)
{
    EVP_PKEY_CTX *context = encode_libctx() ? EVP_PKEY_CTX_new_from_name(encode_libctx(), "RSA", NULL) : NULL;
    EVP_PKEY *key = NULL;

    if (context && params && EVP_PKEY_fromdata_init(context) > 0)
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(context);
    return key;
}

static void rsa_free(RSA **rsa)
{
    RSA_free(*rsa);
}

/* The padding looks at the length of the modulus only, and at the context for the salt's random bytes, which only a key
 * that libcrypto made itself has: so it gets one with some odd number of that length. */
static RSA *rsa_of(uint32_t bits)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    BIGNUM *n = BN_new();
    EVP_PKEY *key = NULL;
    RSA *rsa = NULL;

    if (build && n && BN_set_bit(n, (int)bits - 1) && BN_set_bit(n, 0) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_uint(build, OSSL_PKEY_PARAM_RSA_E, RSA_F4) && (params = OSSL_PARAM_BLD_to_param(build)))
        key = key_from(params);
    if (key)
        rsa = EVP_PKEY_get1_RSA(key);
    EVP_PKEY_free(key);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    return rsa;
}

int pss_encode(uint32_t bits, const struct hx_alg *alg, const void *digest, struct hx_bytes *ret)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(digests_free) struct digests digests = { 0 };
    AUTO_BYTES struct hx_bytes block = { 0 };
    CLEANUP(rsa_free) RSA *rsa = NULL;
    int result;

    if (!bits)
        return hx_error(HX_E_UNSUPPORTED, "the token does not tell how long the modulus is, so nobody can pad for it");
    if ((result = digests_fetch(alg, &digests)) || (result = number_widen(&block, key_width(HX_RSA, bits))))
        return result;
    rsa = rsa_of(bits);
    if (!rsa ||
        !RSA_padding_add_PKCS1_PSS_mgf1(rsa, block.data, digest, digests.hash, digests.mask, (int)alg->salt_len))
        return hx_error(HX_E_UNSUPPORTED, "libcrypto cannot pad for a key of %u bits", (unsigned)bits);
    bytes_move(ret, &block);
    return HX_OK;
}

int oaep_decode(const struct hx_alg *alg, const void *block, size_t width, struct hx_bytes *ret)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(digests_free) struct digests digests = { 0 };
    AUTO_BYTES struct hx_bytes plain = { 0 };
    int result, len;

    if (alg->param.len > INT_MAX)
        return hx_error(HX_E_INVALID, "a label of %zu bytes is too long", alg->param.len);
    if ((result = digests_fetch(alg, &digests)) || (result = number_widen(&plain, width)))
        return result;
    len = RSA_padding_check_PKCS1_OAEP_mgf1(plain.data, (int)width, block, (int)width, (int)width, alg->param.data,
                                            (int)alg->param.len, digests.hash, digests.mask);
    if (len < 0)
        return hx_error(HX_E_INVALID, "the ciphertext was not made for this key, hash and label");
    explicit_bzero(plain.data + len, width - (size_t)len);
    plain.len = (size_t)len;
    bytes_move(ret, &plain);
    return HX_OK;
}

/* The same steps whatever was cut: that a decrypted block begins with a zero is what an attack on OAEP would know. */
int number_widen(struct hx_bytes *number, size_t width)
{
    static const unsigned char zeroes[RSA_MAX_WIDTH];
    AUTO_BYTES struct hx_bytes wide = { 0 };
    int result;

    if (number->len > width || width > sizeof zeroes)
        return hx_error(HX_E_DEVICE, "the token's result has %zu bytes, where the modulus has %zu", number->len, width);
    if ((result = bytes_append(&wide, zeroes, width - number->len)) ||
        (result = bytes_append(&wide, number->data, number->len)))
        return result;
    hx_bytes_free(number);
    bytes_move(number, &wide);
    return HX_OK;
}
