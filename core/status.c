/* SPDX-License-Identifier: Apache-2.0 */
/* What `hsmux status` and `hsmux plugins` show. */
#include "choice.h"
#include "error.h"

struct listing {
    hx_plugin_fn *fn;
    void *arg;
};

static int show_plugin(void *arg, const char *path, struct plugin *plugin, int result)
{
    const struct listing *listing = arg;

    if (!plugin)
        return listing->fn(listing->arg, path, result, NULL, NULL, hx_last_error(), NULL);
    return listing->fn(listing->arg, plugin->path, HX_OK, plugin->table.name, plugin->table.version,
                       plugin->table.summary, plugin->table.options);
}

int hx_plugins(struct hx *ctx, hx_plugin_fn *fn, void *arg)
{
    struct listing listing = { fn, arg };

    (void)ctx;
    return plugin_each(show_plugin, &listing);
}

static int describe(struct token *token, void *arg)
{
    return token_describe(token, arg);
}

static int show_token(struct hx *ctx, struct token *token, hx_status_fn *fn, void *arg)
{
    AUTO_TOKENS struct token_list facts = { 0 };
    AUTO_BYTES struct hx_bytes text = { 0 };
    int result = token_call(ctx, token, describe, &facts, 0);
    const struct token_facts *f = facts.count ? &facts.token[0] : NULL;

    if (result == HX_E_NOT_FOUND && !ctx->configured)
        return HX_OK; /* what is not there steps aside */
    if (result)
        return fn(arg, "token", context_name(ctx, token), result, hx_last_error());
    bytes_printf(&text, "plugin %s", token_table(token)->name);
    if (f && f->label)
        bytes_printf(&text, ", label '%s'", f->label);
    if (f && f->serial)
        bytes_printf(&text, ", serial '%s'", f->serial);
    if (f && f->flags & HX_PIN_LOCKED)
        bytes_text(&text, ", PIN LOCKED: unblock it with the vendor's tool");
    else if (f && f->flags & HX_PIN_FINAL)
        bytes_printf(&text, ", ONE PIN TRY LEFT: hsmux login %s", context_name(ctx, token));
    else if (f && f->flags & HX_PIN_LOW)
        bytes_text(&text, ", a wrong PIN was given since the last right one");
    return fn(arg, "token", context_name(ctx, token), HX_OK, text.data ? (char *)text.data : "");
}

static bool has_key(const struct choice *choice, const struct certificate *certificate)
{
    for (size_t i = 0; i < choice->count; i++)
        if (bytes_equal(choice->candidate[i].spki.data, choice->candidate[i].spki.len, certificate->facts.spki.data,
                        certificate->facts.spki.len))
            return true;
    return false;
}

/* A device's certificate without its key is mostly a mistake: an old one, or the wrong file. */
static int show_strays(const struct choice *choice, hx_status_fn *fn, void *arg)
{
    int result = HX_OK;

    for (size_t i = 0; i < choice->pool.count && !result; i++) {
        const struct certificate *certificate = &choice->pool.certificate[i];

        if (!certificate->facts.is_ca && !has_key(choice, certificate))
            result = fn(arg, "passed-over", certificate->where, HX_E_NOT_FOUND,
                        "this certificate belongs to no key that was found");
    }
    return result;
}

static int show_candidates(const struct choice *choice, hx_status_fn *fn, void *arg)
{
    int result = HX_OK;

    for (size_t i = 0; i < choice->tokens.problems && !result; i++)
        result = fn(arg, "passed-over", choice->tokens.problem[i].name, choice->tokens.problem[i].result,
                    choice->tokens.problem[i].reason);
    for (size_t i = 0; i < choice->count && !result; i++) {
        const struct certificate *leaf = choice->candidate[i].leaf;
        const char *problem = leaf ? certificate_problem(leaf) : NULL;
        AUTO_BYTES struct hx_bytes text = { 0 };

        if (!leaf)
            bytes_text(&text, choice->candidate[i].paired ? "a key without certificate" : "a key");
        else
            bytes_printf(&text, "certificate '%s'%s%s", leaf->where, problem ? ", " : "", problem ? problem : "");
        result = fn(arg, "candidate", choice->candidate[i].address, HX_OK, text.data ? (char *)text.data : "");
    }
    return result;
}

static int show_credential(struct hx *ctx, hx_status_fn *fn, void *arg)
{
    AUTO_CHOICE struct choice choice = { 0 };
    AUTO_BYTES struct hx_bytes address = { 0 };
    AUTO_BYTES struct hx_bytes why = { 0 };
    int found, result;

    if (!config_section(ctx->config, "credential", "")) {
        found = choice_make(ctx, &choice);
        bytes_text(&why, found ? hx_last_error() : (char *)choice.why.data);
        if ((result = show_candidates(&choice, fn, arg)) || (!found && (result = show_strays(&choice, fn, arg))))
            return result;
        return fn(arg, "credential", found ? "" : choice.chosen->address, found, why.data ? (char *)why.data : "");
    }
    if ((found = hx_credential_get(ctx, NULL, "address", &address)) ||
        (found = hx_credential_get(ctx, NULL, "why", &why)))
        return fn(arg, "credential", "", found, hx_last_error());
    return fn(arg, "credential", (char *)address.data, HX_OK, (char *)why.data);
}

static int show_named(struct hx *ctx, const struct section *section, hx_status_fn *fn, void *arg)
{
    AUTO_BYTES struct hx_bytes address = { 0 };
    AUTO_BYTES struct hx_bytes name = { 0 };
    int result = hx_credential_get(ctx, section->name, "address", &address);

    if (bytes_printf(&name, "hsm:%s", section->name))
        return HX_E_NO_MEMORY;
    return fn(arg, "named-credential", (char *)name.data, result, result ? hx_last_error() : (char *)address.data);
}

int hx_status(struct hx *ctx, hx_status_fn *fn, void *arg)
{
    AUTO_TOKEN_SET struct token_set set = { 0 };
    int result = fn(arg, "configuration", ctx->config->path, HX_OK,
                    !ctx->config->found ? "there is none: what is on the device is found by itself"
                    : ctx->configured   ? "its tokens, and no others, are used"
                                        : "it names no token: what is on the device is found by itself");

    if (result || (result = context_tokens(ctx, &set)))
        return result;
    for (size_t i = 0; i < set.count && !result; i++)
        result = show_token(ctx, set.token[i], fn, arg);
    for (const struct section *s = ctx->config->sections; s && !result; s = s->next)
        if (s->kind[0] == 'c' && *s->name)
            result = show_named(ctx, s, fn, arg);
    return result ? result : show_credential(ctx, fn, arg);
}
