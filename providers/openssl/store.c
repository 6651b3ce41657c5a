/* SPDX-License-Identifier: Apache-2.0 */
/* The STORE loader.  "hsm:" yields the credential's key and then its certificates; an object's address that object;
 * "hsm:TOKEN/" and "hsm:TOKEN/KIND" the names of what is there; a pkcs11: URI whatever fits. */
#include "store.h"

#include "item.h"
#include "key.h"

#include <openssl/params.h>
#include <openssl/store.h>
#include <stdlib.h>
#include <string.h>

struct store {
    struct provider *provider;
    char *address;
    struct items items;
    size_t next;
    int expect; /* OSSL_STORE_INFO_*; 0: anything */
    bool gathered, failing; /* failing: the last load did */
};

static void *open_store(void *provider, const char *address)
{
    struct store *store = calloc(1, sizeof(*store));

    if (!store)
        return NULL;
    store->provider = provider;
    store->address = strdup(address);
    if (store->address)
        return store;
    free(store);
    return NULL;
}

static int close_store(void *ctx)
{
    struct store *store = ctx;

    items_free(&store->items);
    /* A pkcs11: URI may hold a PIN. */
    OPENSSL_cleanse(store->address, strlen(store->address));
    free(store->address);
    free(store);
    return 1;
}

static const OSSL_PARAM *settable(void *provider)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, NULL),
        OSSL_PARAM_utf8_string(OSSL_STORE_PARAM_PROPERTIES, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)provider;
    return params;
}

static int set_params(void *ctx, const OSSL_PARAM params[])
{
    static const char *const searches[] = { OSSL_STORE_PARAM_SUBJECT,     OSSL_STORE_PARAM_ISSUER,
                                            OSSL_STORE_PARAM_SERIAL,      OSSL_STORE_PARAM_DIGEST,
                                            OSSL_STORE_PARAM_FINGERPRINT, OSSL_STORE_PARAM_ALIAS };
    const OSSL_PARAM *expect = OSSL_PARAM_locate_const(params, OSSL_STORE_PARAM_EXPECT);
    struct store *store = ctx;

    /* A search that is passed over would find everything. */
    for (size_t i = 0; i < sizeof(searches) / sizeof(*searches); i++)
        if (OSSL_PARAM_locate_const(params, searches[i]))
            return error_raise(store->provider, HX_E_UNSUPPORTED, __func__,
                               "no search by %s: name the object in its address", searches[i]);
    return !expect || OSSL_PARAM_get_int(expect, &store->expect) ||
           error_raise(store->provider, HX_E_INVALID, __func__, "'%s': not a number", OSSL_STORE_PARAM_EXPECT);
}

static int give(int object, const char *type, OSSL_PARAM data, OSSL_CALLBACK *cb, void *arg)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &object),
        data,
        OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };

    if (type)
        params[2] = OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, (char *)(uintptr_t)type, 0);
    return cb(params, arg);
}

static int give_der(int object, const char *type, struct hx_bytes *der, OSSL_CALLBACK *cb, void *arg)
{
    return give(object, type, OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA, der->data, der->len), cb, arg);
}

static int give_name(const struct item *item, OSSL_CALLBACK *cb, void *arg)
{
    char *name = (char *)item->bytes.data;

    return give(OSSL_OBJECT_NAME, NULL, OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA, name, 0), cb, arg);
}

/* Who asks for a public key gets a software key, which every provider can use. */
static int give_public(struct store *store, struct key *key, OSSL_CALLBACK *cb, void *arg)
{
    struct hx_bytes spki = { 0 };
    int result, ok;

    result = hx_key_public(key->hx, &spki);
    key_free(key);
    if (result < 0)
        return error_hx(store->provider, result, __func__);
    ok = give_der(OSSL_OBJECT_PKEY, NULL, &spki, cb, arg);
    hx_bytes_free(&spki);
    return ok;
}

static int give_key(struct store *store, const struct item *item, OSSL_CALLBACK *cb, void *arg)
{
    struct key *key = key_open(store->provider, (const char *)item->bytes.data);

    if (!key)
        return 0;
    return store->expect == OSSL_STORE_INFO_PUBKEY ? give_public(store, key, cb, arg) : key_hand_over(key, cb, arg);
}

static int give_certificate(struct store *store, const struct item *item, OSSL_CALLBACK *cb, void *arg)
{
    hx *context = provider_hx(store->provider);
    struct hx_bytes der = { 0 };
    int result, ok;

    if (!context)
        return 0;
    result = hx_read(context, (const char *)item->bytes.data, HX_VALUE, &der);
    if (result < 0)
        return error_hx(store->provider, result, __func__);
    ok = give_der(OSSL_OBJECT_CERT, "CERTIFICATE", &der, cb, arg);
    hx_bytes_free(&der);
    return ok;
}

static int give_item(struct store *store, struct item *item, OSSL_CALLBACK *cb, void *arg)
{
    switch (item->kind) {
    case ITEM_KEY:
        return give_key(store, item, cb, arg);
    case ITEM_CERTIFICATE:
        return give_certificate(store, item, cb, arg);
    case ITEM_DER:
        return give_der(OSSL_OBJECT_CERT, "CERTIFICATE", &item->bytes, cb, arg);
    default:
        return give_name(item, cb, arg);
    }
}

static int load(void *ctx, OSSL_CALLBACK *cb, void *arg, OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    struct store *store = ctx;

    (void)ask;
    (void)ask_arg;
    store->failing = false;
    if (!store->gathered) {
        store->gathered = true;
        store->failing = !items_gather(store->provider, store->address, store->expect, &store->items);
        if (store->failing)
            items_free(&store->items);
    }
    if (store->next >= store->items.count)
        return !store->failing; /* nothing found is the end, and no error */
    store->failing = !give_item(store, &store->items.item[store->next++], cb, arg);
    return !store->failing;
}

/* OpenSSL takes a failure at the end for the end itself.  So the end comes one step after it. */
static int at_end(void *ctx)
{
    const struct store *store = ctx;

    return store->gathered && !store->failing && store->next >= store->items.count;
}

const OSSL_DISPATCH store_functions[] = {
    { OSSL_FUNC_STORE_OPEN, (void (*)(void))open_store },
    { OSSL_FUNC_STORE_CLOSE, (void (*)(void))close_store },
    { OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, (void (*)(void))settable },
    { OSSL_FUNC_STORE_SET_CTX_PARAMS, (void (*)(void))set_params },
    { OSSL_FUNC_STORE_LOAD, (void (*)(void))load },
    { OSSL_FUNC_STORE_EOF, (void (*)(void))at_end },
    { 0, NULL },
};
