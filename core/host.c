/* SPDX-License-Identifier: Apache-2.0 */
/* What the core gives a plugin for one token: its options, a way to say why it failed, a log. */
#include "host.h"

#include "bytes.h"
#include "error.h"
#include "log.h"
#include "pinfile.h"
#include "secret.h"
#include "trust.h"

#include <dlfcn.h>
#include <string.h>

static const struct host *host_of(const struct hx_host *api)
{
    return (const struct host *)(const void *)api;
}

struct option_value *host_value(const struct host *host, const char *name)
{
    for (size_t i = 0; i < host->count; i++)
        if (!strcmp(host->values[i].option->name, name))
            return &host->values[i];
    return NULL;
}

static const char *tell_option(const struct hx_host *api, const char *name)
{
    const struct option_value *value = name ? host_value(host_of(api), name) : NULL;

    if (!value)
        return NULL;
    if (!strcmp(name, "pin")) /* only the core decides when a PIN is sent */
        return value->value || value->file || value->credential ? "" : NULL;
    return value->value;
}

static int HX_PRINTF(3, 4) take_fail(const struct hx_host *api, int result, const char *fmt, ...)
{
    va_list args;

    (void)api;
    va_start(args, fmt);
    hx_verror(result, fmt, args);
    va_end(args);
    return result;
}

static void HX_PRINTF(3, 4) take_log(const struct hx_host *api, int priority, const char *fmt, ...)
{
    char text[768];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    hx_log(priority, "token '%s': %s", host_of(api)->name, text);
}

void host_free(struct host *host)
{
    if (!host)
        return;
    for (size_t i = 0; i < host->count; i++) {
        wipe_string(&host->values[i].value);
        free(host->values[i].file);
        free(host->values[i].credential);
    }
    free(host->values);
    free(host->name);
    free(host);
}

static int allocate(struct plugin *plugin, const char *name, struct host **ret)
{
    struct host *host = calloc(1, sizeof *host);
    size_t count = 0;

    while (plugin->table.options && plugin->table.options[count].name)
        count++;
    if (!host || !(host->name = string_copy(name)) || !(host->values = calloc(count + 1, sizeof *host->values))) {
        host_free(host);
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    host->api = (struct hx_host){ HX_ABI, sizeof host->api, tell_option, take_fail, take_log };
    host->plugin = plugin;
    host->count = count;
    for (size_t i = 0; i < count; i++)
        host->values[i].option = &plugin->table.options[i];
    *ret = host;
    return HX_OK;
}

/* Where does the setting go: NAME, or for a secret NAME-file or NAME-credential?  NULL: no such option. */
static char **place(struct host *host, const char *name)
{
    for (size_t i = 0; i < host->count; i++) {
        struct option_value *value = &host->values[i];
        size_t len = strlen(value->option->name);

        if (strncmp(name, value->option->name, len))
            continue;
        if (!name[len])
            return &value->value;
        if (!(value->option->flags & HX_SECRET))
            continue;
        if (!strcmp(name + len, "-file"))
            return &value->file;
        if (!strcmp(name + len, "-credential"))
            return &value->credential;
    }
    return NULL;
}

static int set(struct host *host, const struct config *config, const struct setting *setting)
{
    const struct hx_option *option = plugin_option(host->plugin, setting->name);
    char **to = place(host, setting->name);

    if (!to)
        return config_error(config, setting->line, "plugin '%s' has no option '%s'", host->plugin->table.name,
                            setting->name);
    if (option && option->flags & HX_SECRET && config->readable_by_others)
        return config_error(config, setting->line, "holds the secret '%s' and others can read it: chmod o-r '%s'",
                            setting->name, config->path);
    /* The plugin is told the real path: who owns a symbolic link's directory could turn it after the check. */
    if (option && option->flags & HX_LIBRARY)
        return trust_library(setting->value, to)
                   ? config_error(config, setting->line, "%s: %s", setting->name, hx_last_error())
                   : HX_OK;
    if (!(*to = string_copy(setting->value)))
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    return HX_OK;
}

static int sources(const struct option_value *value)
{
    return !!value->value + !!value->file + !!value->credential;
}

/* Secrets but the PIN, which is fetched when it is needed, are read now. */
static int fetch(const struct config *config, const struct section *section, struct option_value *value)
{
    AUTO_BYTES struct hx_bytes secret = { 0 };
    int result;

    if (!strcmp(value->option->name, "pin"))
        return HX_OK;
    result = value->file ? pinfile_read(value->file, "file", &secret) : secret_credential(value->credential, &secret);
    if (result)
        return config_error(config, section->line, "%s", hx_last_error());
    value->value = (char *)secret.data;
    secret.data = NULL;
    return HX_OK;
}

static int complete(struct host *host, const struct config *config, const struct section *section)
{
    for (size_t i = 0; i < host->count; i++) {
        struct option_value *value = &host->values[i];
        const char *name = value->option->name;

        if (sources(value) > 1)
            return config_error(config, section->line, "[token %s] has more than one of %s, %s-file, %s-credential",
                                section->name, name, name, name);
        if (value->file || value->credential) {
            int result = fetch(config, section, value);

            if (result)
                return result;
        }
        if (sources(value))
            continue;
        if (section && value->option->flags & HX_REQUIRED)
            return config_error(config, section->line, "[token %s] lacks '%s' (%s)", section->name, name,
                                value->option->help ? value->option->help : "required");
        if (value->option->preset && !(value->value = string_copy(value->option->preset)))
            return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    return HX_OK;
}

int host_new(struct plugin *plugin, const char *name, const struct config *config, const struct section *section,
             struct host **ret)
{
    struct host *host = NULL;
    int result = allocate(plugin, name, &host);

    for (const struct setting *s = section ? section->settings : NULL; s && !result; s = s->next)
        if (strcmp(s->name, "plugin") && strcmp(s->name, "open"))
            result = set(host, config, s);
    if (!result)
        result = complete(host, config, section);
    if (result) {
        host_free(host);
        return result;
    }
    *ret = host;
    return HX_OK;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

bool host_same(const struct host *a, const struct host *b)
{
    if (a->plugin != b->plugin)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct option_value *x = &a->values[i], *y = &b->values[i];

        if (!same_text(x->value, y->value) || !same_text(x->file, y->file) || !same_text(x->credential, y->credential))
            return false;
    }
    return true;
}

void host_preload(const struct host *host)
{
    for (size_t i = 0; i < host->count; i++)
        if (host->values[i].option->flags & HX_LIBRARY && host->values[i].value &&
            !dlopen(host->values[i].value, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
            hx_log(LOG_INFO, "token '%s': %s", host->name, dlerror());
}
