/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC with a secret of the token.  A token takes a message in one piece, so it is gathered here first. */
#include "mac.h"

#include "software.h"

#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const size_t message_max = (size_t)1 << 30, first_room = 1024;

struct mac {
    struct provider *provider;
    hx_key *key; /* NULL: not set yet */
    const struct digest *digest; /* NULL: not set, what the key is for */
    bool begun; /* a message: by init, until final */
    unsigned char *message; /* len bytes, and room for more */
    size_t len, room;
};

static void *newctx(void *provider)
{
    struct mac *mac = calloc(1, sizeof(*mac));

    if (mac)
        mac->provider = provider;
    return mac;
}

static void forget(struct mac *mac)
{
    OPENSSL_clear_free(mac->message, mac->room);
    mac->message = NULL;
    mac->len = mac->room = 0;
    mac->begun = false;
}

static void freectx(void *ctx)
{
    struct mac *mac = ctx;

    if (!mac)
        return;
    forget(mac);
    hx_key_close(mac->key);
    free(mac);
}

static void *dupctx(void *ctx)
{
    const struct mac *from = ctx;
    struct mac *mac = malloc(sizeof(*mac));

    if (!mac)
        return NULL;
    *mac = *from;
    mac->message = NULL;
    mac->room = mac->len;
    if (mac->key)
        hx_key_retain(mac->key);
    if (!mac->len)
        return mac;
    mac->message = OPENSSL_memdup(from->message, from->len);
    if (mac->message)
        return mac;
    mac->room = 0;
    freectx(mac);
    return NULL;
}

/* The digest that was set, or the only one that the key can, or SHA-256; NULL with the reason raised. */
static const struct digest *digest_of(const struct mac *mac)
{
    static const char *const names[] = {
        [HX_SHA1] = "SHA1", [HX_SHA256] = "SHA256", [HX_SHA384] = "SHA384", [HX_SHA512] = "SHA512"
    };
    struct hx_object info = { .hash = HX_SHA256 };

    if (mac->digest)
        return mac->digest;
    if (mac->key)
        hx_key_info(mac->key, &info);
    if (info.hash < HX_SHA1 || info.hash > HX_SHA512)
        info.hash = HX_SHA256;
    return software_digest(mac->provider, names[info.hash]);
}

static int refuse_key(const struct mac *mac)
{
    return error_raise(mac->provider, HX_E_INVALID, __func__,
                       "a key is given: this MAC's stays in its token, name it by parameter 'address'");
}

static int set_address(struct mac *mac, const OSSL_PARAM *param)
{
    struct hx_object info = { 0 };
    const char *address;
    hx *context;
    hx_key *key;
    int result;

    if (!OSSL_PARAM_get_utf8_string_ptr(param, &address) || !address)
        return error_raise(mac->provider, HX_E_INVALID, __func__, "parameter 'address' is not a text");
    if (!strncasecmp(address, "pkcs11:", strlen("pkcs11:")) && !mac->provider->pkcs11_uri)
        return error_raise(mac->provider, HX_E_CONFIG, __func__,
                           "a pkcs11: URI: say 'pkcs11-uri = yes' in openssl.cnf, in the provider's section");
    context = provider_hx(mac->provider);
    if (!context)
        return 0;
    result = hx_key_open(context, address, &key);
    if (result >= 0)
        result = hx_key_info(key, &info);
    else
        return error_hx(mac->provider, result, __func__);
    if (result >= 0 && info.kind == HX_SECRET_KEY) {
        hx_key_close(mac->key);
        mac->key = key;
        return 1;
    }
    error_raise(mac->provider, HX_E_INVALID, __func__, "'%s': not a secret: write hsm:TOKEN/secret/LABEL",
                hx_key_address(key));
    hx_key_close(key);
    return 0;
}

static int set_digest(struct mac *mac, const OSSL_PARAM *param)
{
    const struct digest *digest;
    const char *name;

    if (!OSSL_PARAM_get_utf8_string_ptr(param, &name) || !name)
        return error_raise(mac->provider, HX_E_INVALID, __func__, "parameter 'digest' is not a text");
    digest = software_digest(mac->provider, name);
    if (!digest)
        return 0;
    if (!digest->hash)
        return error_raise(mac->provider, HX_E_UNSUPPORTED, __func__,
                           "digest '%s': tokens do HMAC with SHA1, SHA256, SHA384, SHA512", name);
    mac->digest = digest;
    return 1;
}

static int set_size(struct mac *mac, const OSSL_PARAM *param)
{
    const struct digest *digest = digest_of(mac);
    size_t size;

    return digest && OSSL_PARAM_get_size_t(param, &size) &&
           (size == digest->size || error_raise(mac->provider, HX_E_UNSUPPORTED, __func__,
                                                "size %zu: HMAC with '%s' has %zu bytes, and is not cut short", size,
                                                digest->name, digest->size));
}

static int set_key(struct mac *mac, const OSSL_PARAM *param)
{
    (void)param;
    return refuse_key(mac);
}

static int set_params(void *ctx, const OSSL_PARAM params[])
{
    static const struct {
        const char *name;
        int (*set)(struct mac *, const OSSL_PARAM *);
    } setters[] = {
        { OSSL_MAC_PARAM_KEY, set_key },
        { MAC_PARAM_ADDRESS, set_address },
        { OSSL_MAC_PARAM_DIGEST, set_digest },
        { OSSL_MAC_PARAM_SIZE, set_size },
    };
    struct mac *mac = ctx;

    for (size_t i = 0; params && i < sizeof(setters) / sizeof(*setters); i++) {
        const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, setters[i].name);

        if (!param)
            continue;
        if (mac->len)
            return error_raise(mac->provider, HX_E_INVALID, __func__, "parameter '%s': a message has begun",
                               param->key);
        if (!setters[i].set(mac, param))
            return 0;
    }
    return 1;
}

