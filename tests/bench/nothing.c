/* SPDX-License-Identifier: Apache-2.0 */
/* The least that a provider of keys must have for EVP_DigestSign(), every function returning at once: no hash is made,
 * no key is read, and the signature is the same few bytes each time. */
#include "nothing.h"

#include "measure.h"

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <string.h>

static int some;

static void *new_key(void *provider)
{
    (void)provider;
    return &some;
}

static void free_key(void *key)
{
    (void)key;
}

static int has(const void *key, int selection)
{
    (void)key, (void)selection;
    return 1;
}

static int import(void *key, int selection, const OSSL_PARAM params[])
{
    (void)key, (void)selection, (void)params;
    return 1;
}

/* A token's key says no too. */
static int export(void *key, int selection, OSSL_CALLBACK *cb, void *arg)
{
    (void)key, (void)selection, (void)cb, (void)arg;
    return 0;
}

static const OSSL_PARAM *no_params(int selection)
{
    static const OSSL_PARAM none[] = { OSSL_PARAM_END };

    (void)selection;
    return none;
}

static int get_params(void *key, OSSL_PARAM params[])
{
    OSSL_PARAM *size = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MAX_SIZE);

    (void)key;
    return !size || OSSL_PARAM_set_int(size, 256);
}

static const OSSL_PARAM *known_params(void *provider)
{
    static const OSSL_PARAM known[] = { OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL), OSSL_PARAM_END };

    (void)provider;
    return known;
}

static const char *operation(int id)
{
    (void)id;
    return "ECDSA";
}

static void *new_context(void *provider, const char *properties)
{
    (void)provider, (void)properties;
    return &some;
}

static int init(void *ctx, const char *digest, void *key, const OSSL_PARAM params[])
{
    (void)ctx, (void)digest, (void)key, (void)params;
    return 1;
}

static int update(void *ctx, const unsigned char *data, size_t len)
{
    (void)ctx, (void)data, (void)len;
    return 1;
}

static int final(void *ctx, unsigned char *out, size_t *out_len, size_t size)
{
    static const unsigned char constant[72];

    (void)ctx, (void)size;
    if (out)
        memcpy(out, constant, sizeof constant);
    *out_len = sizeof constant;
    return 1;
}

static int at_once(void *ctx, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in, size_t len)
{
    (void)in, (void)len;
    return final(ctx, out, out_len, size);
}

#define KEY_FUNCTIONS                                                                                                  \
    { OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))new_key }, { OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))free_key },          \
        { OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))has }, { OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))import },          \
        { OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))no_params },                                                 \
        { OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void)) export },                                                         \
        { OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))no_params },                                                 \
        { OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))get_params },                                                  \
    {                                                                                                                  \
        OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))known_params                                                \
    }

static const OSSL_DISPATCH rsa_functions[] = { KEY_FUNCTIONS, { 0, NULL } };

static const OSSL_DISPATCH ec_functions[] = {
    KEY_FUNCTIONS,
    { OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))operation },
    { 0, NULL },
};

static const OSSL_DISPATCH signature_functions[] = {
    { OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))new_context },
    { OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))free_key },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))init },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))update },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void)) final },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))at_once },
    { 0, NULL },
};

static const OSSL_ALGORITHM *query(void *provider, int operation_id, int *no_cache)
{
    static const OSSL_ALGORITHM keys[] = {
        { "EC", "provider=nothing", ec_functions, NULL },
        { "RSA", "provider=nothing", rsa_functions, NULL },
        { NULL, NULL, NULL, NULL },
    };
    static const OSSL_ALGORITHM signatures[] = {
        { "ECDSA", "provider=nothing", signature_functions, NULL },
        { "RSA", "provider=nothing", signature_functions, NULL },
        { NULL, NULL, NULL, NULL },
    };

    (void)provider;
    *no_cache = 0;
    return operation_id == OSSL_OP_KEYMGMT ? keys : operation_id == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **ret)
{
    static const OSSL_DISPATCH functions[] = { { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
                                               { 0, NULL } };

    (void)handle, (void)in;
    *out = functions;
    *ret = &some;
    return 1;
}

void nothing_load(OSSL_LIB_CTX *libctx)
{
    if (!OSSL_PROVIDER_load(libctx, "default") || OSSL_PROVIDER_add_builtin(libctx, "nothing", start) != 1 ||
        !OSSL_PROVIDER_load(libctx, "nothing"))
        give_up("cannot load the provider", "nothing");
}

EVP_PKEY *nothing_key(OSSL_LIB_CTX *libctx, const char *type)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, type, "provider=nothing");
    OSSL_PARAM none[] = { OSSL_PARAM_END };
    EVP_PKEY *key = NULL;

    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, none) != 1)
        give_up("the provider 'nothing' gives no key of type", type);
    EVP_PKEY_CTX_free(ctx);
    return key;
}
