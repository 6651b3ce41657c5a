/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL 3 provider "hsmux": what OpenSSL asks of every provider.  Loading it reads no configuration and opens
 * no device, so that whatever is wrong with these never disturbs a program's other keys. */
#include "software.h"

#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void teardown(void *ctx)
{
    struct provider *provider = ctx;

    hx_free(provider->hx);
    software_free(provider->software);
    tables_free(provider->tables);
    free(provider->upcalls);
    free(provider->config);
    free(provider->random_token);
    free(provider->bad_setting);
    free(provider);
}

hx *provider_hx(struct provider *provider)
{
    hx *context = atomic_load(&provider->hx);
    hx *made;
    int result;

    if (context)
        return context;
    if (provider->bad_setting) {
        error_raise(provider, HX_E_CONFIG, __func__, "openssl.cnf: '%s': say yes or no", provider->bad_setting);
        return NULL;
    }
    result = hx_new(provider->config, &made);
    if (result < 0) {
        error_hx(provider, result, __func__);
        return NULL;
    }
    if (atomic_compare_exchange_strong(&provider->hx, &context, made))
        return made;
    hx_free(made);
    return context;
}

static const OSSL_PARAM *gettable_params(void *ctx)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_BUILDINFO, NULL, 0),
        OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
        OSSL_PARAM_END,
    };

    (void)ctx;
    return gettable;
}

static int get_params(void *ctx, OSSL_PARAM params[])
{
    OSSL_PARAM *name = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME);
    OSSL_PARAM *version = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_VERSION);
    OSSL_PARAM *build = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_BUILDINFO);
    OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);

    (void)ctx;
    return (!name || OSSL_PARAM_set_utf8_ptr(name, "hsmux: keys in tokens")) &&
           (!version || OSSL_PARAM_set_utf8_ptr(version, HSMUX_VERSION)) &&
           (!build || OSSL_PARAM_set_utf8_ptr(build, hx_version())) && (!status || OSSL_PARAM_set_int(status, 1));
}

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *no_cache)
{
    *no_cache = 0;
    return tables_query(ctx, operation);
}

static const OSSL_ITEM *reason_strings(void *ctx)
{
    const struct provider *provider = ctx;

    return provider->reasons;
}

static const OSSL_DISPATCH functions[] = {
    { OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown },
    { OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable_params },
    { OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_params },
    { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
    { OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, (void (*)(void))reason_strings },
    { 0, NULL },
};

static OSSL_FUNC_core_get_params_fn *take_upcalls(struct provider *provider, const OSSL_DISPATCH *in)
{
    OSSL_FUNC_core_get_params_fn *get = NULL;
    size_t count = 1;

    for (const OSSL_DISPATCH *at = in; at->function_id; at++, count++) {
        switch (at->function_id) {
        case OSSL_FUNC_CORE_GET_PARAMS:
            get = OSSL_FUNC_core_get_params(at);
            break;
        case OSSL_FUNC_CORE_NEW_ERROR:
            provider->new_error = OSSL_FUNC_core_new_error(at);
            break;
        case OSSL_FUNC_CORE_SET_ERROR_DEBUG:
            provider->set_error_debug = OSSL_FUNC_core_set_error_debug(at);
            break;
        case OSSL_FUNC_CORE_VSET_ERROR:
            provider->vset_error = OSSL_FUNC_core_vset_error(at);
            break;
        default:
            break;
        }
    }
    provider->upcalls = calloc(count, sizeof(*in));
    if (provider->upcalls)
        memcpy(provider->upcalls, in, count * sizeof(*in));
    return get;
}

static bool is_yes(struct provider *provider, const char *name, const char *value)
{
    bool yes = value && !strcasecmp(value, "yes");

    if (value && !yes && strcasecmp(value, "no") && !provider->bad_setting &&
        asprintf(&provider->bad_setting, "%s = %s", name, value) < 0)
        provider->bad_setting = NULL;
    return yes;
}

static bool copy_text(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return !text || *ret;
}

/* The settings of our section in openssl.cnf.  A bad one must not keep us from being loaded, since programs take that
 * for a broken OpenSSL: it is said when a key of ours is wanted. */
static bool read_settings(struct provider *provider, OSSL_FUNC_core_get_params_fn *get)
{
    char *config = NULL, *pkcs11 = NULL, *decrypt = NULL, *random = NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_ptr("config", &config, 0),
        OSSL_PARAM_construct_utf8_ptr("pkcs11-uri", &pkcs11, 0),
        OSSL_PARAM_construct_utf8_ptr("allow-rsa-pkcs1-decrypt", &decrypt, 0),
        OSSL_PARAM_construct_utf8_ptr("random-token", &random, 0),
        OSSL_PARAM_construct_end(),
    };

    if (!get || !get(provider->core, params))
        return true;
    provider->pkcs11_uri = is_yes(provider, "pkcs11-uri", pkcs11);
    provider->rsa_pkcs1_decrypt = is_yes(provider, "allow-rsa-pkcs1-decrypt", decrypt);
    return copy_text(config, &provider->config) && copy_text(random, &provider->random_token);
}

int hsmux_provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **ret)
{
    struct provider *provider = calloc(1, sizeof(*provider));
    OSSL_FUNC_core_get_params_fn *get;

    if (!provider)
        return 0;
    provider->core = core;
    error_reasons(provider->reasons);
    get = take_upcalls(provider, in);
    if (!provider->upcalls || !read_settings(provider, get)) {
        teardown(provider);
        return 0;
    }
    provider->tables = tables_new(provider);
    if (!provider->tables) {
        teardown(provider);
        return 0;
    }
    *out = functions;
    *ret = provider;
    return 1;
}