static int init(void *ctx, const unsigned char *key, size_t len, const OSSL_PARAM params[])
{
    struct mac *mac = ctx;

    forget(mac);
    if (key && len)
        return refuse_key(mac);
    if (!set_params(mac, params))
        return 0;
    if (!mac->key)
        return error_raise(mac->provider, HX_E_INVALID, __func__,
                           "no secret: name it by parameter 'address', hsm:TOKEN/secret/LABEL");
    mac->begun = true;
    return 1;
}

static int grow(struct mac *mac, size_t len)
{
    size_t room = mac->room ? mac->room : first_room;
    unsigned char *grown;

    while (room < len)
        room *= 2;
    if (room == mac->room)
        return 1;
    grown = OPENSSL_clear_realloc(mac->message, mac->room, room);
    if (!grown)
        return error_raise(mac->provider, HX_E_NO_MEMORY, __func__, "no memory for a message of %zu bytes", len);
    mac->message = grown;
    mac->room = room;
    return 1;
}

static int has_begun(const struct mac *mac)
{
    return mac->begun || error_raise(mac->provider, HX_E_INVALID, __func__, "no message has begun: init comes first");
}

static int update(void *ctx, const unsigned char *data, size_t len)
{
    struct mac *mac = ctx;

    if (!has_begun(mac))
        return 0;
    if (!len)
        return 1;
    if (len > message_max - mac->len)
        return error_raise(mac->provider, HX_E_UNSUPPORTED, __func__,
                           "a message of more than %zu bytes: tokens take it in one piece", message_max);
    if (!grow(mac, mac->len + len))
        return 0;
    memcpy(mac->message + mac->len, data, len);
    mac->len += len;
    return 1;
}

static int final(void *ctx, unsigned char *out, size_t *out_len, size_t size)
{
    struct hx_alg alg = { .scheme = HX_HMAC };
    struct hx_bytes tag = { 0 };
    struct mac *mac = ctx;
    const struct digest *digest;
    int result, ok;

    if (!has_begun(mac))
        return 0;
    digest = digest_of(mac);
    if (!digest)
        return 0;
    alg.hash = digest->hash;
    result = hx_sign(mac->key, &alg, mac->len ? (const void *)mac->message : "", mac->len, &tag);
    forget(mac);
    if (result < 0)
        return error_hx(mac->provider, result, __func__);
    ok = tag.len <= size;
    if (ok) {
        memcpy(out, tag.data, tag.len);
        *out_len = tag.len;
    } else {
        error_raise(mac->provider, HX_E_INVALID, __func__, "tag: no room for it");
    }
    hx_bytes_free(&tag);
    return ok;
}

static int get_params(void *ctx, OSSL_PARAM params[])
{
    OSSL_PARAM *address = OSSL_PARAM_locate(params, MAC_PARAM_ADDRESS);
    OSSL_PARAM *name = OSSL_PARAM_locate(params, OSSL_MAC_PARAM_DIGEST);
    OSSL_PARAM *size = OSSL_PARAM_locate(params, OSSL_MAC_PARAM_SIZE);
    OSSL_PARAM *block = OSSL_PARAM_locate(params, OSSL_MAC_PARAM_BLOCK_SIZE);
    const struct mac *mac = ctx;
    const struct digest *digest = digest_of(mac);

    if (!digest)
        return 0;
    return (!address || OSSL_PARAM_set_utf8_string(address, mac->key ? hx_key_address(mac->key) : "")) &&
           (!name || OSSL_PARAM_set_utf8_string(name, EVP_MD_get0_name(digest->md))) &&
           (!size || OSSL_PARAM_set_size_t(size, digest->size)) &&
           (!block || OSSL_PARAM_set_size_t(block, (size_t)EVP_MD_get_block_size(digest->md)));
}

static const OSSL_PARAM *settable(void *ctx, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_utf8_string(MAC_PARAM_ADDRESS, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_size_t(OSSL_MAC_PARAM_SIZE, NULL),
        OSSL_PARAM_END,
    };

    (void)ctx;
    (void)provider;
    return known;
}

static const OSSL_PARAM *gettable(void *ctx, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_utf8_string(MAC_PARAM_ADDRESS, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_size_t(OSSL_MAC_PARAM_SIZE, NULL),
        OSSL_PARAM_size_t(OSSL_MAC_PARAM_BLOCK_SIZE, NULL),
        OSSL_PARAM_END,
    };

    (void)ctx;
    (void)provider;
    return known;
}

const OSSL_DISPATCH mac_functions[] = {
    { OSSL_FUNC_MAC_NEWCTX, (void (*)(void))newctx },
    { OSSL_FUNC_MAC_FREECTX, (void (*)(void))freectx },
    { OSSL_FUNC_MAC_DUPCTX, (void (*)(void))dupctx },
    { OSSL_FUNC_MAC_INIT, (void (*)(void))init },
    { OSSL_FUNC_MAC_UPDATE, (void (*)(void))update },
    { OSSL_FUNC_MAC_FINAL, (void (*)(void)) final },
    { OSSL_FUNC_MAC_SET_CTX_PARAMS, (void (*)(void))set_params },
    { OSSL_FUNC_MAC_SETTABLE_CTX_PARAMS, (void (*)(void))settable },
    { OSSL_FUNC_MAC_GET_CTX_PARAMS, (void (*)(void))get_params },
    { OSSL_FUNC_MAC_GETTABLE_CTX_PARAMS, (void (*)(void))gettable },
    { 0, NULL },
};
