/* SPDX-License-Identifier: Apache-2.0 */
/* Is a token's signature good?  Asked of libcrypto's own default provider, once for each kind of signature. */
#include "der.h"
#include "encode.h"
#include "error.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { SALT_MAX = 2048, NO_SALT = -1 };

static void key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void context_free(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static void message_free(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static void build_free(OSSL_PARAM_BLD **build)
{
    OSSL_PARAM_BLD_free(*build);
}

static void params_free(OSSL_PARAM **params)
{
    OSSL_PARAM_free(*params);
}

static void number_free(BIGNUM **number)
{
    BN_free(*number);
}

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *build)
{
    CLEANUP(context_free) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(encode_libctx(), type, NULL);
    CLEANUP(params_free) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY *key = NULL;

    if (!context || !params || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        return NULL;
    return key;
}

static EVP_PKEY *key_new(const struct hx_object *info, const struct hx_bytes *public)
{
    CLEANUP(build_free) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    CLEANUP(number_free) BIGNUM *n = NULL;
    const char *curve = curve_name(info->type);

    if (!build)
        return NULL;
    if (info->type == HX_ED25519)
        return EVP_PKEY_new_raw_public_key_ex(encode_libctx(), "ED25519", NULL, public->data, public->len);
    if (info->type == HX_RSA) {
        n = BN_bin2bn(public->data, (int)public->len, NULL);
        if (!n || !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) ||
            !OSSL_PARAM_BLD_push_uint64(build, OSSL_PKEY_PARAM_RSA_E, info->rsa_e))
            return NULL;
        return key_from("RSA", build);
    }
    if (!curve || !OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) ||
        !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, public->data, public->len))
        return NULL;
    return key_from("EC", build);
}

EVP_PKEY *spki_key(const void *spki, size_t len)
{
    AUTO_ERRORS mark = ERR_set_mark();
    AUTO_BYTES struct hx_bytes public = { 0 };
    const unsigned char *at = spki;
    struct hx_object info = { 0 };

    if (!encode_libctx())
        return NULL;
    if (!spki_parse(spki, len, &info, &public))
        return key_new(&info, &public);
    /* A certificate's issuer may have a key of a type that none of our tokens makes. */
    return d2i_PUBKEY_ex(NULL, &at, (long)len, encode_libctx(), NULL);
}

static int padding_of(uint32_t scheme)
{
    switch (scheme) {
    case HX_RSA_PKCS1:
        return RSA_PKCS1_PADDING;
    case HX_RSA_PSS:
        return RSA_PKCS1_PSS_PADDING;
    case HX_RSA_RAW:
        return RSA_NO_PADDING;
    }
    return 0;
}

/* Only the hashes' names are taken from here: the context fetches its own. */
static const EVP_MD *digest_of(uint32_t hash)
{
    switch (hash) {
    case HX_SHA1:
        return EVP_sha1();
    case HX_SHA256:
        return EVP_sha256();
    case HX_SHA384:
        return EVP_sha384();
    case HX_SHA512:
        return EVP_sha512();
    }
    return NULL;
}

/* 1: good; 0: bad; below 0: this cannot be checked. */
static int verify_digest(EVP_PKEY *key, const struct hx_alg *alg, int salt, const void *in, size_t in_len,
                         const void *sig, size_t sig_len)
{
    CLEANUP(context_free) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(encode_libctx(), key, NULL);
    const EVP_MD *digest = digest_of(alg->hash), *mask = digest_of(alg->mgf_hash ? alg->mgf_hash : alg->hash);
    int padding = padding_of(alg->scheme);

    if (!context || EVP_PKEY_verify_init(context) <= 0)
        return -1;
    /* Without a digest libcrypto takes what is signed as it is: RSA's DigestInfo, and ECDSA's cut digest. */
    if (padding && digest && EVP_PKEY_CTX_set_signature_md(context, digest) <= 0)
        return -1;
    if (padding && EVP_PKEY_CTX_set_rsa_padding(context, padding) <= 0)
        return -1;
    if (salt != NO_SALT &&
        (EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt) <= 0 || EVP_PKEY_CTX_set_rsa_mgf1_md(context, mask) <= 0))
        return -1;
    return EVP_PKEY_verify(context, sig, sig_len, in, in_len) == 1;
}

static int verify_message(EVP_PKEY *key, const void *in, size_t in_len, const void *sig, size_t sig_len)
{
    CLEANUP(message_free) EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (!context || EVP_DigestVerifyInit_ex(context, NULL, NULL, encode_libctx(), NULL, key, NULL) <= 0)
        return -1;
    return EVP_DigestVerify(context, sig, sig_len, in, in_len) == 1;
}

