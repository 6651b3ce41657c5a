/* SPDX-License-Identifier: Apache-2.0 */
/* A key as OpenSSL holds it.  It never changes once it is made, so that a duplicate is one more holder; only
 * one that is made of parameters, as CMS does with a peer's, waits for its point. */
#include "key.h"

#include "rejection.h"
#include "software.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>

struct public
{
    unsigned generation;
    EVP_PKEY *pkey;
};

struct key *key_new(struct provider *provider, const struct keytype *type)
{
    struct key *key = calloc(1, sizeof(*key));

    if (!key) {
        error_raise(provider, HX_E_NO_MEMORY, __func__, "no memory for a key");
        return NULL;
    }
    key->holders = 1;
    key->provider = provider;
    key->type = type;
    return key;
}

struct key *key_from_hx(struct provider *provider, hx_key *token_key)
{
    struct hx_object info = { 0 };
    const struct keytype *type;
    struct key *key;
    int result;

    result = hx_key_info(token_key, &info);
    if (result < 0) {
        error_hx(provider, result, __func__);
        hx_key_close(token_key);
        return NULL;
    }
    type = keytype_of(info.type);
    if (!type) {
        error_raise(provider, HX_E_UNSUPPORTED, __func__, "'%s': not a key that can sign", hx_key_address(token_key));
        hx_key_close(token_key);
        return NULL;
    }
    key = key_new(provider, type);
    if (!key) {
        hx_key_close(token_key);
        return NULL;
    }
    key->hx = token_key;
    key->size = keytype_size(type, info.type, info.bits);
    return key;
}

struct key *key_open(struct provider *provider, const char *address)
{
    hx *context = provider_hx(provider);
    hx_key *token_key;
    int result;

    if (!context)
        return NULL;
    result = hx_key_open(context, address, &token_key);
    if (result < 0) {
        error_hx(provider, result, __func__);
        return NULL;
    }
    return key_from_hx(provider, token_key);
}

struct key *key_retain(struct key *key)
{
    key->holders++;
    return key;
}

static void public_free(struct public *public)
{
    /* What a parent process made may be locked for ever in this one. */
    if (!public || public->generation != software_generation())
        return;
    EVP_PKEY_free(public->pkey);
    free(public);
}

void key_free(struct key *key)
{
    if (!key || --key->holders)
        return;
    public_free(key->public);
    rejection_free(key->rejection);
    hx_key_close(key->hx);
    free(key);
}

static struct public *public_new(EVP_PKEY *pkey)
{
    struct public *public = pkey ? malloc(sizeof(*public)) : NULL;

    if (public)
        *public = (struct public){ .generation = software_generation(), .pkey = pkey };
    else
        EVP_PKEY_free(pkey);
    return public;
}

static struct public *public_of_token(struct key *key)
{
    OSSL_LIB_CTX *libctx = software_libctx(key->provider);
    struct hx_bytes spki = { 0 };
    struct public *public;
    const unsigned char *der;
    int result;

    if (!libctx)
        return NULL;
    result = hx_key_public(key->hx, &spki);
    if (result < 0) {
        error_hx(key->provider, result, __func__);
        return NULL;
    }
    der = spki.data;
    public = public_new(d2i_PUBKEY_ex(NULL, &der, (long)spki.len, libctx, NULL));
    hx_bytes_free(&spki);
    if (!public)
        error_raise(key->provider, HX_E_DEVICE, __func__, "'%s': its public key cannot be read",
                    hx_key_address(key->hx));
    return public;
}

EVP_PKEY *key_public(struct key *key)
{
    struct public *public = atomic_load(&key->public);
    struct public *made;

    if (public && (!key->hx || public->generation == software_generation()))
        return public->pkey;
    if (!key->hx) {
        error_raise(key->provider, HX_E_INVALID, __func__, "an empty key");
        return NULL;
    }
    made = public_of_token(key);
    if (!made)
        return NULL;
    if (atomic_compare_exchange_strong(&key->public, &public, made))
        return made->pkey;
    public_free(made);
    return public->pkey;
}

int key_signature_max(struct key *key)
{
    EVP_PKEY *public = key->size ? NULL : key_public(key);

    if (key->size)
        return key->size->signature_max;
    return public ? EVP_PKEY_get_size(public) : 0;
}

int key_bits(struct key *key)
{
    EVP_PKEY *public = key->size ? NULL : key_public(key);

    if (key->size)
        return (int)key->size->bits;
    return public ? EVP_PKEY_get_bits(public) : 0;
}

int key_import(struct key *key, const OSSL_PARAM params[])
{
    OSSL_LIB_CTX *libctx = software_libctx(key->provider);
    struct public *none = NULL, *public;
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx;
    OSSL_PARAM *numbers;

    if (!libctx || key->hx || OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) ||
        OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_D))
        return 0;
    /* EVP_PKEY_fromdata() does not write to them, but does not say so. */
    numbers = OSSL_PARAM_dup(params);
    ctx = EVP_PKEY_CTX_new_from_name(libctx, key->type->name, NULL);
    ERR_set_mark();
    if (numbers && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, numbers) != 1)
        pkey = NULL;
    ERR_pop_to_mark();
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(numbers);
    public = public_new(pkey);
    if (!public)
        return 0;
    if (atomic_compare_exchange_strong(&key->public, &none, public))
        return 1;
    public_free(public);
    return 0;
}

struct key *key_parameters(struct key *key)
{
    EVP_PKEY *public = key_public(key);
    EVP_PKEY *blank = public ? EVP_PKEY_new() : NULL;
    struct key *made = blank ? key_new(key->provider, key->type) : NULL;

    if (made && EVP_PKEY_copy_parameters(blank, public) == 1) {
        made->public = public_new(blank);
        made->unfinished = true;
        if (made->public)
            return made;
        blank = NULL;
    }
    EVP_PKEY_free(blank);
    key_free(made);
    return NULL;
}

int key_finish(struct key *key, const OSSL_PARAM params[])
{
    const OSSL_PARAM *point = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
    EVP_PKEY *public;
    int ok;

    if (!params || !params->key)
        return 1;
    if (!key->unfinished || !point || point != params || point[1].key)
        return error_raise(key->provider, HX_E_UNSUPPORTED, __func__, "parameter '%s': a token's key does not change",
                           params->key);
    public = key_public(key);
    ok = public && point->data_type == OSSL_PARAM_OCTET_STRING &&
         EVP_PKEY_set1_encoded_public_key(public, point->data, point->data_size) == 1;
    key->unfinished = !ok;
    return ok ||
           error_raise(key->provider, HX_E_INVALID, __func__, "parameter '%s': no point of the curve", params->key);
}

int key_hand_over(struct key *key, OSSL_CALLBACK *cb, void *arg)
{
    int object = OSSL_OBJECT_PKEY;
    union {
        const char *name;
        char *value;
    } type = { key->type->name };
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &object),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, type.value, 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof(key)),
        OSSL_PARAM_construct_end(),
    };
    int ok = cb(params, arg);

    key_free(key);
    return ok;
}
