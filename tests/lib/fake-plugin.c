/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that does what a test tells it (fake-plugin.h): it loses its device, refuses PINs, counts calls, is slow,
 * holds several tokens, and writes down where the core breaks the plugin contract. */
#include "fake.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FAKE_NAME
#define FAKE_NAME "fake"
#endif

static struct handle *handles;
static struct loaded *loads;
static pthread_mutex_t lists_lock = PTHREAD_MUTEX_INITIALIZER;

static bool token_chosen(const struct hx_host *host, unsigned i, const char *serial)
{
    const char *label = host->option(host, "label");
    const char *wanted = serial ? serial : host->option(host, "serial");
    const char *count = host->option(host, "tokens");
    if (i >= control->tokens || (count && i >= (unsigned)atoi(count)))
        return false;
    return (!label || !strcmp(label, control->token[i].label)) &&
           (!wanted || !strcmp(wanted, control->token[i].serial));
}

static uint32_t token_flags(const struct fake_token *token)
{
    uint32_t flags = token->flags;
    if (!token->tries || token->no_flags)
        return flags;
    if (token->tries_left < token->tries)
        flags |= HX_PIN_LOW;
    if (token->tries_left == 1)
        flags |= HX_PIN_FINAL;
    if (token->tries_left == 0)
        flags |= HX_PIN_LOCKED;
    return flags;
}

static int tell_token(const struct fake_token *token, struct hx_tokens *list)
{
    struct hx_token_info info = { .flags = token_flags(token),
                                  .label = token->label,
                                  .serial = token->serial,
                                  .manufacturer = "hsmux",
                                  .model = "fake" };
    return hx_add(list, &info);
}

static int fake_scan(const struct hx_host *host, struct hx_tokens *list)
{
    int result = enter(FAKE_SCAN, NULL);
    for (unsigned i = 0; i < FAKE_TOKENS && !result; i++) {
        if (token_chosen(host, i, NULL) && !control->token[i].absent)
            result = tell_token(&control->token[i], list);
    }
    leave(NULL);
    return result;
}

static int open_one(const struct hx_host *host, const char *serial, void **ret)
{
    unsigned found = FAKE_TOKENS;
    for (unsigned i = 0; i < FAKE_TOKENS; i++) {
        if (!token_chosen(host, i, serial))
            continue;
        if (found != FAKE_TOKENS)
            return hx_fail(host, HX_E_AMBIGUOUS, "more than one token fits: '%s', '%s'", control->token[found].serial,
                           control->token[i].serial);
        found = i;
    }
    if (found == FAKE_TOKENS)
        return hx_fail(host, HX_E_NOT_FOUND, "no such token");
    const struct fake_token *token = &control->token[found];
    if (token->absent)
        return hx_fail(host, token->absent_result ? token->absent_result : HX_E_NOT_FOUND, "token '%s' is absent",
                       token->label);
    struct handle *handle = calloc(1, sizeof *handle);
    if (!handle)
        return HX_E_NO_MEMORY;
    handle->token = found;
    handle->generation = token->generation;
    handle->pid = getpid();
    pthread_mutex_lock(&lists_lock);
    handle->next = handles;
    handles = handle;
    pthread_mutex_unlock(&lists_lock);
    control->open_handles++;
    *ret = handle;
    return 0;
}

static int fake_open(const struct hx_host *host, const char *serial, void **ret)
{
    int result = enter(FAKE_OPEN, NULL);
    if (result)
        result = hx_fail(host, result, "open fails as scripted");
    else
        result = open_one(host, serial, ret);
    leave(NULL);
    return result;
}

static void fake_close(void *token)
{
    struct handle *handle = token;
    enter(FAKE_CLOSE, handle);
    if (handle->loaded > 0)
        breach(FAKE_CLOSE, "before every object was unloaded");
    handle->closed = true;
    control->open_handles--;
    leave(handle);
}

static int fake_describe(void *token, struct hx_tokens *list)
{
    struct handle *handle = token;
    int result = enter(FAKE_DESCRIBE, handle);
    if (!result)
        result = tell_token(&control->token[handle->token], list);
    leave(handle);
    return result;
}

static int tell_object(const struct fake_object *object, struct hx_list *list)
{
    struct hx_object info = { .kind = object->kind,
                              .type = object->type,
                              .bits = object->bits,
                              .usage = object->usage,
                              .flags = object->flags,
                              .scheme = object->scheme,
                              .hash = object->hash,
                              .label = object->label,
                              .id = { object->id, object->id_len },
                              .ref = { &object->uid, sizeof object->uid } };
    if (object->type == HX_RSA)
        info.rsa_e = 65537;
    return hx_add(list, &info);
}

