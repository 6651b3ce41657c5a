/* SPDX-License-Identifier: Apache-2.0 */
/* ECDH on the token, with the X9.63 key derivation after it in software where that is asked for.  Parameters, sizes and
 * truncation are those of the default provider's ECDH. */
#include "keyexch.h"

#include "key.h"
#include "software.h"

#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The widest point, of P-521: 04, X and Y. */
enum { POINT_MAX = 1 + 2 * 66, GROUP_MAX = 64 };

struct exchange {
    struct provider *provider;
    struct key *key, *peer;
    int cofactor_mode; /* -1, 0 or 1: all the same, since the cofactor of our curves is 1 */
    bool kdf; /* X9.63's; else the shared secret is handed out as it is */
    const struct digest *kdf_digest;
    size_t kdf_len; /* bytes wanted of the KDF */
    unsigned char *ukm; /* user keying material, the KDF's other input */
    size_t ukm_len;
};

static void *newctx(void *provider)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));

    if (!exchange)
        return NULL;
    exchange->provider = provider;
    exchange->cofactor_mode = -1;
    return exchange;
}

static void freectx(void *ctx)
{
    struct exchange *exchange = ctx;

    OPENSSL_clear_free(exchange->ukm, exchange->ukm_len);
    key_free(exchange->key);
    key_free(exchange->peer);
    free(exchange);
}

static void *dupctx(void *ctx)
{
    const struct exchange *from = ctx;
    struct exchange *exchange = malloc(sizeof(*exchange));

    if (!exchange)
        return NULL;
    *exchange = *from;
    exchange->ukm = NULL;
    if (exchange->key)
        key_retain(exchange->key);
    if (exchange->peer)
        key_retain(exchange->peer);
    if (!from->ukm_len)
        return exchange;
    exchange->ukm = OPENSSL_memdup(from->ukm, from->ukm_len);
    if (exchange->ukm)
        return exchange;
    freectx(exchange);
    return NULL;
}

static int set_cofactor_mode(struct exchange *exchange, const OSSL_PARAM *param)
{
    int mode;

    if (!OSSL_PARAM_get_int(param, &mode) || mode < -1 || mode > 1)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "cofactor mode: -1, 0 or 1");
    exchange->cofactor_mode = mode;
    return 1;
}

static int set_kdf(struct exchange *exchange, const OSSL_PARAM *param)
{
    const char *name;

    if (!OSSL_PARAM_get_utf8_string_ptr(param, &name) || !name)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "kdf: not a name");
    if (*name && strcmp(name, OSSL_KDF_NAME_X963KDF))
        return error_raise(exchange->provider, HX_E_UNSUPPORTED, __func__, "kdf '%s': ECDH has %s, or none", name,
                           OSSL_KDF_NAME_X963KDF);
    exchange->kdf = *name;
    return 1;
}

static int set_kdf_digest(struct exchange *exchange, const OSSL_PARAM *param)
{
    const struct digest *digest;
    const char *name;

    if (!OSSL_PARAM_get_utf8_string_ptr(param, &name) || !name)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "kdf digest: not a name");
    digest = software_digest(exchange->provider, name);
    if (!digest)
        return 0;
    exchange->kdf_digest = digest;
    return 1;
}

static int set_kdf_len(struct exchange *exchange, const OSSL_PARAM *param)
{
    return OSSL_PARAM_get_size_t(param, &exchange->kdf_len) ||
           error_raise(exchange->provider, HX_E_INVALID, __func__, "kdf length: not a number of bytes");
}

static int set_ukm(struct exchange *exchange, const OSSL_PARAM *param)
{
    void *ukm = NULL;
    size_t len = 0;

    if (!OSSL_PARAM_get_octet_string(param, &ukm, 0, &len))
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "user keying material: not bytes");
    OPENSSL_clear_free(exchange->ukm, exchange->ukm_len);
    exchange->ukm = ukm;
    exchange->ukm_len = len;
    return 1;
}

static int set_params(void *ctx, const OSSL_PARAM params[])
{
    static const struct {
        const char *name;
        int (*set)(struct exchange *, const OSSL_PARAM *);
    } setters[] = {
        { OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE, set_cofactor_mode },
        { OSSL_EXCHANGE_PARAM_KDF_TYPE, set_kdf },
        { OSSL_EXCHANGE_PARAM_KDF_DIGEST, set_kdf_digest },
        { OSSL_EXCHANGE_PARAM_KDF_OUTLEN, set_kdf_len },
        { OSSL_EXCHANGE_PARAM_KDF_UKM, set_ukm },
    };
    struct exchange *exchange = ctx;

    for (size_t i = 0; params && i < sizeof(setters) / sizeof(*setters); i++) {
        const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, setters[i].name);

        if (param && !setters[i].set(exchange, param))
            return 0;
    }
    return 1;
}

