/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that come and go on the fake plugin's tokens: generate, import, remove. */
#include "fake.h"

#include <string.h>

static bool same_name(const struct fake_object *object, const struct hx_spec *spec)
{
    if (!object->uid || object->kind != spec->kind)
        return false;
    return (spec->label && !strcmp(spec->label, object->label)) ||
           (spec->id.len && spec->id.len == object->id_len && !memcmp(spec->id.data, object->id, object->id_len));
}

/* Makes room for a new object: what bears its name goes, or is in the way. */
static int clear_name(unsigned token, const struct hx_spec *spec)
{
    for (int i = 0; i < FAKE_OBJECTS; i++) {
        struct fake_object *object = &control->token[token].object[i];
        if (!same_name(object, spec))
            continue;
        if (!(spec->flags & HX_REPLACE))
            return HX_E_EXISTS;
        object->uid = 0;
    }
    return 0;
}

static int from_spec(const struct hx_spec *spec, struct fake_object *ret)
{
    for (int i = 0; i < 3; i++) {
        if (spec->spare[i])
            return HX_E_UNSUPPORTED;
    }
    if (spec->id.len > sizeof ret->id || (spec->label && strlen(spec->label) >= sizeof ret->label))
        return HX_E_INVALID;
    ret->kind = spec->kind;
    ret->type = spec->type;
    ret->bits = spec->bits;
    ret->usage = spec->usage;
    ret->flags = spec->flags & HX_EXTRACTABLE;
    if (spec->label)
        strcpy(ret->label, spec->label);
    if (spec->id.len)
        memcpy(ret->id, spec->id.data, spec->id.len);
    ret->id_len = spec->id.len;
    return 0;
}

static int add_and_tell(unsigned token, const struct fake_object *object, struct hx_out *ref)
{
    int place = control->add(token, object);
    if (place < 0)
        return HX_E_FULL;
    return hx_put(ref, &control->token[token].object[place].uid, sizeof object->uid);
}

int fake_generate(void *token, const struct hx_spec *spec, struct hx_out *ref)
{
    struct handle *handle = token;
    struct fake_object object = { 0 };
    int result = enter(FAKE_GENERATE, handle);
    if (!result && spec->kind != HX_PRIVATE_KEY)
        result = HX_E_UNSUPPORTED;
    if (!result)
        result = from_spec(spec, &object);
    if (!result)
        result = clear_name(handle->token, spec);
    if (!result) {
        /* Any number that no test uses, and that no two objects share. */
        object.key = 100000 + control->next_uid;
        result = add_and_tell(handle->token, &object, ref);
    }
    leave(handle);
    return result;
}

static int take_content(struct fake_object *object, const struct hx_spec *spec, const struct hx_buf *part, size_t parts)
{
    if (spec->kind == HX_PRIVATE_KEY) {
        EVP_PKEY *key;
        int result = pair_import(spec, part, parts, &key);
        if (result)
            return result;
        object->key = pair_keep(object->type, object->bits, key);
        EVP_PKEY_free(key);
        return object->key ? 0 : HX_E_FULL;
    }
    if (parts != 1 || part->len > sizeof object->value)
        return HX_E_INVALID;
    memcpy(object->value, part->data, part->len);
    object->value_len = part->len;
    return 0;
}

int fake_import(void *token, const struct hx_spec *spec, const struct hx_buf *part, size_t parts, struct hx_out *ref)
{
    struct handle *handle = token;
    struct fake_object object = { 0 };
    int result = enter(FAKE_IMPORT, handle);
    if (!result)
        result = from_spec(spec, &object);
    if (!result)
        result = take_content(&object, spec, part, parts);
    if (!result)
        result = clear_name(handle->token, spec);
    if (!result)
        result = add_and_tell(handle->token, &object, ref);
    leave(handle);
    return result;
}

int fake_remove(void *token, uint32_t kind, const void *ref, size_t ref_len)
{
    struct handle *handle = token;
    unsigned uid = 0;
    int result = enter(FAKE_REMOVE, handle);
    if (!result && ref_len == sizeof uid)
        memcpy(&uid, ref, sizeof uid);
    struct fake_object *object = find_object(handle->token, uid);
    if (!result && (!object || object->kind != kind))
        result = HX_E_NOT_FOUND;
    if (!result)
        object->uid = 0;
    leave(handle);
    return result;
}
