/* SPDX-License-Identifier: Apache-2.0 */
/* Key generation on a token: "openssl genpkey -propquery ?provider=hsmux -pkeyopt hsm-token:NAME". */
#include "key.h"
#include "keymgmt.h"

#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct keygen {
    struct provider *provider;
    const struct keytype *type;
    struct hx_spec spec;
    char *token, *label;
};

static const OSSL_PARAM known[] = {
    OSSL_PARAM_utf8_string(PARAM_TOKEN, NULL, 0),
    OSSL_PARAM_utf8_string(PARAM_LABEL, NULL, 0),
    OSSL_PARAM_size_t(OSSL_PKEY_PARAM_RSA_BITS, NULL),
    OSSL_PARAM_size_t(OSSL_PKEY_PARAM_RSA_PRIMES, NULL),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING, NULL, 0),
    OSSL_PARAM_END,
};

/* A wish that is passed over would give a key that nobody asked for. */
static int check_known(struct keygen *gen, const OSSL_PARAM params[])
{
    for (; params->key; params++)
        if (!OSSL_PARAM_locate_const(known, params->key))
            return error_raise(gen->provider, HX_E_UNSUPPORTED, __func__,
                               "parameter '%s': a key of type '%s' in a token cannot have it", params->key,
                               gen->type->name);
    return 1;
}

static int bad_value(struct keygen *gen, const char *name)
{
    return error_raise(gen->provider, HX_E_INVALID, __func__, "parameter '%s': not a value that it can have", name);
}

static int take_text(struct keygen *gen, const OSSL_PARAM params[], const char *name, char **ret)
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, name);
    char *text = NULL;

    if (!param)
        return 1;
    if (!OSSL_PARAM_get_utf8_string(param, &text, 0))
        return bad_value(gen, name);
    OPENSSL_free(*ret);
    *ret = text;
    return 1;
}

static int take_size(struct keygen *gen, const OSSL_PARAM params[])
{
    const OSSL_PARAM *bits = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_BITS);
    const OSSL_PARAM *primes = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_PRIMES);
    const OSSL_PARAM *exponent = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E);
    uint32_t count;

    if (!bits && !primes && !exponent)
        return 1;
    if (!gen->type->has_padding)
        return error_raise(gen->provider, HX_E_INVALID, __func__, "a key of type '%s' has no such parameter",
                           gen->type->name);
    if (bits && !OSSL_PARAM_get_uint32(bits, &gen->spec.bits))
        return bad_value(gen, bits->key);
    if (primes && (!OSSL_PARAM_get_uint32(primes, &count) || count != 2))
        return bad_value(gen, primes->key);
    return !exponent || OSSL_PARAM_get_uint64(exponent, &gen->spec.rsa_e) || bad_value(gen, exponent->key);
}

static int take_group(struct keygen *gen, const OSSL_PARAM params[])
{
    const struct keysize *size;
    char *group = NULL;

    if (!take_text(gen, params, OSSL_PKEY_PARAM_GROUP_NAME, &group))
        return 0;
    if (!group)
        return 1;
    size = keytype_group(gen->type, group);
    if (!size)
        error_raise(gen->provider, HX_E_UNSUPPORTED, __func__, "group '%s': a key of type '%s' cannot have it", group,
                    gen->type->name);
    OPENSSL_free(group);
    if (!size)
        return 0;
    gen->spec.type = size->type;
    gen->spec.bits = size->bits;
    return 1;
}

/* Only named curves exist here; a wish for explicit parameters must not pass unnoticed. */
static int check_encoding(struct keygen *gen, const OSSL_PARAM params[])
{
    char *encoding = NULL;
    bool named;

    if (!take_text(gen, params, OSSL_PKEY_PARAM_EC_ENCODING, &encoding))
        return 0;
    named = !encoding || !strcasecmp(encoding, OSSL_PKEY_EC_ENCODING_GROUP);
    OPENSSL_free(encoding);
    return named || error_raise(gen->provider, HX_E_UNSUPPORTED, __func__, "curves have names here, not parameters");
}

static int set_params(void *keygen, const OSSL_PARAM params[])
{
    struct keygen *gen = keygen;

    if (!params)
        return 1;
    return check_known(gen, params) && take_text(gen, params, PARAM_TOKEN, &gen->token) &&
           take_text(gen, params, PARAM_LABEL, &gen->label) && take_size(gen, params) && take_group(gen, params) &&
           check_encoding(gen, params);
}

static const OSSL_PARAM *settable_params(void *keygen, void *provider)
{
    (void)keygen;
    (void)provider;
    return known;
}

/* A key like another: on its curve.  Of RSA there is nothing to be alike in. */
static int set_template(void *keygen, void *template)
{
    const struct key *like = template;
    struct keygen *gen = keygen;

    if (!like->size || !like->size->group)
        return 1;
    gen->spec.type = like->size->type;
    gen->spec.bits = like->size->bits;
    return 1;
}

static void cleanup(void *keygen)
{
    struct keygen *gen = keygen;

    if (!gen)
        return;
    OPENSSL_free(gen->token);
    OPENSSL_free(gen->label);
    free(gen);
}

void *keygen_new(struct provider *provider, const struct keytype *type, int selection, const OSSL_PARAM params[])
{
    struct keygen *gen;

    if (!(selection & OSSL_KEYMGMT_SELECT_KEYPAIR)) {
        error_raise(provider, HX_E_UNSUPPORTED, __func__, "a token makes keys, not parameters alone");
        return NULL;
    }
    gen = calloc(1, sizeof(*gen));
    if (!gen)
        return NULL;
    gen->provider = provider;
    gen->type = type;
    gen->spec.kind = HX_PRIVATE_KEY;
    gen->spec.type = type->sizes[0].type;
    gen->spec.bits = type->sizes[0].bits;
    if (set_params(gen, params))
        return gen;
    cleanup(gen);
    return NULL;
}

/* Whoever asks OpenSSL for any key of this type, for a moment's key agreement say, does not mean a token. */
static bool is_meant(const struct keygen *gen)
{
    if ((gen->token || gen->label) && !hx_inside())
        return true;
    error_raise(gen->provider, HX_E_INVALID, "generate",
                "a key on a token is made where '" PARAM_LABEL "' or '" PARAM_TOKEN "' says so");
    return false;
}

static void *generate(void *keygen, OSSL_CALLBACK *progress, void *arg)
{
    struct keygen *gen = keygen;
    hx *context = provider_hx(gen->provider);
    struct hx_bytes address = { 0 };
    struct key *key;
    int result;

    (void)progress;
    (void)arg;
    if (!context || !is_meant(gen))
        return NULL;
    gen->spec.label = gen->label;
    result = hx_generate(context, gen->token, &gen->spec, &address);
    if (result < 0) {
        error_hx(gen->provider, result, __func__);
        return NULL;
    }
    key = key_open(gen->provider, (const char *)address.data);
    hx_bytes_free(&address);
    return key;
}

const OSSL_DISPATCH keygen_functions[] = {
    { OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE, (void (*)(void))set_template },
    { OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (void (*)(void))set_params },
    { OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (void (*)(void))settable_params },
    { OSSL_FUNC_KEYMGMT_GEN, (void (*)(void))generate },
    { OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (void (*)(void))cleanup },
    { 0, NULL },
};
