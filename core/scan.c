/* SPDX-License-Identifier: Apache-2.0 */
/* What tokens tell of themselves: copies of struct hx_token_info that outlive the plugin's call. */
#include "scan.h"

#include "bytes.h"
#include "error.h"

#include <string.h>

struct collector {
    struct hx_tokens api; /* first */
    struct token_list list;
};

static void facts_free(struct token_facts *facts)
{
    free(facts->label);
    free(facts->serial);
    free(facts->manufacturer);
    free(facts->model);
}

void token_list_free(struct token_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        facts_free(&list->token[i]);
    free(list->token);
    *list = (struct token_list){ 0 };
}

static int copy(char **ret, const char *text)
{
    if (text && !(*ret = string_copy(text)))
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    return HX_OK;
}

static int add(struct hx_tokens *api, const struct hx_token_info *theirs, size_t size)
{
    struct token_list *list = &((struct collector *)(void *)api)->list;
    struct hx_token_info info = { 0 };
    struct token_facts *grown = realloc(list->token, (list->count + 1) * sizeof *grown), *made;
    int result;

    if (!grown)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    list->token = grown;
    memcpy(&info, theirs, size < sizeof info ? size : sizeof info);
    made = &grown[list->count];
    *made = (struct token_facts){ .flags = info.flags };
    if ((result = copy(&made->label, info.label)) || (result = copy(&made->serial, info.serial)) ||
        (result = copy(&made->manufacturer, info.manufacturer)) || (result = copy(&made->model, info.model))) {
        facts_free(made);
        return result;
    }
    list->count++;
    return HX_OK;
}

static int finish(struct collector *collector, int result, struct token_list *ret)
{
    if (result)
        token_list_free(&collector->list);
    else
        *ret = collector->list;
    return result;
}

int scan_host(struct host *host, struct token_list *ret)
{
    struct collector collector = { .api = { add } };
    int result;

    hx_error_clear();
    plugin_enter(host->plugin);
    result = host->plugin->table.scan(&host->api, &collector.api);
    plugin_leave(host->plugin);
    if (result)
        hx_error_in(result, "plugin '%s': scan", host->plugin->table.name);
    return finish(&collector, result, ret);
}

int scan_open_token(struct plugin *plugin, void *handle, struct token_list *ret)
{
    struct collector collector = { .api = { add } };
    int result = HX_OK;

    if (plugin->table.describe)
        result = plugin->table.describe(handle, &collector.api);
    return finish(&collector, result, ret);
}
