/* SPDX-License-Identifier: Apache-2.0 */
/* With no token configured: which tokens do the installed plugins find on the device, and what are they called? */
#include "context.h"
#include "error.h"
#include "secret.h"

#include <string.h>

struct search {
    struct hx *ctx;
    struct token_set *set;
};

int context_add_found(struct hx *ctx, struct plugin *plugin, const char *name, const char *serial)
{
    AUTO_BYTES struct hx_bytes secret = { 0 };
    AUTO_BYTES struct hx_bytes pin = { 0 };
    struct host *host;
    struct token *token;
    int result;

    if ((result = bytes_printf(&secret, "hsmux.%s", name)) || (result = host_new(plugin, name, NULL, NULL, &host)))
        return result;
    if (!secret_credential((char *)secret.data, &pin) && host_value(host, "pin"))
        host_value(host, "pin")->credential = string_copy((char *)secret.data);
    if ((result = token_get(host, serial, (char *)secret.data, &token)))
        return result;
    return context_add(ctx, name, token);
}

static bool is_plugin_name(const char *name)
{
    struct plugin *plugin;

    return !strpbrk(name, "/.") && !plugin_load(name, &plugin);
}

/* A token is called by its label, unless that is taken or would pass for a plugin's own token. */
static int add_scanned(struct search *search, struct plugin *plugin, const struct token_facts *facts)
{
    const char *name = facts->label;
    bool taken;

    if (facts->flags & HX_TOKEN_BLANK)
        return HX_OK;
    pthread_mutex_lock(&search->ctx->mutex);
    for (struct slot *slot = search->ctx->slots; slot && facts->serial; slot = slot->next)
        if (slot->token->host->plugin == plugin && slot->token->serial && !strcmp(slot->token->serial, facts->serial)) {
            pthread_mutex_unlock(&search->ctx->mutex);
            return HX_OK;
        }
    taken = !name || !*name || context_slot(search->ctx, name);
    pthread_mutex_unlock(&search->ctx->mutex);
    if (taken || is_plugin_name(name))
        name = facts->serial ? facts->serial : plugin->table.name;
    return context_add_found(search->ctx, plugin, name, facts->serial);
}

static int scan_plugin(struct search *search, struct plugin *plugin)
{
    AUTO_TOKENS struct token_list found = { 0 };
    struct host *host;
    int result;

    for (const struct hx_option *o = plugin->table.options; o && o->name; o++)
        if (o->flags & HX_REQUIRED)
            return HX_OK; /* it is for those who configure it */
    if (!plugin->table.scan)
        return context_add_found(search->ctx, plugin, plugin->table.name, NULL);
    if ((result = host_new(plugin, plugin->table.name, NULL, NULL, &host)))
        return result;
    result = scan_host(host, &found);
    host_free(host);
    for (size_t i = 0; i < found.count && !result; i++)
        result = add_scanned(search, plugin, &found.token[i]);
    return result == HX_E_NOT_FOUND ? HX_OK : result;
}

static int search_plugin(void *arg, const char *path, struct plugin *plugin, int result)
{
    struct search *search = arg;
    const char *name = plugin ? plugin->table.name : path;

    if (!result)
        result = scan_plugin(search, plugin);
    return result ? token_set_problem(search->set, name, result) : HX_OK;
}

int context_discover(struct hx *ctx, struct token_set *set)
{
    struct search search = { ctx, set };

    return plugin_each(search_plugin, &search);
}
