/* SPDX-License-Identifier: Apache-2.0 */
/* Find objects on tokens, by what an address says, and name what was found. */
#include "encode.h"
#include "error.h"
#include "object.h"

#include <string.h>

struct collector {
    struct hx_list api; /* first */
    struct object_list list;
};

void object_free(struct object *object)
{
    free(object->label);
    hx_bytes_free(&object->id);
    hx_bytes_free(&object->ref);
    *object = (struct object){ 0 };
}

void object_list_free(struct object_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        object_free(&list->object[i]);
    free(list->object);
    *list = (struct object_list){ 0 };
}

bool object_may_sign(const struct hx_object *info)
{
    return info->kind == HX_PRIVATE_KEY && !(info->flags & HX_RESTRICTED) &&
           (!info->usage || info->usage & (HX_SIGN_DIGEST | HX_SIGN_MESSAGE));
}

int object_copy(struct object *ret, const struct hx_object *info)
{
    struct object made = { .info = *info };
    int result;

    if ((info->label && !(made.label = string_copy(info->label))) ||
        (result = bytes_append(&made.id, info->id.data, info->id.len)) ||
        (result = bytes_append(&made.ref, info->ref.data, info->ref.len))) {
        object_free(&made);
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    made.info.label = made.label;
    made.info.id = (struct hx_buf){ made.id.data, made.id.len };
    made.info.ref = (struct hx_buf){ made.ref.data, made.ref.len };
    *ret = made;
    return HX_OK;
}

static int add(struct hx_list *api, const struct hx_object *theirs, size_t size)
{
    struct object_list *list = &((struct collector *)(void *)api)->list;
    struct object *grown = realloc(list->object, (list->count + 1) * sizeof *grown);
    struct hx_object info = { 0 };
    int result;

    if (!grown)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    list->object = grown;
    memcpy(&info, theirs, size < sizeof info ? size : sizeof info);
    if ((result = object_copy(&grown[list->count], &info)))
        return result;
    list->count++;
    return HX_OK;
}

int object_list_now(struct token *token, const struct hx_object *want, struct object_list *ret)
{
    struct collector collector = { .api = { add, want } };
    int result = token_table(token)->list(token->handle, &collector.api);

    if (result) {
        object_list_free(&collector.list);
        return result;
    }
    *ret = collector.list;
    return HX_OK;
}

int object_load_now(struct token *token, uint32_t kind, const struct hx_bytes *ref, struct object *ret_info,
                    void **ret_object)
{
    AUTO_OBJECTS struct object_list list = { 0 };
    struct collector collector = { .api = { .add = add, .want = NULL } };
    void *object = NULL;
    int result = token_table(token)->load(token->handle, kind, ref->data, ref->len, &collector.api, &object);

    list = collector.list;
    if (result)
        return result;
    if (list.count != 1 || !object) {
        if (object)
            token_table(token)->unload(object);
        return hx_error(HX_E_DEVICE, "plugin '%s' loaded an object without describing it", token_table(token)->name);
    }
    *ret_info = list.object[0];
    list.count = 0;
    *ret_object = object;
    return HX_OK;
}

struct listing {
    const struct hx_object *want;
    struct object_list list;
};

static int list_step(struct token *token, void *arg)
{
    struct listing *listing = arg;

    return object_list_now(token, listing->want, &listing->list);
}

int object_list(struct hx *ctx, struct token *token, const struct hx_object *want, struct object_list *ret)
{
    struct listing listing = { .want = want };
    int result = token_call(ctx, token, list_step, &listing, 0);

    if (result)
        return hx_error_in(result, "token '%s': list", token_name(token));
    *ret = listing.list;
    return HX_OK;
}

static int describe_step(struct token *token, void *arg)
{
    return token_describe(token, arg);
}

static int fits_token(struct hx *ctx, const struct address *address, struct token *token, bool *ret)
{
    AUTO_TOKENS struct token_list facts = { 0 };
    struct hx_token_info info = { 0 };
    int result = token_call(ctx, token, describe_step, &facts, 0);

    if (result)
        return hx_error_in(result, "token '%s'", token_name(token));
    if (facts.count) {
        const struct token_facts *f = &facts.token[0];

        info = (struct hx_token_info){ .flags = f->flags,
                                       .label = f->label,
                                       .serial = f->serial,
                                       .manufacturer = f->manufacturer,
                                       .model = f->model };
    }
    *ret = address_fits_token(address, &info);
    return HX_OK;
}

static int matching_tokens(struct hx *ctx, const struct address *address, struct token_set *set)
{
    size_t kept = 0;
    int result;

    if ((result = context_tokens(ctx, set)))
        return result;
    for (size_t i = 0; i < set->count; i++) {
        bool fits = false;

        if ((result = fits_token(ctx, address, set->token[i], &fits)))
            (void)token_set_problem(set, context_name(ctx, set->token[i]), result);
        if (fits)
            set->token[kept++] = set->token[i];
        else
            token_release(set->token[i]);
    }
    set->count = kept;
    if (kept == 1 && address->pin) /* of several, the wrong ones must not get it: three refusals lock a token */
        token_lend_pin(set->token[0], address->pin, strlen(address->pin));
    return HX_OK;
}

int object_tokens(struct hx *ctx, const struct address *address, struct token_set *ret)
{
    AUTO_TOKEN_SET struct token_set set = { 0 };
    int result;

    if (address->pkcs11)
        result = matching_tokens(ctx, address, &set);
    else if (!address->token)
        result = context_tokens(ctx, &set);
    else if (!(set.token = calloc(1, sizeof *set.token)))
        result = hx_error(HX_E_NO_MEMORY, "out of memory");
    else if (!(result = context_token(ctx, address->token, &set.token[0])))
        set.count = 1;
    if (result)
        return result;
    *ret = set;
    set = (struct token_set){ 0 };
    return HX_OK;
}

int object_address(struct hx *ctx, struct token *token, const struct object *object, const struct object_list *list,
                   struct hx_bytes *ret)
{
    size_t same = 0;

    for (size_t i = 0; list && i < list->count; i++) {
        const struct object *other = &list->object[i];

        same += other->info.kind == object->info.kind && other->label && object->label &&
                !strcmp(other->label, object->label);
    }
    return address_print(context_name(ctx, token), &object->info, same > 1, ret);
}

struct match {
    struct token *token;
    struct object object;
    size_t count;
    struct hx_bytes names;
};

static int take_match(struct hx *ctx, struct match *match, struct token *token, const struct object *object,
                      const struct object_list *list)
{
    AUTO_BYTES struct hx_bytes name = { 0 };
    int result = object_address(ctx, token, object, list, &name);

    if (result || (result = bytes_printf(&match->names, "%s%s", match->count ? ", " : "", (char *)name.data)))
        return result;
    if (match->count++)
        return HX_OK;
    match->token = token_retain(token);
    return object_copy(&match->object, &object->info);
}

static int match_token(struct hx *ctx, const struct address *address, struct token *token, struct match *match)
{
    AUTO_OBJECTS struct object_list list = { 0 };
    struct hx_object want = { .kind = address->kind, .label = address->label };
    int result;

    if (address->has_id)
        want.id = (struct hx_buf){ address->id.data, address->id.len };
    if ((result = object_list(ctx, token, &want, &list)))
        return result;
    for (size_t i = 0; i < list.count && !result; i++)
        if (address_fits(address, &list.object[i].info))
            result = take_match(ctx, match, token, &list.object[i], &list);
    return result;
}

static int conclude(struct hx *ctx, const char *text, const struct token_set *set, const struct match *match)
{
    AUTO_BYTES struct hx_bytes where = { 0 };
    AUTO_BYTES struct hx_bytes name = { 0 };

    address_redact(text, &name);
    if (match->count > 1)
        return hx_error(HX_E_AMBIGUOUS, "'%s' fits more than one object: %s", (char *)name.data,
                        (char *)match->names.data);
    for (size_t i = 0; i < set->count; i++)
        bytes_printf(&where, "%s'%s'", i ? ", " : " on token ", context_name(ctx, set->token[i]));
    for (size_t i = 0; i < set->problems; i++)
        bytes_printf(&where, "; %s", set->problem[i].reason);
    return hx_error(HX_E_NOT_FOUND, "no object '%s'%s", (char *)name.data,
                    where.len ? (char *)where.data : ": no token fits");
}

int object_find(struct hx *ctx, const char *text, uint32_t kind, struct token **ret_token, struct object *ret)
{
    AUTO_ADDRESS struct address address = { 0 };
    AUTO_TOKEN_SET struct token_set set = { 0 };
    struct match match = { 0 };
    int result;

    if ((result = address_parse(text, &address)))
        return result;
    if (address.credential)
        return hx_error(HX_E_INVALID, "'%s' is a credential, not one object: write hsm:TOKEN/KIND/LABEL", text);
    if (!address.kind)
        address.kind = kind;
    if ((result = object_tokens(ctx, &address, &set)))
        return result;
    for (size_t i = 0; i < set.count && !result; i++)
        result = match_token(ctx, &address, set.token[i], &match);
    if (!result && match.count != 1)
        result = conclude(ctx, text, &set, &match);
    hx_bytes_free(&match.names);
    if (result) {
        token_release(match.token);
        object_free(&match.object);
        return result;
    }
    *ret_token = match.token;
    *ret = match.object;
    return HX_OK;
}
