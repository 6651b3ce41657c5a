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

static void set_text(char ret[64], const struct hx_buf *text)
{
    snprintf(ret, 64, "%.*s", (int)text->len, text->len ? (const char *)text->data : "");
}

static int make_new(struct fake_token *token, const struct hx_spec *spec, const struct hx_buf *pin)
{
    if (!(token->flags & HX_TOKEN_BLANK) && !(spec->flags & HX_REPLACE))
        return HX_E_EXISTS;
    if (!pin[0].len || !pin[1].len)
        return HX_E_LOGIN;
    set_text(token->last_so_pin, &pin[0]);
    if (token->so_pin[0] && strcmp(token->so_pin, token->last_so_pin))
        return HX_E_PIN;
    set_text(token->pin, &pin[1]);
    snprintf(token->label, sizeof token->label, "%s", spec->label);
    token->flags &= ~(uint32_t)HX_TOKEN_BLANK;
    for (unsigned i = 0; i < FAKE_OBJECTS; i++)
        token->object[i].uid = 0;
    return 0;
}

int fake_initialise(const struct hx_host *host, const char *serial, const struct hx_spec *spec,
                    const struct hx_buf *pin, size_t pins)
{
    int result = enter(FAKE_INITIALISE, NULL);
    (void)host;
    (void)serial;
    if (control->open_handles > 0)
        breach(FAKE_INITIALISE, "while the token is open");
    if (!result && (pins != 2 || !spec->label))
        result = HX_E_INVALID;
    if (!result) {
        pthread_mutex_lock(&control->lock);
        result = make_new(&control->token[0], spec, pin);
        pthread_mutex_unlock(&control->lock);
    }
    leave(NULL);
    return result;
}
