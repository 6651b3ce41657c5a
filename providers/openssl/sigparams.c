/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a signature: digest, padding, salt, mask generation. */
#include "signature.h"

#include "word.h"

#include <openssl/params.h>
#include <openssl/rsa.h>

/* OpenSSL 3.1's RSA_PSS_SALTLEN_AUTO_DIGEST_MAX, which programs built with it may send. */
enum { SALT_AUTO_DIGEST_MAX = -4 };

static const struct word paddings[] = {
    { RSA_PKCS1_PADDING, OSSL_PKEY_RSA_PAD_MODE_PKCSV15 },
    { RSA_PKCS1_PSS_PADDING, OSSL_PKEY_RSA_PAD_MODE_PSS },
    { 0, NULL },
};

static const struct word salts[] = {
    { RSA_PSS_SALTLEN_DIGEST, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST },
    { RSA_PSS_SALTLEN_MAX, OSSL_PKEY_RSA_PSS_SALT_LEN_MAX },
    { RSA_PSS_SALTLEN_AUTO, OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO },
    { SALT_AUTO_DIGEST_MAX, "auto-digestmax" },
    { 0, NULL },
};

void signature_reset(struct signature *sig)
{
    sig->digest = NULL;
    sig->mgf_digest = NULL;
    sig->hashing = false;
    sig->digest_fixed = false;
    sig->padding = RSA_PKCS1_PADDING;
    sig->salt = RSA_PSS_SALTLEN_AUTO;
}

int signature_set_digest(struct signature *sig, const char *name)
{
    const struct digest *digest = NULL;

    if (*name) {
        digest = software_digest(sig->provider, name);
        if (!digest)
            return 0;
    }
    if (sig->digest_fixed && (!digest || digest->nid != sig->digest->nid))
        return error_raise(sig->provider, HX_E_INVALID, __func__, "digest '%s': hashing with '%s' has begun", name,
                           sig->digest->name);
    sig->digest = digest;
    return 1;
}

static int set_padding(struct signature *sig, const OSSL_PARAM *param)
{
    int padding;

    if (!word_get(param, paddings, &padding) || (padding != RSA_PKCS1_PADDING && padding != RSA_PKCS1_PSS_PADDING))
        return error_raise(sig->provider, HX_E_UNSUPPORTED, __func__, "padding: signatures have pkcs1 or pss");
    sig->padding = padding;
    /* What the default provider does, and RFC 8017 A.2.3 says, where nobody names a digest. */
    if (padding == RSA_PKCS1_PSS_PADDING && !sig->digest)
        return signature_set_digest(sig, "SHA1");
    return 1;
}

static int set_salt(struct signature *sig, const OSSL_PARAM *param)
{
    int salt;

    if (sig->padding != RSA_PKCS1_PSS_PADDING)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "a salt length goes with padding pss");
    if (!word_get(param, salts, &salt) || salt < SALT_AUTO_DIGEST_MAX)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "salt length: not digest, max, auto or a number");
    sig->salt = salt;
    return 1;
}

static int set_mgf_digest(struct signature *sig, const OSSL_PARAM *param)
{
    const char *name;

    if (sig->padding != RSA_PKCS1_PSS_PADDING)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "an mgf1 digest goes with padding pss");
    if (!OSSL_PARAM_get_utf8_string_ptr(param, &name) || !name)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "mgf1 digest: not a name");
    sig->mgf_digest = software_digest(sig->provider, name);
    return !!sig->mgf_digest;
}

static int set_digest(struct signature *sig, const OSSL_PARAM *param)
{
    const char *name;

    if (!OSSL_PARAM_get_utf8_string_ptr(param, &name) || !name)
        return error_raise(sig->provider, HX_E_INVALID, __func__, "digest: not a name");
    return signature_set_digest(sig, name);
}

/* It follows from the digest; another one cannot be had. */
static int set_digest_size(struct signature *sig, const OSSL_PARAM *param)
{
    size_t size;

    return (OSSL_PARAM_get_size_t(param, &size) && sig->digest && size == sig->digest->size) ||
           error_raise(sig->provider, HX_E_INVALID, __func__, "digest size: not that of the digest");
}

int signature_set_params(void *signature, const OSSL_PARAM params[])
{
    static const struct {
        const char *name;
        int (*set)(struct signature *, const OSSL_PARAM *);
        bool padded_only;
    } setters[] = {
        { OSSL_SIGNATURE_PARAM_DIGEST, set_digest, false },
        { OSSL_SIGNATURE_PARAM_DIGEST_SIZE, set_digest_size, false },
        { OSSL_SIGNATURE_PARAM_PAD_MODE, set_padding, true },
        { OSSL_SIGNATURE_PARAM_PSS_SALTLEN, set_salt, true },
        { OSSL_SIGNATURE_PARAM_MGF1_DIGEST, set_mgf_digest, true },
    };
    struct signature *sig = signature;

    for (size_t i = 0; params && i < sizeof(setters) / sizeof(*setters); i++) {
        const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, setters[i].name);

        if (!param || (setters[i].padded_only && !sig->key->type->has_padding))
            continue;
        if (!setters[i].set(sig, param))
            return 0;
    }
    return 1;
}

int signature_salt(const struct signature *sig, size_t digest_size)
{
    int bits = key_bits(sig->key);
    int size = (int)digest_size;
    int max = (bits - 1 + 7) / 8 - size - 2; /* RFC 8017 §9.1.1 */

    switch (sig->salt) {
    case RSA_PSS_SALTLEN_DIGEST:
        return size <= max ? size : -1;
    case RSA_PSS_SALTLEN_MAX:
    case RSA_PSS_SALTLEN_AUTO:
        return max;
    case SALT_AUTO_DIGEST_MAX:
        return size < max ? size : max;
    default:
        return sig->salt <= max ? sig->salt : -1;
    }
}

int signature_get_params(void *signature, OSSL_PARAM params[])
{
    struct signature *sig = signature;
    OSSL_PARAM *algorithm, *size, *padding, *salt;

    if (!params || !sig->key)
        return !params;
    algorithm = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);
    size = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST_SIZE);
    padding = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
    salt = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
    if (algorithm && !verify_algorithm(sig, algorithm))
        return 0;
    if (size && !OSSL_PARAM_set_size_t(size, sig->digest ? sig->digest->size : 0))
        return 0;
    if (!word_put_digest(params, OSSL_SIGNATURE_PARAM_DIGEST, sig->digest))
        return 0;
    if (!sig->key->type->has_padding)
        return 1;
    return (!padding || word_put(padding, paddings, sig->padding)) && (!salt || word_put(salt, salts, sig->salt)) &&
           word_put_digest(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST, sig->mgf_digest ? sig->mgf_digest : sig->digest);
}

const OSSL_PARAM *signature_settable(void *signature, void *provider)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_size_t(OSSL_SIGNATURE_PARAM_DIGEST_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PROPERTIES, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_PROPERTIES, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)signature;
    (void)provider;
    return settable;
}

const OSSL_PARAM *signature_gettable(void *signature, void *provider)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
        OSSL_PARAM_size_t(OSSL_SIGNATURE_PARAM_DIGEST_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)signature;
    (void)provider;
    return gettable;
}
