/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: by name from the configuration, or the device's only one; with certificate, chain and names. */
#include "credential.h"

#include "choice.h"
#include "error.h"
#include "log.h"

#include <string.h>

static void credential_unref(struct credential **credential)
{
    credential_free(*credential);
}

#define AUTO_CREDENTIAL CLEANUP(credential_unref)

void credential_free(struct credential *credential)
{
    if (!credential)
        return;
    free(credential->address);
    hx_bytes_free(&credential->chain);
    free(credential->common_name);
    free(credential->registration_id);
    free(credential->why);
    free(credential);
}

/* Fills in what follows from the certificate (NULL: none) and from the configuration (NULL: nothing). */
static int finish(const struct section *section, const struct pool *pool, const struct certificate *leaf,
                  const char *address, const char *why, struct credential **ret)
{
    AUTO_CREDENTIAL struct credential *made = calloc(1, sizeof *made);
    const char *name = section ? section_get(section, "common-name") : NULL;
    const char *id = section ? section_get(section, "registration-id") : NULL;
    int result;

    if (!made)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    if (leaf && (result = pool_chain(pool, leaf, &made->chain)))
        return result;
    if (!name && leaf)
        name = leaf->facts.common_name;
    made->address = string_copy(address);
    made->why = string_copy(why);
    made->common_name = string_copy(name);
    made->registration_id = string_copy(id ? id : name);
    if (!made->address || !made->why)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    if (leaf && certificate_problem(leaf))
        hx_log(LOG_WARNING, "certificate '%s' is %s by this device's clock; it is used all the same", leaf->where,
               certificate_problem(leaf));
    *ret = made;
    made = NULL;
    return HX_OK;
}

static int find_default(struct hx *ctx, struct credential **ret)
{
    AUTO_CHOICE struct choice choice = { 0 };
    int result = choice_make(ctx, &choice);

    if (result)
        return result;
    hx_log(LOG_INFO, "credential '%s': %s", choice.chosen->address, (char *)choice.why.data);
    return finish(NULL, &choice.pool, choice.chosen->leaf, choice.chosen->address, (char *)choice.why.data, ret);
}

static bool recall(struct hx *ctx, const struct token *token, struct hx_key *key)
{
    bool found = false;

    pthread_mutex_lock(&ctx->mutex);
    for (const struct proof *p = ctx->proofs; p && !found; p = p->next)
        if (p->token == token && bytes_equal(p->ref.data, p->ref.len, key->ref.data, key->ref.len))
            found = !bytes_append(&key->spki, p->spki.data, p->spki.len);
    pthread_mutex_unlock(&ctx->mutex);
    return found;
}

static void remember(struct hx *ctx, const struct token *token, const struct hx_key *key)
{
    struct proof *proof = calloc(1, sizeof *proof);

    if (!proof)
        return;
    proof->token = token;
    if (bytes_append(&proof->ref, key->ref.data, key->ref.len) ||
        bytes_append(&proof->spki, key->spki.data, key->spki.len)) {
        hx_bytes_free(&proof->ref);
        free(proof);
        return;
    }
    pthread_mutex_lock(&ctx->mutex);
    proof->next = ctx->proofs;
    ctx->proofs = proof;
    pthread_mutex_unlock(&ctx->mutex);
}

/* May the next certificate be tried, after one that gave this result?  A failure of the token is no verdict. */
static bool disproved(int result)
{
    return result == HX_E_NOT_FOUND || result == HX_E_UNSUPPORTED || result == HX_E_INVALID;
}

/* Looks for the key's public key among those of certificates; one on the token counts only if it has the key's id. */
static int prove(struct hx *ctx, struct token *token, struct hx_key *key, const struct pool *pool, bool by_id)
{
    for (size_t i = 0; i < pool->count && !key->spki.len; i++) {
        const struct certificate *c = &pool->certificate[i];
        int result;

        if (by_id && c->token && !bytes_equal(c->id.data, c->id.len, key->object.id.data, key->object.id.len))
            continue;
        result = key_prove_public(key, c->facts.spki.data, c->facts.spki.len);
        if (!result)
            remember(ctx, token, key);
        else if (!disproved(result))
            return result;
    }
    return HX_OK;
}

/* What the section names: its certificate, perhaps with others in one file, and its chain. */
static int add_named(struct hx *ctx, const struct section *section, struct pool *pool, size_t *ret_named)
{
    const struct setting *named = section_setting(section, "certificate"), *chain = section_setting(section, "chain");
    size_t first;

    if (named && pool_add_named(pool, ctx, named->value, &first))
        return config_error(ctx->config, named->line, "certificate: %s", hx_last_error());
    *ret_named = pool->count;
    if (chain && pool_add_named(pool, ctx, chain->value, &first))
        return config_error(ctx->config, chain->line, "chain: %s", hx_last_error());
    return HX_OK;
}

