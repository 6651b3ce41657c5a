/* SPDX-License-Identifier: Apache-2.0 */
/* The test host: see plugin-host.h. */
#include "plugin-host.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static char *copy_string(const char *s)
{
    return s ? must(strdup(s)) : NULL;
}

static void *copy_bytes(const void *data, size_t len)
{
    void *p = must(malloc(len + 1));
    if (len)
        memcpy(p, data, len);
    ((char *)p)[len] = 0;
    return p;
}

static const char *host_option(const struct hx_host *host, const char *name)
{
    const struct plugin_host *self = (const struct plugin_host *)host;
    for (size_t i = 0; i < PLUGIN_HOST_OPTIONS; i++)
        if (self->name[i] && !strcmp(self->name[i], name))
            return self->value[i];
    return NULL;
}

/* The host that a plugin sees is const; ours was not declared so, which makes the cast sound. */
static struct plugin_host *writable(const struct hx_host *host)
{
    return (struct plugin_host *)(uintptr_t)host;
}

static int host_fail(const struct hx_host *, int result, const char *fmt, ...) HX_PRINTF(3, 4);
static void host_log(const struct hx_host *, int priority, const char *fmt, ...) HX_PRINTF(3, 4);

static int host_fail(const struct hx_host *host, int result, const char *fmt, ...)
{
    struct plugin_host *self = writable(host);
    va_list args;
    va_start(args, fmt);
    pthread_mutex_lock(&lock);
    vsnprintf(self->reason, sizeof self->reason, fmt, args);
    pthread_mutex_unlock(&lock);
    va_end(args);
    return result;
}

static void host_log(const struct hx_host *host, int priority, const char *fmt, ...)
{
    struct plugin_host *self = writable(host);
    char text[1024], line[1100];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    int len = snprintf(line, sizeof line, "<%d>%s\n", priority, text);
    pthread_mutex_lock(&lock);
    size_t used = strlen(self->log), room = sizeof self->log - 1;
    if (used + (size_t)len > room) {
        size_t gone = used + (size_t)len - room;
        memmove(self->log, self->log + gone, used - gone + 1);
        used -= gone;
    }
    memcpy(self->log + used, line, (size_t)len + 1);
    pthread_mutex_unlock(&lock);
}

void plugin_host_init(struct plugin_host *self)
{
    memset(self, 0, sizeof *self);
    self->host = (struct hx_host){
        .abi = HX_ABI, .struct_size = sizeof self->host, .option = host_option, .fail = host_fail, .log = host_log
    };
}

void plugin_host_free(struct plugin_host *self)
{
    for (size_t i = 0; i < PLUGIN_HOST_OPTIONS; i++) {
        free(self->name[i]);
        free(self->value[i]);
    }
    memset(self, 0, sizeof *self);
}

void plugin_host_set(struct plugin_host *self, const char *name, const char *value)
{
    size_t at = PLUGIN_HOST_OPTIONS;
    for (size_t i = PLUGIN_HOST_OPTIONS; i-- > 0;)
        if (!self->name[i] || !strcmp(self->name[i], name))
            at = i;
    if (at == PLUGIN_HOST_OPTIONS)
        abort();
    free(self->value[at]);
    self->value[at] = copy_string(value);
    if (!self->name[at])
        self->name[at] = copy_string(name);
}

void plugin_host_clear(struct plugin_host *self)
{
    self->reason[0] = self->log[0] = 0;
}

bool plugin_host_said(const struct plugin_host *self, const char *text)
{
    return strstr(self->reason, text) != NULL;
}

bool plugin_host_logged(const struct plugin_host *self, const char *text)
{
    return strstr(self->log, text) != NULL;
}

static int bytes_put(struct hx_out *out, const void *data, size_t len)
{
    struct plugin_bytes *self = (struct plugin_bytes *)out;
    if (self->result)
        return self->result;
    unsigned char *joined = must(malloc(self->len + len + 1));
    if (self->len)
        memcpy(joined, self->data, self->len);
    if (len)
        memcpy(joined + self->len, data, len);
    size_t total = self->len + len;
    joined[total] = 0;
    plugin_bytes_free(self);
    self->data = joined;
    self->len = total;
    return 0;
}

void plugin_bytes_init(struct plugin_bytes *self)
{
    memset(self, 0, sizeof *self);
    self->out.put = bytes_put;
}

void plugin_bytes_free(struct plugin_bytes *self)
{
    if (self->data)
        explicit_bzero(self->data, self->len);
    free(self->data);
    self->data = NULL;
    self->len = 0;
}

/* Takes what the plugin's struct has and ours knows; the rest stays zero. */
static void copy_known(void *to, size_t to_size, const void *from, size_t from_size)
{
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
}

static int objects_add(struct hx_list *list, const struct hx_object *object, size_t size)
{
    struct plugin_objects *self = (struct plugin_objects *)list;
    if (self->result)
        return self->result;
    self->object = must(reallocarray(self->object, self->count + 1, sizeof *self->object));
    struct hx_object *copy = &self->object[self->count++];
    copy_known(copy, sizeof *copy, object, size);
    copy->label = copy_string(copy->label);
    copy->id.data = copy_bytes(copy->id.data, copy->id.len);
    copy->ref.data = copy_bytes(copy->ref.data, copy->ref.len);
    return 0;
}

void plugin_objects_init(struct plugin_objects *self, const struct hx_object *want)
{
    memset(self, 0, sizeof *self);
    self->list = (struct hx_list){ .add = objects_add, .want = want };
}

static void free_const(const void *p)
{
    free((void *)(uintptr_t)p);
}

void plugin_objects_free(struct plugin_objects *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free_const(self->object[i].label);
        free_const(self->object[i].id.data);
        free_const(self->object[i].ref.data);
    }
    free(self->object);
    plugin_objects_init(self, NULL);
}

const struct hx_object *plugin_objects_find(const struct plugin_objects *self, uint32_t kind, const char *label)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct hx_object *object = &self->object[i];
        if ((!kind || object->kind == kind) && object->label && !strcmp(object->label, label))
            return object;
    }
    return NULL;
}

static int tokens_add(struct hx_tokens *tokens, const struct hx_token_info *info, size_t size)
{
    struct plugin_tokens *self = (struct plugin_tokens *)tokens;
    if (self->result)
        return self->result;
    self->info = must(reallocarray(self->info, self->count + 1, sizeof *self->info));
    struct hx_token_info *copy = &self->info[self->count++];
    copy_known(copy, sizeof *copy, info, size);
    copy->label = copy_string(copy->label);
    copy->serial = copy_string(copy->serial);
    copy->manufacturer = copy_string(copy->manufacturer);
    copy->model = copy_string(copy->model);
    return 0;
}

void plugin_tokens_init(struct plugin_tokens *self)
{
    memset(self, 0, sizeof *self);
    self->tokens.add = tokens_add;
}

void plugin_tokens_free(struct plugin_tokens *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free_const(self->info[i].label);
        free_const(self->info[i].serial);
        free_const(self->info[i].manufacturer);
        free_const(self->info[i].model);
    }
    free(self->info);
    plugin_tokens_init(self);
}