/* As the default provider: a new use has no KDF until it is asked for, and keeps the rest. */
static int init(void *ctx, void *key, const OSSL_PARAM params[])
{
    struct exchange *exchange = ctx;
    struct key *own = key;

    if (!own)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "no key");
    if (!own->hx)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "a public key cannot agree on a secret");
    key_retain(own);
    key_free(exchange->key);
    exchange->key = own;
    exchange->cofactor_mode = -1;
    exchange->kdf = false;
    return set_params(exchange, params);
}

/* Two points of one curve, or there is no secret that both sides could come to. */
static int is_same_curve(const struct exchange *exchange, struct key *peer)
{
    const struct keysize *size = exchange->key->size;
    EVP_PKEY *public = key_public(peer);
    char group[GROUP_MAX];

    if (!public)
        return 0;
    if (EVP_PKEY_get_group_name(public, group, sizeof(group), NULL) != 1)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "the peer's key is on a curve without a name");
    return (size && keytype_group(exchange->key->type, group) == size) ||
           error_raise(exchange->provider, HX_E_INVALID, __func__,
                       "the peer's key is on curve '%s', not on that of '%s'", group,
                       hx_key_address(exchange->key->hx));
}

static int set_peer(void *ctx, void *key)
{
    struct exchange *exchange = ctx;
    struct key *peer = key;

    if (!exchange->key || !peer)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "no key");
    if (!is_same_curve(exchange, peer))
        return 0;
    key_retain(peer);
    key_free(exchange->peer);
    exchange->peer = peer;
    return 1;
}

static int put_number(EVP_PKEY *public, const char *name, size_t width, unsigned char *out)
{
    BIGNUM *number = NULL;
    int ok = EVP_PKEY_get_bn_param(public, name, &number) == 1 && BN_bn2binpad(number, out, (int)width) == (int)width;

    BN_free(number);
    return ok;
}

/* Written from its numbers, since what came in compressed goes out so. */
static int put_point(const struct exchange *exchange, size_t width, unsigned char *out)
{
    EVP_PKEY *public = key_public(exchange->peer);

    if (!public)
        return 0;
    out[0] = POINT_CONVERSION_UNCOMPRESSED;
    return (put_number(public, OSSL_PKEY_PARAM_EC_PUB_X, width, out + 1) &&
            put_number(public, OSSL_PKEY_PARAM_EC_PUB_Y, width, out + 1 + width)) ||
           error_raise(exchange->provider, HX_E_INVALID, __func__, "the peer's public key cannot be read");
}

static int agree(const struct exchange *exchange, size_t width, struct hx_bytes *ret)
{
    static const struct hx_alg alg = { .scheme = HX_ECDH };
    unsigned char point[POINT_MAX];
    struct hx_bytes secret = { 0 };
    int result;

    if (!put_point(exchange, width, point))
        return 0;
    result = hx_derive(exchange->key->hx, &alg, point, 1 + 2 * width, &secret);
    if (result < 0)
        return error_hx(exchange->provider, result, __func__);
    if (secret.len == width) {
        *ret = secret;
        return 1;
    }
    error_raise(exchange->provider, HX_E_DEVICE, __func__, "'%s': a secret of %zu bytes, not %zu",
                hx_key_address(exchange->key->hx), secret.len, width);
    hx_bytes_free(&secret);
    return 0;
}

static int run_kdf(const struct exchange *exchange, const struct hx_bytes *secret, unsigned char *out)
{
    OSSL_LIB_CTX *libctx = software_libctx(exchange->provider);
    char *digest = (char *)(uintptr_t)exchange->kdf_digest->name;
    EVP_KDF *kdf = libctx ? EVP_KDF_fetch(libctx, OSSL_KDF_NAME_X963KDF, NULL) : NULL;
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret->data, secret->len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, exchange->ukm, exchange->ukm_len),
        OSSL_PARAM_construct_end(),
    };
    int ok = ctx && EVP_KDF_derive(ctx, out, exchange->kdf_len, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok || error_raise(exchange->provider, HX_E_INVALID, __func__, "kdf '%s' with digest '%s': no %zu bytes",
                             OSSL_KDF_NAME_X963KDF, exchange->kdf_digest->name, exchange->kdf_len);
}

