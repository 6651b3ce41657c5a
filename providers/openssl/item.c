/* SPDX-License-Identifier: Apache-2.0 */
/* From an address to the list of what it yields. */
#include "item.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct gathering {
    struct provider *provider;
    int expect;
    bool names;
    size_t seen;
    struct items *items;
};

static int add(const struct gathering *to, enum item_kind kind, const void *data, size_t len)
{
    struct items *items = to->items;
    struct item *grown = reallocarray(items->item, items->count + 1, sizeof(*grown));
    unsigned char *copy = malloc(len + 1);

    if (grown)
        items->item = grown;
    if (!grown || !copy) {
        free(copy);
        return error_raise(to->provider, HX_E_NO_MEMORY, __func__, "no memory for a list");
    }
    memcpy(copy, data, len);
    copy[len] = '\0';
    items->item[items->count++] = (struct item){ kind, { copy, len } };
    return 1;
}

void items_free(struct items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        OPENSSL_cleanse(items->item[i].bytes.data, items->item[i].bytes.len);
        free(items->item[i].bytes.data);
    }
    free(items->item);
    *items = (struct items){ 0 };
}

static bool wants_key(int expect)
{
    return !expect || expect == OSSL_STORE_INFO_PKEY || expect == OSSL_STORE_INFO_PUBKEY;
}

static bool wants_certificate(int expect)
{
    return !expect || expect == OSSL_STORE_INFO_CERT;
}

static int add_chain(const struct gathering *to, const struct hx_bytes *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    unsigned char *der = NULL;
    char *name = NULL, *header = NULL;
    long len = 0;
    int ok = !!bio;

    ERR_set_mark();
    while (ok && PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
        ok = add(to, ITEM_DER, der, (size_t)len);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    ERR_pop_to_mark();
    BIO_free(bio);
    return ok;
}

static int gather_credential(const struct gathering *to, hx *context, const char *address, const char *name)
{
    struct hx_bytes pem = { 0 };
    int result, ok;

    if (wants_key(to->expect) && !add(to, ITEM_KEY, address, strlen(address)))
        return 0;
    if (!wants_certificate(to->expect))
        return 1;
    result = hx_credential_get(context, *name ? name : NULL, "certificate", &pem);
    /* A key without a certificate is a credential that can make a CSR. */
    if (result == HX_E_NOT_FOUND && !to->expect)
        return 1;
    if (result < 0)
        return error_hx(to->provider, result, __func__);
    ok = add_chain(to, &pem);
    hx_bytes_free(&pem);
    return ok;
}

static int add_object(void *arg, const char *address, const struct hx_object *object)
{
    struct gathering *to = arg;
    bool key = object->kind == HX_PRIVATE_KEY, certificate = object->kind == HX_CERTIFICATE;
    enum item_kind kind = key ? ITEM_KEY : ITEM_CERTIFICATE;

    to->seen++;
    if (to->expect && !(key && wants_key(to->expect)) && !(certificate && wants_certificate(to->expect)))
        return 0;
    if (!to->names && !key && !certificate)
        return 0;
    return add(to, to->names ? ITEM_NAME : kind, address, strlen(address)) ? 0 : 1;
}

static int gather_each(struct gathering *to, hx *context, const char *address)
{
    int result = hx_each(context, address, add_object, to);

    return result < 0 ? error_hx(to->provider, result, __func__) : !result;
}

/* What the URI means is the core's to say, its PIN included; where it means one object, it is opened as it stands. */
static int gather_pkcs11(struct gathering *to, hx *context, const char *address)
{
    struct items *items = to->items;
    enum item_kind kind;

    if (!gather_each(to, context, address))
        return 0;
    if (!to->seen)
        return error_raise(to->provider, HX_E_NOT_FOUND, __func__, "no object fits this PKCS#11 URI");
    if (items->count != 1)
        return 1;
    kind = items->item[0].kind;
    items_free(items);
    return add(to, kind, address, strlen(address));
}

static int gather_object(const struct gathering *to, const char *address, const char *kind)
{
    static const struct {
        const char *word;
        enum item_kind kind;
    } kinds[] = { { "key", ITEM_KEY }, { "cert", ITEM_CERTIFICATE } };
    size_t len = strcspn(kind, "/?");

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strlen(kinds[i].word) != len || strncmp(kinds[i].word, kind, len))
            continue;
        if (kinds[i].kind == ITEM_KEY ? !wants_key(to->expect) : !wants_certificate(to->expect))
            return 1;
        return add(to, kinds[i].kind, address, strlen(address));
    }
    return error_raise(to->provider, HX_E_UNSUPPORTED, __func__, "'%s': neither a key nor a certificate", address);
}

int items_gather(struct provider *provider, const char *address, int expect, struct items *ret)
{
    hx *context = provider_hx(provider);
    struct gathering to = { .provider = provider, .expect = expect, .items = ret };
    const char *path, *kind;

    if (!context)
        return 0;
    if (!strncasecmp(address, "pkcs11:", strlen("pkcs11:")))
        return gather_pkcs11(&to, context, address);
    path = strchr(address, ':');
    if (!path)
        return error_raise(provider, HX_E_INVALID, __func__, "'%s': not an address", address);
    kind = strchr(path, '/');
    if (!kind)
        return gather_credential(&to, context, address, path + 1);
    kind++;
    if (kind[strcspn(kind, "/?")])
        return gather_object(&to, address, kind);
    to.names = true;
    return gather_each(&to, context, address);
}
