/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of decryption and encryption: padding, OAEP's digests and label, the versions of TLS. */
#include "asymcipher.h"
#include "word.h"

#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>

/* OpenSSL 3.2's OSSL_ASYM_CIPHER_PARAM_IMPLICIT_REJECTION, which programs built with it may send. */
#define IMPLICIT_REJECTION "implicit-rejection"

static const struct word paddings[] = {
    { RSA_PKCS1_OAEP_PADDING, OSSL_PKEY_RSA_PAD_MODE_OAEP },
    { RSA_PKCS1_OAEP_PADDING, "oeap" }, /* OpenSSL's old mistake, which it still takes */
    { RSA_PKCS1_PADDING, OSSL_PKEY_RSA_PAD_MODE_PKCSV15 },
    { RSA_NO_PADDING, OSSL_PKEY_RSA_PAD_MODE_NONE },
    { 0, NULL },
};

/* A digest by name and, if the application has any, properties; those can only say yes or no to the one that there is,
 * since a token takes its number. */
static int find_digest(struct cipher *cipher, const OSSL_PARAM *name, const OSSL_PARAM *properties,
                       const struct digest **ret)
{
    const char *text, *query = "";
    const struct digest *digest;
    EVP_MD *md;

    if (!OSSL_PARAM_get_utf8_string_ptr(name, &text) || !text ||
        (properties && (!OSSL_PARAM_get_utf8_string_ptr(properties, &query) || !query)))
        return error_raise(cipher->provider, HX_E_INVALID, __func__, "digest: not a name");
    digest = software_digest(cipher->provider, text);
    if (!digest)
        return 0;
    md = *query ? EVP_MD_fetch(software_libctx(cipher->provider), text, query) : NULL;
    if (*query && !md)
        return error_raise(cipher->provider, HX_E_UNSUPPORTED, __func__, "digest '%s': none has the properties '%s'",
                           text, query);
    EVP_MD_free(md);
    *ret = digest;
    return 1;
}

static int set_digest(struct cipher *cipher, const OSSL_PARAM *param, const OSSL_PARAM *properties)
{
    return find_digest(cipher, param, properties, &cipher->digest);
}

static int set_mgf_digest(struct cipher *cipher, const OSSL_PARAM *param, const OSSL_PARAM *properties)
{
    return find_digest(cipher, param, properties, &cipher->mgf_digest);
}

static int set_padding(struct cipher *cipher, const OSSL_PARAM *param, const OSSL_PARAM *properties)
{
    int padding;

    (void)properties;
    if (!word_get(param, paddings, &padding) || (padding != RSA_PKCS1_OAEP_PADDING && padding != RSA_PKCS1_PADDING &&
                                                 padding != RSA_NO_PADDING && padding != RSA_PKCS1_WITH_TLS_PADDING))
        return error_raise(cipher->provider, HX_E_UNSUPPORTED, __func__,
                           "padding: decryption and encryption have oaep, pkcs1 or none");
    if (padding == RSA_PKCS1_OAEP_PADDING && !cipher->digest) {
        cipher->digest = software_digest(cipher->provider, "SHA1"); /* RFC 8017 A.2.1 */
        if (!cipher->digest)
            return 0;
    }
    cipher->padding = padding;
    return 1;
}

static int set_label(struct cipher *cipher, const OSSL_PARAM *param, const OSSL_PARAM *properties)
{
    void *label = NULL;
    size_t len;

    (void)properties;
    if (!OSSL_PARAM_get_octet_string(param, &label, 0, &len))
        return error_raise(cipher->provider, HX_E_INVALID, __func__, "oaep label: not a string of bytes");
    OPENSSL_free(cipher->label);
    cipher->label = label;
    cipher->label_len = len;
    return 1;
}

static int set_client(struct cipher *cipher, const OSSL_PARAM *param, const OSSL_PARAM *properties)
{
    (void)properties;
    return OSSL_PARAM_get_uint(param, &cipher->client) ||
           error_raise(cipher->provider, HX_E_INVALID, __func__, "tls client version: not a number");
}

static int set_negotiated(struct cipher *cipher, const OSSL_PARAM *param, const OSSL_PARAM *properties)
{
    (void)properties;
    return OSSL_PARAM_get_uint(param, &cipher->negotiated) ||
           error_raise(cipher->provider, HX_E_INVALID, __func__, "tls negotiated version: not a number");
}

/* Without it, whoever may ask for decryption can decrypt and sign everything (Bleichenbacher). */
static int set_rejection(struct cipher *cipher, const OSSL_PARAM *param, const OSSL_PARAM *properties)
{
    unsigned implicit;

    (void)properties;
    return (OSSL_PARAM_get_uint(param, &implicit) && implicit) ||
           error_raise(cipher->provider, HX_E_UNSUPPORTED, __func__,
                       "implicit rejection of bad pkcs1 padding cannot be switched off");
}

int cipher_set_params(void *ctx, const OSSL_PARAM params[])
{
    static const struct {
        const char *name, *properties;
        int (*set)(struct cipher *, const OSSL_PARAM *, const OSSL_PARAM *);
    } setters[] = {
        { OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST_PROPS, set_digest },
        { OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, set_padding },
        { OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST_PROPS, set_mgf_digest },
        { OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, NULL, set_label },
        { OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, NULL, set_client },
        { OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, NULL, set_negotiated },
        { IMPLICIT_REJECTION, NULL, set_rejection },
    };

    for (size_t i = 0; params && i < sizeof(setters) / sizeof(*setters); i++) {
        const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, setters[i].name);
        const OSSL_PARAM *properties =
            setters[i].properties ? OSSL_PARAM_locate_const(params, setters[i].properties) : NULL;

        if (param && !setters[i].set(ctx, param, properties))
            return 0;
    }
    return 1;
}

int cipher_get_params(void *ctx, OSSL_PARAM params[])
{
    const struct cipher *cipher = ctx;
    OSSL_PARAM *padding, *label, *client, *negotiated, *rejection;

    if (!params)
        return 1;
    padding = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE);
    label = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL);
    client = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION);
    negotiated = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION);
    rejection = OSSL_PARAM_locate(params, IMPLICIT_REJECTION);
    return (!padding || word_put(padding, paddings, cipher->padding)) &&
           (!label || OSSL_PARAM_set_octet_ptr(label, cipher->label, cipher->label_len)) &&
           (!client || OSSL_PARAM_set_uint(client, cipher->client)) &&
           (!negotiated || OSSL_PARAM_set_uint(negotiated, cipher->negotiated)) &&
           (!rejection || OSSL_PARAM_set_uint(rejection, 1)) &&
           word_put_digest(params, OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, cipher->digest) &&
           word_put_digest(params, OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST,
                           cipher->mgf_digest ? cipher->mgf_digest : cipher->digest);
}

const OSSL_PARAM *cipher_settable(void *cipher, void *provider)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST_PROPS, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST_PROPS, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, NULL, 0),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, NULL),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, NULL),
        OSSL_PARAM_uint(IMPLICIT_REJECTION, NULL),
        OSSL_PARAM_END,
    };

    (void)cipher;
    (void)provider;
    return settable;
}

const OSSL_PARAM *cipher_gettable(void *cipher, void *provider)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_octet_ptr(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, NULL, 0),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, NULL),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, NULL),
        OSSL_PARAM_uint(IMPLICIT_REJECTION, NULL),
        OSSL_PARAM_END,
    };

    (void)cipher;
    (void)provider;
    return gettable;
}
