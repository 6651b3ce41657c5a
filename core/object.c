/* SPDX-License-Identifier: Apache-2.0 */
/* What applications do with objects that are not keys in use: list, read, take away; random numbers and login. */
#include "object.h"

#include "encode.h"
#include "error.h"
#include "key.h"

#include <string.h>

static int each_on_token(struct hx *ctx, struct token *token, const struct address *address, hx_each_fn *fn, void *arg,
                         bool *ret_stop)
{
    AUTO_OBJECTS struct object_list list = { 0 };
    struct hx_object want = { .kind = address->kind };
    int result = object_list(ctx, token, &want, &list);

    for (size_t i = 0; i < list.count && !result; i++) {
        AUTO_BYTES struct hx_bytes name = { 0 };

        if (!address_fits(address, &list.object[i].info))
            continue;
        if (!(result = object_address(ctx, token, &list.object[i], &list, &name)) &&
            (result = fn(arg, (char *)name.data, &list.object[i].info)))
            *ret_stop = true;
    }
    return result;
}

int hx_each(struct hx *ctx, const char *text, hx_each_fn *fn, void *arg)
{
    AUTO_ADDRESS struct address address = { 0 };
    AUTO_TOKEN_SET struct token_set set = { 0 };
    AUTO_BYTES struct hx_bytes reason = { 0 };
    bool stop = false;
    int result, first = HX_OK;

    if (text && strcmp(text, "hsm:") && (result = address_parse(text, &address)))
        return result;
    if (address.credential)
        return hx_error(HX_E_INVALID, "'%s' is a credential: to list a token, write hsm:TOKEN/", text);
    if ((result = object_tokens(ctx, &address, &set)))
        return result;
    for (size_t i = 0; i < set.count && !stop; i++) {
        result = each_on_token(ctx, set.token[i], &address, fn, arg, &stop);
        if (stop)
            return result;
        if (result == HX_E_NOT_FOUND && !ctx->configured && !address.token)
            continue; /* what is not there steps aside */
        if (result && !first) {
            first = result;
            bytes_text(&reason, hx_last_error());
        }
    }
    if (!first && set.problems)
        return hx_error(set.problem[0].result, "%s", set.problem[0].reason);
    return first ? hx_error(first, "%s", reason.data ? (char *)reason.data : "") : HX_OK;
}

struct reading {
    const struct object *object;
    uint32_t part;
    struct sink sink;
    struct hx_bytes spki; /* with spki_wanted: made from the part HX_PUBLIC */
    bool spki_wanted;
    bool wants_pin; /* it was not read yet: the object has a PIN of its own */
};

int object_spki_now(struct token *token, void *object, const struct hx_object *info, struct hx_bytes *ret)
{
    AUTO_SINK struct sink sink;
    int result;

    sink_init(&sink);
    if ((result = token_table(token)->read(object, HX_PUBLIC, &sink.api)))
        return result;
    return encode_spki(info, sink.bytes.data, sink.bytes.len, ret);
}

static int read_loaded(struct token *token, struct reading *reading, const struct hx_object *info, void *object)
{
    bytes_reset(&reading->sink.bytes);
    if (reading->spki_wanted)
        return object_spki_now(token, object, info, &reading->spki);
    return token_table(token)->read(object, reading->part, &reading->sink.api);
}

static int read_step(struct token *token, void *arg)
{
    struct reading *reading = arg;
    AUTO_OBJECT struct object info = { 0 };
    void *object;
    int result = object_load_now(token, reading->object->info.kind, &reading->object->ref, &info, &object);

    if (result)
        return result;
    result = read_loaded(token, reading, &info.info, object);
    token_table(token)->unload(object);
    reading->wants_pin = result == HX_E_LOGIN && info.info.flags & HX_OWN_AUTH && token_table(token)->authorise;
    return reading->wants_pin ? HX_OK : result;
}

