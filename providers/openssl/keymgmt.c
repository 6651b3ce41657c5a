/* SPDX-License-Identifier: Apache-2.0 */
/* Key management.  A private half never leaves: export refuses it, which makes OpenSSL come back to us for the
 * private operation.  All that is public is answered by the default provider's key of the same numbers. */
#include "keymgmt.h"

#include "key.h"
#include "software.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <string.h>

static void *load(const void *reference, size_t size)
{
    struct key *const *from = reference;
    struct key **slot;
    struct key *key;

    if (!reference || size != sizeof(key))
        return NULL;
    key = *from;
    /* The reference is ours and now empty, so that its owner does not free what was taken. */
    slot = (struct key **)(uintptr_t)reference;
    *slot = NULL;
    return key;
}

static void free_key(void *key)
{
    key_free(key);
}

/* One that waits for its point is copied, or the point of either would become the other's. */
static void *dup_key(const void *from, int selection)
{
    struct key *key = (struct key *)(uintptr_t)from;

    return selection & OSSL_KEYMGMT_SELECT_KEYPAIR && !key->unfinished ? key_retain(key) : key_parameters(key);
}

static int has(const void *keydata, int selection)
{
    const struct key *key = keydata;

    if (!key)
        return 0;
    if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY && !key->hx)
        return 0;
    return key->hx || (key->public && !key->unfinished) || !(selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY);
}

static int match(const void *a, const void *b, int selection)
{
    EVP_PKEY *one = key_public((struct key *)(uintptr_t)a);
    EVP_PKEY *other = key_public((struct key *)(uintptr_t)b);

    if (!one || !other)
        return 0;
    if (selection & OSSL_KEYMGMT_SELECT_KEYPAIR)
        return EVP_PKEY_eq(one, other) == 1;
    return EVP_PKEY_parameters_eq(one, other) == 1;
}

static int validate(const void *keydata, int selection, int check)
{
    struct key *key = (struct key *)(uintptr_t)keydata;
    EVP_PKEY *public = key_public(key);
    EVP_PKEY_CTX *ctx;
    int ok;

    if (!public || !has(key, selection))
        return 0;
    if (!(selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY))
        return 1;
    ctx = EVP_PKEY_CTX_new_from_pkey(software_libctx(key->provider), public, NULL);
    if (check == OSSL_KEYMGMT_VALIDATE_QUICK_CHECK)
        ok = EVP_PKEY_public_check_quick(ctx) == 1;
    else
        ok = EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* Names only: what a key really has depends on its type, and asking for more is not an error. */
static const OSSL_PARAM *known_params(void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_X, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_Y, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)provider;
    return known;
}

/* Bits, security bits and signature size, which OpenSSL asks of each key that it loads, and the curve's name, which TLS
 * asks for in each handshake.  0: that, and more. */
static int get_sizes(const struct keysize *size, OSSL_PARAM params[])
{
    const struct {
        const char *name;
        int value;
    } known[] = {
        { OSSL_PKEY_PARAM_BITS, (int)size->bits },
        { OSSL_PKEY_PARAM_SECURITY_BITS, size->security_bits },
        { OSSL_PKEY_PARAM_MAX_SIZE, size->signature_max },
    };
    size_t i;

    for (; params->key; params++) {
        if (size->group && !strcmp(params->key, OSSL_PKEY_PARAM_GROUP_NAME)) {
            if (!OSSL_PARAM_set_utf8_string(params, OBJ_nid2sn(size->group)))
                return 0;
            continue;
        }
        for (i = 0; i < sizeof(known) / sizeof(*known) && strcmp(params->key, known[i].name); i++)
            ;
        if (i == sizeof(known) / sizeof(*known) || !OSSL_PARAM_set_int(params, known[i].value))
            return 0;
    }
    return 1;
}

static int get_params(void *keydata, OSSL_PARAM params[])
{
    struct key *key = keydata;
    EVP_PKEY *public;

    if (key->size && get_sizes(key->size, params))
        return 1;
    public = key_public(key);
    return public && EVP_PKEY_get_params(public, params) == 1;
}

/* OpenSSL comes without a key where it could not copy the parameters of one. */
static int set_params(void *key, const OSSL_PARAM params[])
{
    return key && key_finish(key, params);
}

static const OSSL_PARAM *settable_params(void *provider)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)provider;
    return settable;
}

static const OSSL_PARAM *public_numbers(int selection)
{
    static const OSSL_PARAM numbers[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_END,
    };

    return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : numbers;
}

/* OpenSSL takes whatever an export gives for the whole key.  So a private key is exported as nothing at all, or a
 * software provider would take its public half and fail to sign. */
static int export_key(void *keydata, int selection, OSSL_CALLBACK *cb, void *arg)
{
    struct key *key = keydata;
    OSSL_PARAM *params = NULL;
    EVP_PKEY *public;
    int ok;

    if (!has(key, selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) ||
        (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY && key->hx))
        return 0;
    public = key_public(key);
    if (!public || EVP_PKEY_todata(public, selection & ~OSSL_KEYMGMT_SELECT_PRIVATE_KEY, &params) != 1)
        return 0;
    ok = cb(params, arg);
    OSSL_PARAM_free(params);
    return ok;
}

static int import_key(void *keydata, int selection, const OSSL_PARAM params[])
{
    (void)selection;
    return key_import(keydata, params);
}

const OSSL_DISPATCH keymgmt_functions[] = {
    { OSSL_FUNC_KEYMGMT_LOAD, (void (*)(void))load },
    { OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))free_key },
    { OSSL_FUNC_KEYMGMT_DUP, (void (*)(void))dup_key },
    { OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))has },
    { OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))match },
    { OSSL_FUNC_KEYMGMT_VALIDATE, (void (*)(void))validate },
    { OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))get_params },
    { OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))known_params },
    { OSSL_FUNC_KEYMGMT_SET_PARAMS, (void (*)(void))set_params },
    { OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, (void (*)(void))settable_params },
    { OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))export_key },
    { OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))public_numbers },
    { OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))import_key },
    { OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))public_numbers },
    { 0, NULL },
};
