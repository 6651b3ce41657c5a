/* SPDX-License-Identifier: Apache-2.0 */
/* A context: one configuration, and the tokens that it names or, if it names none, that are there. */
#include "context.h"

#include "error.h"
#include "log.h"
#include "login.h"

#include <string.h>

static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct hx *all;

const char *hx_version(void)
{
    return HSMUX_VERSION;
}

static void destroy(struct hx *ctx)
{
    struct slot *slot, *next;
    struct proof *proof, *next_proof;

    for (slot = ctx->slots; slot; slot = next) {
        next = slot->next;
        token_release(slot->token);
        free(slot->name);
        free(slot);
    }
    for (proof = ctx->proofs; proof; proof = next_proof) {
        next_proof = proof->next;
        hx_bytes_free(&proof->ref);
        hx_bytes_free(&proof->spki);
        free(proof);
    }
    config_free(ctx->config);
    free(ctx);
}

struct hx *context_retain(struct hx *ctx)
{
    atomic_fetch_add(&ctx->refs, 1);
    return ctx;
}

void hx_free(struct hx *ctx)
{
    if (!ctx || atomic_fetch_sub(&ctx->refs, 1) != 1)
        return;
    pthread_mutex_lock(&all_mutex);
    for (struct hx **at = &all; *at; at = &(*at)->next)
        if (*at == ctx) {
            *at = ctx->next;
            break;
        }
    pthread_mutex_unlock(&all_mutex);
    destroy(ctx);
}

void token_unref(struct token **token)
{
    token_release(*token);
}

struct slot *context_slot(struct hx *ctx, const char *name)
{
    for (struct slot *slot = ctx->slots; slot; slot = slot->next)
        if (!strcmp(slot->name, name))
            return slot;
    return NULL;
}

const char *context_name(struct hx *ctx, const struct token *token)
{
    const char *name = NULL;

    pthread_mutex_lock(&ctx->mutex);
    for (const struct slot *slot = ctx->slots; slot && !name; slot = slot->next)
        if (slot->token == token)
            name = slot->name;
    pthread_mutex_unlock(&ctx->mutex);
    return name ? name : token_name(token);
}

