/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one credential of a device that nobody configured: every signing key that a token in reach holds is a candidate;
 * one with a certificate comes before bare ones, a valid certificate breaks a tie, and two that are left are an error
 * that shows how to choose.
 */
#include "choice.h"

#include "error.h"
#include "log.h"

#include <string.h>

#define SHOWN_MAX 4 /* of many candidates, so that the reason stays readable */

static void candidate_free(struct candidate *candidate)
{
    token_release(candidate->token);
    object_free(&candidate->key);
    hx_bytes_free(&candidate->spki);
    free(candidate->address);
}

void choice_free(struct choice *choice)
{
    for (size_t i = 0; i < choice->count; i++)
        candidate_free(&choice->candidate[i]);
    free(choice->candidate);
    pool_free(&choice->pool);
    token_set_free(&choice->tokens);
    hx_bytes_free(&choice->why);
    *choice = (struct choice){ 0 };
}

static int add_candidate(struct hx *ctx, struct choice *choice, struct token *token, struct object *key,
                         const struct object_list *list)
{
    AUTO_BYTES struct hx_bytes address = { 0 };
    struct candidate *grown = realloc(choice->candidate, (choice->count + 1) * sizeof *grown);
    int result;

    if (!grown)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    choice->candidate = grown;
    if ((result = object_address(ctx, token, key, list, &address)))
        return result;
    grown[choice->count++] =
        (struct candidate){ .token = token_retain(token), .key = *key, .address = (char *)address.data };
    *key = (struct object){ 0 };
    address.data = NULL;
    return HX_OK;
}

static int add_token(struct hx *ctx, struct choice *choice, struct token *token)
{
    AUTO_OBJECTS struct object_list list = { 0 };
    struct hx_object want = { .kind = HX_PRIVATE_KEY };
    int result = object_list(ctx, token, &want, &list);

    for (size_t i = 0; i < list.count && !result; i++) {
        struct object copy = { 0 };

        if (!object_may_sign(&list.object[i].info))
            continue;
        if (!(result = object_copy(&copy, &list.object[i].info)))
            result = add_candidate(ctx, choice, token, &copy, &list);
        object_free(&copy);
    }
    return result ? result : pool_add_token(&choice->pool, ctx, token);
}

/* With no INI: does a token that fails like this stand aside?  One that is not there, or not for this user. */
static bool stands_aside(int result)
{
    return result == HX_E_NOT_FOUND || result == HX_E_ACCESS || result == HX_E_LOGIN;
}

static int scan_problem(const struct hx *ctx, const struct token_set *set)
{
    for (size_t i = 0; i < set->problems && !ctx->configured; i++)
        if (!stands_aside(set->problem[i].result))
            return hx_error(set->problem[i].result, "%s", set->problem[i].reason);
    return HX_OK;
}

static int collect(struct hx *ctx, struct choice *choice)
{
    int result = context_tokens(ctx, &choice->tokens);

    if (!result)
        result = scan_problem(ctx, &choice->tokens);
    for (size_t i = 0; i < choice->tokens.count && !result; i++) {
        struct token *token = choice->tokens.token[i];

        if (!(result = add_token(ctx, choice, token)))
            continue;
        if (ctx->configured)
            return hx_error(result,
                            "%s; while a configured token fails none is chosen, but one named by [credential] is",
                            hx_last_error());
        if (!stands_aside(result))
            return result;
        result =
            result == HX_E_NOT_FOUND ? HX_OK : token_set_problem(&choice->tokens, context_name(ctx, token), result);
    }
    return result ? result : pool_add_directory(&choice->pool, ctx);
}

static int public_of(struct hx *ctx, struct candidate *candidate, struct hx_bytes *ret)
{
    AUTO_KEY struct hx_key *key = NULL;
    int result = object_spki(ctx, candidate->token, &candidate->key, ret);

    if (result != HX_E_UNSUPPORTED && result != HX_E_NOT_FOUND)
        return result;
    if ((result = key_open_object(ctx, candidate->token, &candidate->key, candidate->address, &key)))
        return result;
    return hx_key_public(key, ret);
}

/* Has the key no public part for us, now or ever?  A failure that may pass must not decide who this device is. */
/* A key on a token that is open, and that cannot be looked at, is no reason to take another. */
static int pair(struct hx *ctx, struct choice *choice)
{
    for (size_t i = 0; i < choice->count; i++) {
        struct candidate *candidate = &choice->candidate[i];
        int result = public_of(ctx, candidate, &candidate->spki);

        if (!result)
            candidate->leaf = pool_leaf(&choice->pool, &candidate->spki);
        else if (result == HX_E_UNSUPPORTED || result == HX_E_INVALID)
            hx_log(LOG_INFO, "'%s' stays without certificate: %s", candidate->address, hx_last_error());
        else
            return hx_error_in(result, "'%s'", candidate->address);
        candidate->paired = true;
    }
    return HX_OK;
}