static int read_step_with_pin(struct token *token, void *arg, const void *pin, size_t len)
{
    struct reading *reading = arg;
    AUTO_OBJECT struct object info = { 0 };
    void *object;
    int result = object_load_now(token, reading->object->info.kind, &reading->object->ref, &info, &object);

    if (result)
        return result;
    result = token_table(token)->authorise(object, pin, len);
    if (!result)
        result = read_loaded(token, reading, &info.info, object);
    token_table(token)->unload(object);
    return result;
}

int object_spki(struct hx *ctx, struct token *token, const struct object *object, struct hx_bytes *ret)
{
    struct reading reading = { .object = object, .spki_wanted = true };
    int result = token_call(ctx, token, read_step, &reading, 0);

    if (result)
        return result;
    bytes_move(ret, &reading.spki);
    return HX_OK;
}

int object_read(struct hx *ctx, struct token *token, const struct object *object, uint32_t part, struct hx_bytes *ret)
{
    struct reading reading = { .object = object, .part = part };
    int result;

    sink_init(&reading.sink);
    result = token_call(ctx, token, read_step, &reading, 0);
    if (!result && reading.wants_pin)
        result = token_authorised(ctx, token, &object->ref, read_step_with_pin, &reading, NULL);
    if (result) {
        sink_free(&reading.sink);
        return hx_error_in(result, "token '%s': read", token_name(token));
    }
    bytes_move(ret, &reading.sink.bytes);
    return HX_OK;
}

int hx_read(struct hx *ctx, const char *address, uint32_t part, struct hx_bytes *ret)
{
    AUTO_TOKEN struct token *token = NULL;
    AUTO_OBJECT struct object object = { 0 };
    int result = object_find(ctx, address, 0, &token, &object);

    return result ? result : object_read(ctx, token, &object, part, ret);
}

static int remove_step(struct token *token, void *arg)
{
    const struct object *object = arg;

    return token_table(token)->remove(token->handle, object->info.kind, object->ref.data, object->ref.len);
}

int hx_remove(struct hx *ctx, const char *address)
{
    AUTO_TOKEN struct token *token = NULL;
    AUTO_OBJECT struct object object = { 0 };
    AUTO_ADDRESS struct address parsed = { 0 };
    int result;

    if ((result = address_parse(address, &parsed)))
        return result;
    if (!parsed.label && !parsed.has_id)
        return hx_error(HX_E_INVALID, "to remove an object, name it by its label or id");
    if ((result = object_find(ctx, address, 0, &token, &object)))
        return result;
    if (!token_table(token)->remove)
        return hx_error(HX_E_UNSUPPORTED, "token '%s': plugin '%s' cannot remove", token_name(token),
                        token_table(token)->name);
    result = token_call(ctx, token, remove_step, &object, TOKEN_ONCE);
    return result ? hx_error_in(result, "token '%s': remove", token_name(token)) : HX_OK;
}

struct filling {
    void *buf;
    size_t len;
};

static int random_step(struct token *token, void *arg)
{
    const struct filling *filling = arg;

    return token_table(token)->random(token->handle, filling->buf, filling->len);
}

static bool can_random(const struct hx_plugin *table)
{
    return table->random;
}

int hx_random(struct hx *ctx, const char *name, void *buf, size_t len)
{
    AUTO_TOKEN struct token *token = NULL;
    struct filling filling = { buf, len };
    int result = context_token_that(ctx, name, can_random, &token);

    if (result)
        return result;
    if (!token_table(token)->random)
        return hx_error(HX_E_UNSUPPORTED, "token '%s': plugin '%s' has no random", token_name(token),
                        token_table(token)->name);
    result = len ? token_call(ctx, token, random_step, &filling, 0) : HX_OK;
    return result ? hx_error_in(result, "token '%s': random", token_name(token)) : HX_OK;
}

int hx_inside(void)
{
    return plugin_inside();
}

static bool can_login(const struct hx_plugin *table)
{
    return table->login;
}

int hx_login(struct hx *ctx, const char *name, const void *pin, size_t len)
{
    AUTO_TOKEN struct token *token = NULL;
    int result = context_token_that(ctx, name, can_login, &token);

    return result ? result : token_login_now(ctx, token, pin, len);
}