/* Takes token over.  One that is there already keeps its name; a name means one token. */
int context_add(struct hx *ctx, const char *name, struct token *token)
{
    struct slot **at, *made = calloc(1, sizeof *made);
    bool taken;

    if (!made || !(made->name = string_copy(name))) {
        free(made);
        token_release(token);
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    made->token = token;
    pthread_mutex_lock(&ctx->mutex);
    for (at = &ctx->slots; *at && (*at)->token != token; at = &(*at)->next)
        ;
    taken = !*at && context_slot(ctx, name);
    if (!*at && !taken) {
        *at = made;
        made = NULL;
    }
    pthread_mutex_unlock(&ctx->mutex);
    if (made) {
        token_release(token);
        free(made->name);
        free(made);
    }
    return taken ? hx_error(HX_E_AMBIGUOUS, "two tokens would be called '%s': name them in [token NAME] sections", name)
                 : HX_OK;
}

static int add_configured(struct hx *ctx, const struct section *section)
{
    const struct setting *word = section_setting(section, "plugin");
    struct plugin *plugin;
    struct host *host;
    struct token *token;
    int result;

    if ((result = plugin_load(word->value, &plugin)))
        return config_error(ctx->config, word->line, "[token %s]: %s", section->name, hx_last_error());
    if ((result = host_new(plugin, section->name, ctx->config, section, &host)) ||
        (result = token_get(host, NULL, NULL, &token)))
        return result;
    for (const struct slot *slot = ctx->slots; slot; slot = slot->next)
        if (slot->token == token) {
            token_release(token);
            return config_error(ctx->config, section->line, "[token %s] is the same as [token %s]", section->name,
                                slot->name);
        }
    return context_add(ctx, section->name, token);
}

static int add_all_configured(struct hx *ctx)
{
    int result = HX_OK;

    for (const struct section *s = ctx->config->sections; s && !result; s = s->next)
        if (!strcmp(s->kind, "token")) {
            ctx->configured = true;
            result = add_configured(ctx, s);
        }
    return result;
}

int hx_new(const char *path, struct hx **ret)
{
    struct hx *ctx = calloc(1, sizeof *ctx);
    int result;

    table_prepare();
    if (!ctx)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    atomic_init(&ctx->refs, 1);
    pthread_mutex_init(&ctx->mutex, NULL);
    if ((result = login_prepare()) || (result = config_read(path, &ctx->config)) ||
        (result = add_all_configured(ctx))) {
        destroy(ctx);
        return log_is_taken() ? result : log_unreachable(result); /* who takes the log says himself what fails */
    }
    pthread_mutex_lock(&all_mutex);
    ctx->next = all;
    all = ctx;
    pthread_mutex_unlock(&all_mutex);
    *ret = ctx;
    return HX_OK;
}

void context_fork_prepare(void)
{
    pthread_mutex_lock(&all_mutex);
    for (struct hx *ctx = all; ctx; ctx = ctx->next)
        pthread_mutex_lock(&ctx->mutex);
}

void context_fork_done(void)
{
    for (struct hx *ctx = all; ctx; ctx = ctx->next)
        pthread_mutex_unlock(&ctx->mutex);
    pthread_mutex_unlock(&all_mutex);
}

void context_fork_child(void)
{
    for (struct hx *ctx = all; ctx; ctx = ctx->next)
        pthread_mutex_init(&ctx->mutex, NULL);
    pthread_mutex_init(&all_mutex, NULL);
}

void token_set_free(struct token_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        token_release(set->token[i]);
    for (size_t i = 0; i < set->problems; i++) {
        free(set->problem[i].name);
        free(set->problem[i].reason);
    }
    free(set->token);
    free(set->problem);
    *set = (struct token_set){ 0 };
}

int token_set_problem(struct token_set *set, const char *name, int result)
{
    struct problem *grown = realloc(set->problem, (set->problems + 1) * sizeof *grown);

    if (!grown)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    set->problem = grown;
    grown[set->problems++] = (struct problem){ string_copy(name), string_copy(hx_last_error()), result };
    return HX_OK;
}

static int snapshot(struct hx *ctx, struct token_set *set)
{
    size_t count = 0;

    pthread_mutex_lock(&ctx->mutex);
    for (const struct slot *slot = ctx->slots; slot; slot = slot->next)
        count++;
    set->token = calloc(count + 1, sizeof *set->token);
    for (const struct slot *slot = ctx->slots; slot && set->token; slot = slot->next)
        set->token[set->count++] = token_retain(slot->token);
    pthread_mutex_unlock(&ctx->mutex);
    return set->token ? HX_OK : hx_error(HX_E_NO_MEMORY, "out of memory");
}

int context_tokens(struct hx *ctx, struct token_set *ret)
{
    AUTO_TOKEN_SET struct token_set set = { 0 };
    int result = ctx->configured ? HX_OK : context_discover(ctx, &set);

    if (result || (result = snapshot(ctx, &set)))
        return result;
    *ret = set;
    set = (struct token_set){ 0 };
    return HX_OK;
}

static int list_names(struct hx *ctx, int result, const char *what, const struct token_set *set)
{
    AUTO_BYTES struct hx_bytes text = { 0 };

    bytes_text(&text, "");
    for (size_t i = 0; i < set->count; i++)
        bytes_printf(&text, "%s'%s'", i ? ", " : "", context_name(ctx, set->token[i]));
    for (size_t i = 0; i < set->problems; i++)
        bytes_printf(&text, "; %s", set->problem[i].reason);
    return hx_error(result, "%s; there are: %s", what, text.len ? (char *)text.data : "none");
}

static int unknown_token(struct hx *ctx, const char *name)
{
    AUTO_TOKEN_SET struct token_set set = { 0 };
    AUTO_BYTES struct hx_bytes what = { 0 };
    int result;

    if ((result = bytes_printf(&what, "no [token %s] in '%s'", name, ctx->config->path)) ||
        (result = snapshot(ctx, &set)))
        return result;
    return list_names(ctx, HX_E_CONFIG, (char *)what.data, &set);
}

int context_token_known(struct hx *ctx, const char *name, struct token **ret)
{
    struct plugin *plugin;
    struct slot *slot;
    int result;

    pthread_mutex_lock(&ctx->mutex);
    slot = context_slot(ctx, name);
    if (slot)
        *ret = token_retain(slot->token);
    pthread_mutex_unlock(&ctx->mutex);
    if (slot)
        return HX_OK;
    if (ctx->configured)
        return unknown_token(ctx, name);
    if (strpbrk(name, "/.") || plugin_load(name, &plugin) || plugin->table.scan)
        return hx_error(HX_E_NOT_FOUND, "no token '%s'", name);
    if ((result = context_add_found(ctx, plugin, name, NULL)))
        return result;
    return context_token_known(ctx, name, ret);
}

int context_token(struct hx *ctx, const char *name, struct token **ret)
{
    AUTO_TOKEN_SET struct token_set set = { 0 };
    AUTO_BYTES struct hx_bytes what = { 0 };
    int result;

    if ((result = context_token_known(ctx, name, ret)) != HX_E_NOT_FOUND)
        return result;
    if ((result = context_tokens(ctx, &set)) || (result = bytes_printf(&what, "no token '%s'", name)))
        return result;
    if (!context_token_known(ctx, name, ret))
        return HX_OK;
    return list_names(ctx, HX_E_NOT_FOUND, (char *)what.data, &set);
}

int context_token_that(struct hx *ctx, const char *name, context_can *can, struct token **ret)
{
    AUTO_TOKEN_SET struct token_set set = { 0 };
    size_t count = 0, last = 0;
    int result;

    if (name)
        return context_token(ctx, name, ret);
    if ((result = context_tokens(ctx, &set)))
        return result;
    for (size_t i = 0; i < set.count; i++)
        if (can(token_table(set.token[i]))) {
            last = i;
            count++;
        }
    if (count != 1)
        return list_names(ctx, count ? HX_E_AMBIGUOUS : HX_E_NOT_FOUND,
                          count ? "more than one token can do that, name one" : "no token can do that", &set);
    *ret = token_retain(set.token[last]);
    return HX_OK;
}