static bool wanted(const struct fake_object *object, const struct hx_object *want)
{
    if (!want || control->ignore_want)
        return true;
    return (!want->kind || want->kind == object->kind) && (!want->label || !strcmp(want->label, object->label)) &&
           (!want->id.len || (want->id.len == object->id_len && !memcmp(want->id.data, object->id, object->id_len)));
}

static int fake_list(void *token, struct hx_list *list)
{
    struct handle *handle = token;
    int result = enter(FAKE_LIST, handle);
    for (int i = 0; i < FAKE_OBJECTS && !result; i++) {
        struct fake_object object = control->token[handle->token].object[i];
        if (!object.uid || (object.hidden && !handle->logged_in) || !wanted(&object, list->want))
            continue;
        control->listed++;
        result = tell_object(&object, list);
    }
    leave(handle);
    return result;
}

static int load_one(struct handle *handle, uint32_t kind, unsigned uid, struct hx_list *info, void **ret)
{
    const struct fake_object *object = find_object(handle->token, uid);
    if (!object || object->kind != kind || (object->hidden && !handle->logged_in))
        return object && object->hidden ? HX_E_LOGIN : HX_E_NOT_FOUND;
    if (object->locked && !handle->logged_in)
        return HX_E_LOGIN;
    int result = tell_object(object, info);
    if (result)
        return result;
    struct loaded *loaded = calloc(1, sizeof *loaded);
    if (!loaded)
        return HX_E_NO_MEMORY;
    loaded->handle = handle;
    loaded->uid = uid;
    loaded->pid = getpid();
    pthread_mutex_lock(&lists_lock);
    loaded->next = loads;
    loads = loaded;
    pthread_mutex_unlock(&lists_lock);
    handle->loaded++;
    control->loaded_objects++;
    *ret = loaded;
    return 0;
}

static int fake_load(void *token, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info, void **ret)
{
    struct handle *handle = token;
    unsigned uid = 0;
    int result = enter(FAKE_LOAD, handle);
    if (!result && ref_len != sizeof uid)
        result = HX_E_NOT_FOUND;
    if (!result) {
        memcpy(&uid, ref, sizeof uid);
        result = load_one(handle, kind, uid, info, ret);
    }
    leave(handle);
    return result;
}

static void fake_unload(void *object)
{
    struct loaded *loaded = object;
    enter(FAKE_UNLOAD, loaded->handle);
    if (loaded->unloaded)
        breach(FAKE_UNLOAD, "twice");
    loaded->unloaded = true;
    loaded->handle->loaded--;
    control->loaded_objects--;
    leave(loaded->handle);
}

/* What sign, read and the like start with; always followed by leave(). */
static int enter_object(enum fake_call call, struct loaded *loaded, struct fake_object *ret)
{
    int result = enter(call, loaded->handle);
    if (loaded->unloaded)
        breach(call, "on an unloaded object");
    if (loaded->pid != getpid())
        breach(call, "on an object that another process loaded");
    if (result)
        return result;
    const struct fake_object *object = find_object(loaded->handle->token, loaded->uid);
    if (!object)
        return HX_E_LOST;
    *ret = *object;
    return 0;
}

static int fake_read(void *object, uint32_t part, struct hx_out *out)
{
    struct loaded *loaded = object;
    struct fake_object found;
    unsigned char public[600];
    size_t len;
    int result = enter_object(FAKE_READ, loaded, &found);
    if (!result && part == HX_VALUE && found.flags & HX_OWN_AUTH)
        result = own_may_use(loaded, &found);
    if (result) {
        leave(loaded->handle);
        return result;
    }
    if (part == HX_PUBLIC && found.kind != HX_CERTIFICATE && found.kind != HX_DATA && found.type != HX_GENERIC) {
        result = found.public_unreadable ? HX_E_UNSUPPORTED : pair_public(&found, public, sizeof public, &len);
        if (!result)
            result = hx_put(out, public, len);
    } else if (part == HX_VALUE && (found.kind == HX_CERTIFICATE || found.kind == HX_DATA ||
                                    (found.kind == HX_SECRET_KEY && found.flags & HX_EXTRACTABLE))) {
        result = hx_put(out, found.value, found.value_len);
    } else {
        result = HX_E_UNSUPPORTED;
    }
    leave(loaded->handle);
    return result;
}

static int try_pin(struct handle *handle, const void *pin, size_t len)
{
    struct fake_token *token = &control->token[handle->token];
    if (token->tries && !token->tries_left)
        return HX_E_LOCKED;
    if (!pin && token->flags & HX_PIN_EMPTY)
        pin = "";
    if (!pin && !(token->flags & HX_PINPAD))
        return HX_E_INVALID;
    snprintf(token->last_pin, sizeof token->last_pin, "%.*s", pin ? (int)len : 0, pin ? (const char *)pin : "");
    if (pin && token->pin[0] && (len != strlen(token->pin) || memcmp(pin, token->pin, len))) {
        if (token->tries)
            token->tries_left--;
        return HX_E_PIN;
    }
    token->tries_left = token->tries;
    handle->logged_in = handle->just_logged_in = true;
    return 0;
}