/* The certificate that the section names must be the key's; one that it does not name is looked for. */
static int configured_leaf(struct hx *ctx, const struct section *section, struct hx_key *key, struct pool *pool,
                           const struct certificate **ret)
{
    const struct setting *named = section_setting(section, "certificate");
    struct token *token = atomic_load(&key->token);
    struct pool choice;
    int result;

    if ((result = add_named(ctx, section, pool, &choice.count)) || (result = pool_add_token(pool, ctx, token)) ||
        (result = pool_add_directory(pool, ctx)))
        return result;
    choice = (struct pool){ pool->certificate, named ? choice.count : pool->count };
    if (named && (result = prove(ctx, token, key, &choice, false)))
        return result;
    *ret = key->spki.len ? pool_leaf(&choice, &key->spki) : NULL;
    if (named && !*ret)
        return config_error(ctx->config, named->line, "certificate '%s' belongs to another key than '%s'", named->value,
                            key->address);
    return HX_OK;
}

static int find_configured(struct hx *ctx, const struct section *section, struct credential **ret)
{
    AUTO_KEY struct hx_key *key = NULL;
    AUTO_POOL struct pool pool = { 0 };
    AUTO_BYTES struct hx_bytes why = { 0 };
    const struct setting *address = section_setting(section, "key");
    const struct certificate *leaf = NULL;
    int result;

    if (!strcmp(address->value, "hsm:") || (!strncmp(address->value, "hsm:", 4) && !strchr(address->value, '/')))
        return config_error(ctx->config, address->line,
                            "key: '%s' is a credential: name an object, hsm:TOKEN/key/LABEL", address->value);
    if ((result = hx_key_open(ctx, address->value, &key)))
        return hx_error_in(result, "%s:%u: key", ctx->config->path, address->line);
    if ((result = configured_leaf(ctx, section, key, &pool, &leaf)) ||
        (result = bytes_printf(&why, "[credential%s%s] in %s:%u", *section->name ? " " : "", section->name,
                               ctx->config->path, section->line)))
        return result;
    return finish(section, &pool, leaf, key->address, (char *)why.data, ret);
}

static int no_section(const struct hx *ctx, const char *name)
{
    if (config_section(ctx->config, "token", name))
        return hx_error(HX_E_NOT_FOUND, "'%s' is a token; an address on it is hsm:%s/key/LABEL", name, name);
    return hx_error(HX_E_NOT_FOUND, "no [credential %s] in '%s'", name, ctx->config->path);
}

int credential_find(struct hx *ctx, const char *name, struct credential **ret)
{
    const struct section *section = config_section(ctx->config, "credential", name);

    if (section)
        return find_configured(ctx, section, ret);
    return *name ? no_section(ctx, name) : find_default(ctx, ret);
}

int credential_key(struct hx *ctx, const char *name, struct hx_key **ret)
{
    AUTO_CREDENTIAL struct credential *credential = NULL;
    int result = credential_find(ctx, name, &credential);

    return result ? result : hx_key_open(ctx, credential->address, ret);
}

int hx_credential_get(struct hx *ctx, const char *name, const char *what, struct hx_bytes *ret)
{
    AUTO_CREDENTIAL struct credential *credential = NULL;
    struct hx_bytes made = { 0 };
    const char *text;
    int result;

    if (name && !strncmp(name, "hsm:", 4)) /* an address will do */
        name += 4;
    if ((result = credential_find(ctx, name ? name : "", &credential)))
        return result;
    if (!strcmp(what, "certificate")) {
        if (!credential->chain.len)
            return hx_error(HX_E_NOT_FOUND, "'%s' has no certificate: store one with `hsmux cert import`",
                            credential->address);
        bytes_move(ret, &credential->chain);
        return HX_OK;
    }
    if (!strcmp(what, "address"))
        text = credential->address;
    else if (!strcmp(what, "why"))
        text = credential->why;
    else if (!strcmp(what, "common-name"))
        text = credential->common_name;
    else if (!strcmp(what, "registration-id"))
        text = credential->registration_id;
    else
        return hx_error(HX_E_INVALID, "a credential has no '%s'", what);
    if (!text)
        return hx_error(HX_E_NOT_FOUND, "'%s' has no %s: it has no certificate, and none is configured",
                        credential->address, what);
    if ((result = bytes_text(&made, text)))
        return result;
    bytes_move(ret, &made);
    return HX_OK;
}

int credential_prove_key(struct hx *ctx, struct token *token, struct hx_key *key)
{
    AUTO_POOL struct pool pool = { 0 };
    int result;

    if (recall(ctx, token, key))
        return HX_OK;
    if ((result = pool_add_token(&pool, ctx, token)) || (result = pool_add_directory(&pool, ctx)))
        return result;
    return prove(ctx, token, key, &pool, true);
}
