/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: open one by its address or from its reference, tell what it is, hand out its reference. */
#include "key.h"

#include "credential.h"
#include "encode.h"
#include "error.h"
#include "log.h"

#include <string.h>

void key_close_p(struct hx_key **key)
{
    hx_key_close(*key);
}

struct hx_key *hx_key_retain(struct hx_key *key)
{
    atomic_fetch_add(&key->refs, 1);
    return key;
}

void hx_key_close(struct hx_key *key)
{
    struct token *token;

    if (!key || atomic_fetch_sub(&key->refs, 1) != 1)
        return;
    token = atomic_load(&key->token);
    if (token)
        token_drop(token, &key->loaded);
    token_release(token);
    free(key->address);
    address_free(&key->where);
    object_free(&key->object);
    hx_bytes_free(&key->spki);
    hx_bytes_free(&key->ref);
    hx_free(key->hx);
    free(key);
}

static int make(struct hx *ctx, const char *address, struct hx_key **ret)
{
    struct hx_key *key = calloc(1, sizeof *key);
    int result;

    if (!key || !(key->address = string_copy(address))) {
        free(key);
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    atomic_init(&key->refs, 1);
    key->hx = context_retain(ctx);
    if ((result = address_parse(address, &key->where))) {
        hx_key_close(key);
        return result;
    }
    *ret = key;
    return HX_OK;
}

int key_token(struct hx_key *key, struct token **ret)
{
    struct token *token = atomic_load_explicit(&key->token, memory_order_acquire), *none = NULL;
    int result;

    if (!token) {
        if ((result = context_token(key->hx, key->where.token, &token)))
            return result;
        if (!atomic_compare_exchange_strong(&key->token, &none, token)) {
            token_release(token);
            token = none;
        }
    }
    *ret = token;
    return HX_OK;
}

/* Where it was looked for: the same address may mean another token to another user. */
static int no_object(struct token *token, const struct hx_key *key)
{
    AUTO_TOKENS struct token_list list = { 0 };

    if (token_describe(token, &list) || !list.count || !list.token[0].serial)
        return hx_error(HX_E_NOT_FOUND, "no object '%s'", key->address);
    return hx_error(HX_E_NOT_FOUND, "no object '%s' in '%s'", key->address, list.token[0].serial);
}

/* The first time a key from a reference is used, its address must be looked up. */
static int find_ref(struct token *token, struct hx_key *key)
{
    AUTO_OBJECTS struct object_list list = { 0 };
    const struct address *where = &key->where;
    struct hx_object want = { .kind = where->kind, .label = where->label };
    struct object *found = NULL;
    int result;

    if (where->has_id)
        want.id = (struct hx_buf){ where->id.data, where->id.len };
    if ((result = object_list_now(token, &want, &list)))
        return result;
    for (size_t i = 0; i < list.count; i++) {
        if (!address_fits(where, &list.object[i].info))
            continue;
        if (found)
            return hx_error(HX_E_AMBIGUOUS, "'%s' fits more than one object", key->address);
        found = &list.object[i];
    }
    if (!found)
        return no_object(token, key);
    bytes_move(&key->ref, &found->ref);
    return HX_OK;
}

/* A reference is bound to its public key; a key without one gets the token's. */
static int bind_public(struct token *token, struct hx_key *key, void *object, const struct hx_object *info)
{
    AUTO_BYTES struct hx_bytes spki = { 0 };
    int result;

    if (info->kind != HX_PRIVATE_KEY)
        return HX_OK;
    result = object_spki_now(token, object, info, &spki);
    if (result == HX_E_UNSUPPORTED || result == HX_E_NOT_FOUND)
        return HX_OK; /* the first signature is verified against the reference's */
    if (result)
        return result;
    if (key->spki.len && !bytes_equal(spki.data, spki.len, key->spki.data, key->spki.len))
        return hx_error(HX_E_INVALID,
                        "'%s' is not the key that the reference was made for: make a new one with `hsmux ref`",
                        key->address);
    if (!key->spki.len && !key->object.info.kind) /* nobody but us has this key yet */
        bytes_move(&key->spki, &spki);
    return HX_OK;
}

static int load_bound(struct token *token, struct hx_key *key, struct object *ret_info, void **ret_object)
{
    int result = object_load_now(token, key->where.kind, &key->ref, ret_info, ret_object);

    if (result == HX_E_NOT_FOUND)
        return hx_error_in(result, "'%s'", key->address);
    if (!result && (result = bind_public(token, key, *ret_object, &ret_info->info)))
        token_table(token)->unload(*ret_object);
    return result;
}

static int load(struct token *token, void *arg, void **ret_object)
{
    AUTO_OBJECT struct object info = { 0 };
    struct hx_key *key = arg;
    void *object = NULL;
    int result;

    if (!key->ref.len && (result = find_ref(token, key)))
        return result;
    if ((result = load_bound(token, key, &info, &object))) {
        if (key->spki.len && (result == HX_E_NOT_FOUND || result == HX_E_INVALID))
            hx_bytes_free(&key->ref); /* the right key may be back one day: its address will tell, and its public key */
        return result;
    }
    atomic_store(&key->always_auth, info.info.flags & HX_ALWAYS_AUTH);
    atomic_store(&key->own_auth, info.info.flags & HX_OWN_AUTH);
    atomic_store(&key->own_tag, 0);
    if (!key->object.info.kind) {
        key->object = info;
        info = (struct object){ 0 };
    }
    kinds_forget(&key->kinds); /* the same key on another token may be signed with otherwise */
    *ret_object = object;
    return HX_OK;
}

int key_object_now(struct token *token, struct hx_key *key, void **ret_object)
{
    return token_object(token, &key->loaded, load, key, ret_object);
}

static int touch(struct token *token, void *arg)
{
    void *object;

    return key_object_now(token, arg, &object);
}

static int open_now(struct hx_key *key)
{
    struct token *token;
    int result = key_token(key, &token);

    if (result)
        return result;
    result = token_call(key->hx, token, touch, key, 0);
    return result ? hx_error_in(result, "token '%s'", token_name(token)) : HX_OK;
}

int key_open_object(struct hx *ctx, struct token *token, const struct object *object, const char *address,
                    struct hx_key **ret)
{
    AUTO_KEY struct hx_key *key = NULL;
    int result = make(ctx, address, &key);

    if (result)
        return result;
    atomic_store(&key->token, token_retain(token));
    if ((result = bytes_append(&key->ref, object->ref.data, object->ref.len)) || (result = open_now(key)))
        return result;
    if (!key->spki.len && object_may_sign(&object->info) && (result = credential_prove_key(ctx, token, key)))
        return result;
    *ret = key;
    key = NULL;
    return HX_OK;
}

/* A key's own address has its token's name and no PIN; the id only where the label alone may not do. */
static int own_address(struct hx *ctx, struct token *token, const struct object *object, const char *asked,
                       struct hx_bytes *ret)
{
    AUTO_ADDRESS struct address address = { 0 };
    int result = address_parse(asked, &address);

    if (result)
        return result;
    return address_print(context_name(ctx, token), &object->info, address.has_id, ret);
}

int hx_key_open(struct hx *ctx, const char *text, struct hx_key **ret)
{
    AUTO_TOKEN struct token *token = NULL;
    AUTO_OBJECT struct object object = { 0 };
    AUTO_BYTES struct hx_bytes address = { 0 };
    AUTO_ADDRESS struct address parsed = { 0 };
    int result;

    if ((result = address_parse(text, &parsed)))
        return result;
    if (parsed.credential)
        return credential_key(ctx, parsed.credential, ret);
    if ((result = object_find(ctx, text, HX_PRIVATE_KEY, &token, &object)))
        return result;
    if (object.info.kind != HX_PRIVATE_KEY && object.info.kind != HX_SECRET_KEY)
        return hx_error(HX_E_INVALID, "a %s is no key to sign with: write hsm:TOKEN/key/LABEL",
                        kind_name(object.info.kind));
    if ((result = own_address(ctx, token, &object, text, &address)))
        return result;
    return key_open_object(ctx, token, &object, (char *)address.data, ret);
}

static int load_only(void *arg, const char *path, struct plugin *plugin, int result)
{
    (void)arg, (void)path, (void)plugin, (void)result;
    return HX_OK;
}

/* With public key: lazy.  The token is only prepared for the time when the process may read no files any more. */
static int prepare(struct hx_key *key, bool *ret_open)
{
    AUTO_TOKEN struct token *token = NULL;
    const struct section *section = config_section(key->hx->config, "token", key->where.token);
    const char *when = section ? section_get(section, "open") : NULL;
    int result = context_token_known(key->hx, key->where.token, &token);

    *ret_open = when && !strcmp(when, "load");
    if (result == HX_E_NOT_FOUND)
        return plugin_each(load_only, NULL); /* one of them will know it */
    if (!result)
        token_prefetch(key->hx, token);
    return result;
}

static int from_address(struct hx *ctx, const char *address, const struct hx_bytes *spki, struct hx_key **ret)
{
    AUTO_KEY struct hx_key *key = NULL;
    bool open = false;
    int result;

    if ((result = make(ctx, address, &key)))
        return result;
    if (key->where.kind != HX_PRIVATE_KEY || (!key->where.label && !key->where.has_id))
        return hx_error(HX_E_INVALID, "key reference: its address '%s' names no private key", address);
    if ((result = decode_spki(spki->data, spki->len, &key->object.info)) ||
        (result = bytes_append(&key->spki, spki->data, spki->len)))
        return result;
    key->object.info.kind = HX_PRIVATE_KEY;
    key->object.info.label = key->where.label;
    if ((result = prepare(key, &open)) || (open && (result = open_now(key))))
        return result;
    *ret = key;
    key = NULL;
    return HX_OK;
}

/* The reference of a credential by name: what it means is in the configuration, and may be another key one day. */
static int from_credential(struct hx *ctx, const char *address, const struct hx_bytes *spki, struct hx_key **ret)
{
    AUTO_KEY struct hx_key *key = NULL;
    int result = hx_key_open(ctx, address, &key);

    if (result)
        return result;
    if (spki->len && !bytes_equal(spki->data, spki->len, key->spki.data, key->spki.len))
        return hx_error(HX_E_INVALID,
                        "'%s' is not the key that the reference was made for: make a new one with `hsmux ref`",
                        address);
    *ret = key;
    key = NULL;
    return HX_OK;
}

int hx_key_from_reference(struct hx *ctx, const void *der, size_t len, struct hx_key **ret)
{
    AUTO_BYTES struct hx_bytes address = { 0 };
    AUTO_BYTES struct hx_bytes spki = { 0 };
    AUTO_ADDRESS struct address parsed = { 0 };
    int result;

    if (!ctx->config->references)
        return hx_error(HX_E_CONFIG, "key references are switched off (references = off in '%s')", ctx->config->path);
    if ((result = decode_reference(der, len, &address, &spki)) ||
        (result = address_parse((char *)address.data, &parsed)))
        return hx_error_in(result, "key reference");
    if (parsed.credential || !spki.len)
        result = from_credential(ctx, (char *)address.data, &spki, ret);
    else
        result = from_address(ctx, (char *)address.data, &spki, ret);
    return result ? log_unreachable(result) : HX_OK;
}

static int make_reference(const char *address, const struct hx_bytes *spki, struct hx_bytes *ret)
{
    struct hx_bytes pem = { 0 };
    int result = encode_reference(address, spki->data, spki->len, &pem);

    if (result)
        return result;
    bytes_move(ret, &pem);
    return HX_OK;
}

int hx_key_reference(struct hx_key *key, struct hx_bytes *ret)
{
    if (key->where.kind != HX_PRIVATE_KEY)
        return hx_error(HX_E_UNSUPPORTED, "'%s' is no private key: only these have references", key->address);
    if (!key->spki.len)
        return hx_error(HX_E_UNSUPPORTED, "'%s' does not tell its public key: store its certificate first",
                        key->address);
    return make_reference(key->address, &key->spki, ret);
}

int hx_default_reference(struct hx_bytes *ret)
{
    return make_reference("hsm:", &(struct hx_bytes){ 0 }, ret);
}

int hx_key_info(struct hx_key *key, struct hx_object *ret)
{
    *ret = key->object.info;
    return HX_OK;
}

const char *hx_key_address(struct hx_key *key)
{
    return key->address;
}

int hx_key_public(struct hx_key *key, struct hx_bytes *ret)
{
    struct hx_bytes copy = { 0 };
    int result;

    if (!key->spki.len)
        return hx_error(HX_E_UNSUPPORTED, "'%s' does not tell its public key", key->address);
    if ((result = bytes_append(&copy, key->spki.data, key->spki.len)))
        return result;
    bytes_move(ret, &copy);
    return HX_OK;
}
