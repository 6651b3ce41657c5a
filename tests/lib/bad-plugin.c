/* SPDX-License-Identifier: Apache-2.0 */
/* Plugins with one fault or peculiarity each, chosen by -DBAD_...; the loader has to take or refuse them. */
#include <hsmux/plugin.h>

#ifndef BAD_ABI
#define BAD_ABI HX_ABI
#endif
#ifndef BAD_SIZE
#define BAD_SIZE sizeof(struct hx_plugin)
#endif
#if defined BAD_NAMELESS
#define NAME NULL
#elif defined BAD_ALIAS /* not the file's name */
#define NAME "other"
#else
#define NAME BAD_NAME
#endif

static int no_open(const struct hx_host *host, const char *serial, void **token)
{
    (void)serial;
    (void)token;
    return hx_fail(host, HX_E_NOT_FOUND, "this plugin never has a device");
}

static void no_close(void *token)
{
    (void)token;
}

static int no_list(void *token, struct hx_list *list)
{
    (void)token;
    (void)list;
    return 0;
}

static int no_load(void *token, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info, void **object)
{
    (void)token;
    (void)kind;
    (void)ref;
    (void)ref_len;
    (void)info;
    (void)object;
    return HX_E_NOT_FOUND;
}

#ifndef BAD_NO_READ
static int no_read(void *object, uint32_t part, struct hx_out *out)
{
    (void)object;
    (void)part;
    (void)out;
    return HX_E_UNSUPPORTED;
}
#endif

static void crash(void)
{
    __builtin_trap();
}

/* What a later minor version could look like: the table of today and callbacks that this core does not know. */
struct bigger {
    struct hx_plugin today;
    void (*unknown[4])(void);
};

static const struct bigger table = {
    .today = { .abi = BAD_ABI,
               .struct_size = BAD_SIZE,
               .name = NAME,
               .version = "1.0",
               .summary = "a plugin for the loader's tests",
               .open = no_open,
               .close = no_close,
               .list = no_list,
               .load = no_load,
               .unload = no_close,
#ifndef BAD_NO_READ
               .read = no_read,
#endif
               /* In an older table this lies beyond its end: calling it is a mistake. */
               .forked = crash },
    .unknown = { crash, crash, crash, crash },
};

#ifdef BAD_NO_ENTRY
#define ENTRY hx_plugin_v9
#else
#define ENTRY hx_plugin_v1
#endif
HX_EXTERN __attribute__((visibility("default"))) const struct hx_plugin *ENTRY(void);
const struct hx_plugin *ENTRY(void)
{
    const struct hx_plugin *answer = &table.today;
#ifdef BAD_NULL
    answer = NULL;
#endif
    return answer;
}
