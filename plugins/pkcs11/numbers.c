/* SPDX-License-Identifier: Apache-2.0 */
/* Do the numbers of a private key make a key?  A module takes what it is given, and a damaged file must not become a
 * key whose signatures leak its factors.  All in a library context of our own: in the application's, libcrypto would
 * ask our own provider. */
#include "curve.h"
#include "make.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#define RSA_PARTS 8
#define ED25519_BYTES 32

static EVP_PKEY *from_params(OSSL_LIB_CTX *context, const char *type, OSSL_PARAM_BLD *build)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *from = EVP_PKEY_CTX_new_from_name(context, type, NULL);
    EVP_PKEY *key = NULL;

    if (params && from && EVP_PKEY_fromdata_init(from) == 1)
        EVP_PKEY_fromdata(from, &key, EVP_PKEY_KEYPAIR, params);
    EVP_PKEY_CTX_free(from);
    OSSL_PARAM_free(params);
    return key;
}

static bool push_number(OSSL_PARAM_BLD *build, const char *name, const struct hx_buf *part, BIGNUM **ret)
{
    *ret = BN_secure_new();
    return *ret && part->len && part->len <= INT32_MAX && BN_bin2bn(part->data, (int)part->len, *ret) &&
           OSSL_PARAM_BLD_push_BN(build, name, *ret);
}

static EVP_PKEY *from_rsa(OSSL_LIB_CTX *context, const struct hx_buf *part, size_t parts)
{
    static const char *const names[RSA_PARTS] = { OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
                                                  OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                                  OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                                  OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };
    OSSL_PARAM_BLD *build = parts == RSA_PARTS ? OSSL_PARAM_BLD_new() : NULL;
    BIGNUM *number[RSA_PARTS] = { NULL };
    EVP_PKEY *key = NULL;
    bool done = build;

    for (size_t i = 0; done && i < RSA_PARTS; i++)
        done = push_number(build, names[i], &part[i], &number[i]);
    if (done)
        key = from_params(context, "RSA", build);
    OSSL_PARAM_BLD_free(build);
    for (size_t i = 0; i < RSA_PARTS; i++)
        BN_clear_free(number[i]);
    return key;
}

static EVP_PKEY *from_ec(OSSL_LIB_CTX *context, uint32_t type, const struct hx_buf *part)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *scalar = NULL;
    EVP_PKEY *key = NULL;

    if (build && p11_curve_has_point(type, part[1].data, part[1].len) &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, p11_curve_group(type), 0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, part[1].data, part[1].len) &&
        push_number(build, OSSL_PKEY_PARAM_PRIV_KEY, &part[0], &scalar))
        key = from_params(context, "EC", build);
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(scalar);
    return key;
}

static bool is_ed25519(OSSL_LIB_CTX *context, const struct hx_buf *part)
{
    unsigned char public[ED25519_BYTES];
    size_t len = sizeof public;
    EVP_PKEY *key = NULL;
    bool same;

    if (part[0].len == ED25519_BYTES && part[1].len == ED25519_BYTES)
        key = EVP_PKEY_new_raw_private_key_ex(context, "ED25519", NULL, part[0].data, part[0].len);
    same = key && EVP_PKEY_get_raw_public_key(key, public, &len) == 1 && !memcmp(public, part[1].data, sizeof public);
    EVP_PKEY_free(key);
    return same;
}

static bool is_sound(OSSL_LIB_CTX *context, EVP_PKEY *key)
{
    EVP_PKEY_CTX *check = key ? EVP_PKEY_CTX_new_from_pkey(context, key, NULL) : NULL;
    bool sound = check && EVP_PKEY_pairwise_check(check) == 1;

    EVP_PKEY_CTX_free(check);
    return sound;
}

static bool hash(OSSL_LIB_CTX *context, const void *data, size_t len, unsigned char ret[P11_KEY_ID])
{
    return EVP_Q_digest(context, "SHA1", NULL, data, len, ret, NULL) == 1;
}

/* Of an RSA key, the bits are the RSAPublicKey (RFC 8017 A.1.1). */
static bool hash_rsa(OSSL_LIB_CTX *context, const EVP_PKEY *key, unsigned char ret[P11_KEY_ID])
{
    unsigned char *der = NULL;
    int len = i2d_PublicKey(key, &der);
    bool done = len > 0 && hash(context, der, (size_t)len, ret);

    OPENSSL_free(der);
    return done;
}

static const char *check(OSSL_LIB_CTX *context, uint32_t type, const struct hx_buf *part, size_t parts,
                         unsigned char ret_id[P11_KEY_ID])
{
    EVP_PKEY *key = NULL;
    bool sound, done;

    if (!context)
        return "out of memory";
    if (parts != (type == HX_RSA ? RSA_PARTS : 2))
        return "it has too few or too many parts";
    if (type == HX_ED25519) {
        sound = is_ed25519(context, part);
    } else {
        key = type == HX_RSA ? from_rsa(context, part, parts) : from_ec(context, type, part);
        sound = is_sound(context, key);
    }
    done =
        sound && (type == HX_RSA ? hash_rsa(context, key, ret_id) : hash(context, part[1].data, part[1].len, ret_id));
    EVP_PKEY_free(key);
    if (!sound)
        return "its private and public halves do not fit, or are no numbers of such a key";
    return done ? NULL : "out of memory";
}

const char *p11_numbers_check(uint32_t type, const struct hx_buf *part, size_t parts, unsigned char ret_id[P11_KEY_ID])
{
    OSSL_LIB_CTX *context;
    const char *why;

    ERR_set_mark();
    context = OSSL_LIB_CTX_new();
    why = check(context, type, part, parts, ret_id);
    OSSL_LIB_CTX_free(context);
    ERR_pop_to_mark();
    return why;
}