static int derive_by_kdf(const struct exchange *exchange, size_t width, unsigned char *out, size_t *out_len,
                         size_t size)
{
    struct hx_bytes secret = { 0 };
    int ok;

    if (!out) {
        *out_len = exchange->kdf_len;
        return 1;
    }
    if (!exchange->kdf_digest || !exchange->kdf_len)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "kdf '%s': its digest and length are not set",
                           OSSL_KDF_NAME_X963KDF);
    if (size < exchange->kdf_len)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "secret: no room for its %zu bytes",
                           exchange->kdf_len);
    if (!agree(exchange, width, &secret))
        return 0;
    ok = run_kdf(exchange, &secret, out);
    hx_bytes_free(&secret);
    if (ok)
        *out_len = exchange->kdf_len;
    return ok;
}

/* A room that is too small gets the leftmost bytes: so does the default provider. */
static int derive(void *ctx, unsigned char *out, size_t *out_len, size_t size)
{
    const struct exchange *exchange = ctx;
    struct hx_bytes secret = { 0 };
    size_t width;

    if (!exchange->key || !exchange->peer)
        return error_raise(exchange->provider, HX_E_INVALID, __func__, "no peer's key");
    width = ((size_t)key_bits(exchange->key) + 7) / 8;
    if (exchange->kdf)
        return derive_by_kdf(exchange, width, out, out_len, size);
    if (!out) {
        *out_len = width;
        return 1;
    }
    if (!agree(exchange, width, &secret))
        return 0;
    *out_len = size < width ? size : width;
    memcpy(out, secret.data, *out_len);
    hx_bytes_free(&secret);
    return 1;
}

static int get_params(void *ctx, OSSL_PARAM params[])
{
    OSSL_PARAM *mode = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE);
    OSSL_PARAM *kdf = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_KDF_TYPE);
    OSSL_PARAM *digest = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_KDF_DIGEST);
    OSSL_PARAM *len = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_KDF_OUTLEN);
    OSSL_PARAM *ukm = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_KDF_UKM);
    const struct exchange *exchange = ctx;
    const char *digest_name = exchange->kdf_digest ? EVP_MD_get0_name(exchange->kdf_digest->md) : "";

    /* -1 stands for what the key says, and ours say 0. */
    return (!mode || OSSL_PARAM_set_int(mode, exchange->cofactor_mode == 1)) &&
           (!kdf || OSSL_PARAM_set_utf8_string(kdf, exchange->kdf ? OSSL_KDF_NAME_X963KDF : "")) &&
           (!digest || OSSL_PARAM_set_utf8_string(digest, digest_name)) &&
           (!len || OSSL_PARAM_set_size_t(len, exchange->kdf_len)) &&
           (!ukm || OSSL_PARAM_set_octet_ptr(ukm, exchange->ukm, exchange->ukm_len));
}

static const OSSL_PARAM *settable(void *ctx, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_int(OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_TYPE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST_PROPS, NULL, 0),
        OSSL_PARAM_size_t(OSSL_EXCHANGE_PARAM_KDF_OUTLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_EXCHANGE_PARAM_KDF_UKM, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)ctx;
    (void)provider;
    return known;
}

static const OSSL_PARAM *gettable(void *ctx, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_int(OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_TYPE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST, NULL, 0),
        OSSL_PARAM_size_t(OSSL_EXCHANGE_PARAM_KDF_OUTLEN, NULL),
        OSSL_PARAM_octet_ptr(OSSL_EXCHANGE_PARAM_KDF_UKM, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)ctx;
    (void)provider;
    return known;
}

const OSSL_DISPATCH keyexch_functions[] = {
    { OSSL_FUNC_KEYEXCH_NEWCTX, (void (*)(void))newctx },
    { OSSL_FUNC_KEYEXCH_FREECTX, (void (*)(void))freectx },
    { OSSL_FUNC_KEYEXCH_DUPCTX, (void (*)(void))dupctx },
    { OSSL_FUNC_KEYEXCH_INIT, (void (*)(void))init },
    { OSSL_FUNC_KEYEXCH_SET_PEER, (void (*)(void))set_peer },
    { OSSL_FUNC_KEYEXCH_DERIVE, (void (*)(void))derive },
    { OSSL_FUNC_KEYEXCH_SET_CTX_PARAMS, (void (*)(void))set_params },
    { OSSL_FUNC_KEYEXCH_SETTABLE_CTX_PARAMS, (void (*)(void))settable },
    { OSSL_FUNC_KEYEXCH_GET_CTX_PARAMS, (void (*)(void))get_params },
    { OSSL_FUNC_KEYEXCH_GETTABLE_CTX_PARAMS, (void (*)(void))gettable },
    { 0, NULL },
};