/* A CA's certificate counts only where there is no other: `openssl req -x509` makes every self-signed one a CA's. */
enum rank { BARE, CA, VALID_CA, CERTIFIED, VALID };

static enum rank rank_of(const struct candidate *candidate)
{
    bool valid = candidate->leaf && !certificate_problem(candidate->leaf);

    if (!candidate->leaf)
        return BARE;
    if (candidate->leaf->facts.is_ca)
        return valid ? VALID_CA : CA;
    return valid ? VALID : CERTIFIED;
}

static size_t count_rank(const struct choice *choice, enum rank least, const struct candidate **ret)
{
    size_t count = 0;

    for (size_t i = 0; i < choice->count; i++)
        if (rank_of(&choice->candidate[i]) >= least) {
            *ret = &choice->candidate[i];
            count++;
        }
    return count;
}

static int nothing_found(struct hx *ctx, const struct choice *choice)
{
    AUTO_BYTES struct hx_bytes text = { 0 };

    bytes_text(&text, "");
    if (!choice->tokens.count && !choice->tokens.problems)
        return hx_error(HX_E_NOT_FOUND, "no credential: no plugin in '%s' finds a token", plugin_directory());
    for (size_t i = 0; i < choice->tokens.count; i++)
        bytes_printf(&text, "%s'%s'", i ? ", " : "; looked on token ", context_name(ctx, choice->tokens.token[i]));
    for (size_t i = 0; i < choice->tokens.problems; i++)
        bytes_printf(&text, "; passed over: %s", choice->tokens.problem[i].reason);
    return hx_error(
        HX_E_NOT_FOUND, "no credential: no token holds a key that can sign%s; make one with `hsmux key generate`%s",
        text.data ? (char *)text.data : "", ctx->configured ? "" : ", or name a token in the configuration");
}

static int ambiguous(const struct hx *ctx, const struct choice *choice, enum rank least)
{
    AUTO_BYTES struct hx_bytes names = { 0 };
    AUTO_BYTES struct hx_bytes lines = { 0 };
    size_t count = 0;

    for (size_t i = 0; i < choice->count; i++) {
        const char *address = choice->candidate[i].address;

        if (rank_of(&choice->candidate[i]) < least || count++ >= SHOWN_MAX)
            continue;
        bytes_printf(&names, "%s'%s'", names.len ? ", " : "", address);
        bytes_printf(&lines, "%s [credential] key = %s", lines.len ? " or" : "", address);
    }
    if (count > SHOWN_MAX)
        bytes_printf(&names, " and %zu more", count - SHOWN_MAX);
    return hx_error(HX_E_AMBIGUOUS, "more than one credential: %s; choose one in '%s' with the lines:%s",
                    names.data ? (char *)names.data : "", ctx->config->path, lines.data ? (char *)lines.data : "");
}

static const char *reason(const struct choice *choice, enum rank least)
{
    switch (least) {
    case VALID:
        return "the only key with a certificate that is valid now";
    case CERTIFIED:
        return choice->count == 1 ? "the only key that can sign" : "the only key with a certificate";
    case VALID_CA:
        return "the only key with a certificate that is valid now, a self-signed one or a CA's";
    case CA:
        return "the only key with a certificate, a self-signed one or a CA's";
    default:
        return "the only key that can sign; it has no certificate";
    }
}

static int choose(struct hx *ctx, struct choice *choice)
{
    static const enum rank ranks[] = { CERTIFIED, CA, BARE };
    const struct candidate *one = NULL;

    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        enum rank least = ranks[i];
        size_t count = count_rank(choice, least, &one);

        if (!count)
            continue;
        if (count > 1 && (least == BARE || count_rank(choice, ++least, &one) != 1))
            return ambiguous(ctx, choice, ranks[i]);
        choice->chosen = one;
        return bytes_text(&choice->why, reason(choice, least));
    }
    return nothing_found(ctx, choice);
}

int choice_make(struct hx *ctx, struct choice *ret)
{
    int result;

    if ((result = collect(ctx, ret)) || (result = pair(ctx, ret)))
        return result;
    return choose(ctx, ret);
}