static int fake_login(void *token, const void *pin, size_t len)
{
    struct handle *handle = token;
    int result = enter(FAKE_LOGIN, handle);
    if (!result) {
        pthread_mutex_lock(&control->lock);
        result = try_pin(handle, pin, len);
        pthread_mutex_unlock(&control->lock);
    }
    leave(handle);
    return result;
}

static int fake_authorise(void *object, const void *pin, size_t len)
{
    struct loaded *loaded = object;
    const struct fake_object *found = find_object(loaded->handle->token, loaded->uid);
    return found && found->flags & HX_OWN_AUTH ? own_authorise(loaded, pin, len) : fake_login(loaded->handle, pin, len);
}

static int may_use(struct loaded *loaded, const struct fake_object *object)
{
    struct handle *handle = loaded->handle;
    if (object->flags & HX_OWN_AUTH)
        return own_may_use(loaded, object);
    if (object->flags & HX_ALWAYS_AUTH) {
        bool good = handle->just_logged_in;
        handle->just_logged_in = false;
        return good ? 0 : HX_E_LOGIN;
    }
    return (object->locked || object->hidden) && !handle->logged_in ? HX_E_LOGIN : 0;
}

static int use(enum fake_call call, void *object, const struct hx_alg *alg, const void *in, size_t in_len,
               struct hx_out *out)
{
    struct loaded *loaded = object;
    struct fake_object found;
    unsigned char buffer[1024];
    size_t len = sizeof buffer;
    int result = enter_object(call, loaded, &found);
    for (int i = 0; i < 4 && !result; i++)
        result = alg->spare[i] ? HX_E_UNSUPPORTED : 0;
    if (!result)
        result = may_use(loaded, &found);
    if (!result && call == FAKE_SIGN)
        result = crypt_sign(&found, alg, in, in_len, buffer, &len);
    else if (!result && call == FAKE_DECRYPT)
        result = crypt_decrypt(&found, alg, in, in_len, buffer, &len);
    else if (!result)
        result = crypt_derive(&found, in, in_len, buffer, &len);
    if (!result && control->long_results)
        buffer[len++] = 0;
    if (!result)
        result = hx_put(out, buffer, len);
    explicit_bzero(buffer, sizeof buffer);
    leave(loaded->handle);
    return result;
}

static int fake_sign(void *object, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_out *out)
{
    return use(FAKE_SIGN, object, alg, in, in_len, out);
}

static int fake_decrypt(void *object, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_out *out)
{
    return use(FAKE_DECRYPT, object, alg, in, in_len, out);
}

static int fake_derive(void *object, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_out *out)
{
    return use(FAKE_DERIVE, object, alg, in, in_len, out);
}

static int fake_random(void *token, void *buf, size_t len)
{
    int result = enter(FAKE_RANDOM, token);
    if (!result && RAND_bytes_ex(pair_libctx(), buf, len, 0) <= 0)
        result = HX_E_DEVICE;
    leave(token);
    return result;
}

static void fake_forked(void)
{
    pthread_mutex_init(&lists_lock, NULL);
    entered_child();
}

static const struct hx_option options[] = {
    { .name = "tokens", .help = "how many of the script's tokens there are", .preset = NULL, .flags = 0 },
    { .name = "label", .help = "the token's label", .preset = NULL, .flags = 0 },
    { .name = "serial", .help = "the token's serial number", .preset = NULL, .flags = 0 },
    { .name = "pin", .help = "the token's PIN", .preset = NULL, .flags = HX_SECRET },
    { .name = "library", .help = "a vendor library, never used", .preset = NULL, .flags = HX_LIBRARY },
#ifdef FAKE_REQUIRED
    { .name = "must", .help = "an option that has to be there", .preset = NULL, .flags = HX_REQUIRED },
#endif
    { .name = NULL },
};

HX_PLUGIN(.name = FAKE_NAME, .version = "1.0", .summary = "a token that does what a test tells it", .options = options,
          .flags = FAKE_FLAGS, .open = fake_open, .close = fake_close, .list = fake_list, .load = fake_load,
          .unload = fake_unload, .read = fake_read, .scan = fake_scan, .describe = fake_describe, .login = fake_login,
          .forked = fake_forked, .sign = fake_sign, .decrypt = fake_decrypt, .derive = fake_derive,
          .random = fake_random, .generate = fake_generate, .import = fake_import, .remove = fake_remove,
          .initialise = fake_initialise, .authorise = fake_authorise)