static int check_alg(uint32_t type, const struct hx_alg *alg, size_t in_len)
{
    bool rsa = padding_of(alg->scheme) != 0, ecdsa = alg->scheme == HX_ECDSA, eddsa = alg->scheme == HX_EDDSA;

    if (!rsa && !ecdsa && !eddsa)
        return hx_error(HX_E_UNSUPPORTED, "scheme %u makes no signature that a public key verifies",
                        (unsigned)alg->scheme);
    if (rsa != (type == HX_RSA) || eddsa != (type == HX_ED25519))
        return hx_error(HX_E_INVALID, "scheme %u does not go with this type of key", (unsigned)alg->scheme);
    if (alg->param.len)
        return hx_error(HX_E_UNSUPPORTED, "a signature with a context is not supported");
    if ((alg->hash && !hash_size(alg->hash)) || (alg->mgf_hash && !hash_size(alg->mgf_hash)))
        return hx_error(HX_E_UNSUPPORTED, "an unknown hash");
    if (alg->scheme == HX_RSA_PSS && (!alg->hash || alg->salt_len > SALT_MAX))
        return hx_error(HX_E_INVALID, "PSS needs a hash, and a salt of at most %d bytes", SALT_MAX);
    if (rsa && alg->hash && in_len != hash_size(alg->hash))
        return hx_error(HX_E_INVALID, "a digest of %zu bytes, where the hash has %zu", in_len, hash_size(alg->hash));
    return HX_OK;
}

/* The length of salt that a signature which is good but for that was made with; or NO_SALT.  A token that does not ask
 * for our wish takes the digest's length or the largest, so these come first. */
static int other_salt(EVP_PKEY *key, const struct hx_alg *alg, const void *in, size_t in_len, const void *sig,
                      size_t sig_len)
{
    int digest = (int)hash_size(alg->hash), likely[] = { digest, (EVP_PKEY_get_bits(key) + 6) / 8 - digest - 2 };

    if (verify_digest(key, alg, RSA_PSS_SALTLEN_AUTO, in, in_len, sig, sig_len) != 1)
        return NO_SALT;
    for (size_t i = 0; i < sizeof likely / sizeof *likely; i++)
        if (likely[i] >= 0 && verify_digest(key, alg, likely[i], in, in_len, sig, sig_len) == 1)
            return likely[i];
    for (int salt = 0; salt <= SALT_MAX; salt++)
        if (verify_digest(key, alg, salt, in, in_len, sig, sig_len) == 1)
            return salt;
    return NO_SALT;
}

static int verify(EVP_PKEY *key, const struct hx_alg *alg, const void *in, size_t in_len, const void *sig,
                  size_t sig_len, int *ret_salt)
{
    int salt = alg->scheme == HX_RSA_PSS ? (int)alg->salt_len : NO_SALT, good;

    if (alg->scheme == HX_EDDSA)
        good = verify_message(key, in, in_len, sig, sig_len);
    else
        good = verify_digest(key, alg, salt, in, in_len, sig, sig_len);
    if (good > 0)
        return HX_OK;
    if (good < 0)
        return hx_error(HX_E_UNSUPPORTED, "libcrypto cannot check such a signature");
    if (salt != NO_SALT && (*ret_salt = other_salt(key, alg, in, in_len, sig, sig_len)) != NO_SALT)
        return hx_error(HX_E_DEVICE, "the token signed with a PSS salt of %d bytes, where %d were asked for", *ret_salt,
                        salt);
    return hx_error(HX_E_DEVICE, "the token's signature does not fit its public key");
}

int encode_verify_salt(const void *spki, size_t spki_len, const struct hx_alg *alg, const void *in, size_t in_len,
                       const void *sig, size_t sig_len, int *ret_salt)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(key_free) EVP_PKEY *key = NULL;
    struct hx_object info = { 0 };
    int result;

    *ret_salt = NO_SALT;
    if ((result = decode_spki(spki, spki_len, &info)) || (result = check_alg(info.type, alg, in_len)))
        return result;
    if (!(key = spki_key(spki, spki_len)))
        return hx_error(HX_E_INVALID, "libcrypto does not take this public key");
    return verify(key, alg, in, in_len, sig, sig_len, ret_salt);
}

int encode_verify(const void *spki, size_t spki_len, const struct hx_alg *alg, const void *in, size_t in_len,
                  const void *sig, size_t sig_len)
{
    int salt;

    return encode_verify_salt(spki, spki_len, alg, in, in_len, sig, sig_len, &salt);
}
