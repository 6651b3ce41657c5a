/* SPDX-License-Identifier: Apache-2.0 */
/* Listing objects, and loading one by its ref. */
#include "object.h"

#include "authorise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One object to the core.  The ref is made for the occasion. */
static int tell(struct p11_token *token, const struct p11_facts *facts, struct hx_list *list)
{
    struct p11_ref ref = p11_ref_of(facts);
    struct hx_object object = {
        .kind = facts->kind,
        .type = facts->type,
        .bits = facts->bits,
        .usage = facts->usage,
        .flags = facts->flags,
        .scheme = facts->mac_hash ? HX_HMAC : 0,
        .hash = facts->mac_hash,
        .rsa_e = facts->rsa_e,
        .label = facts->label_len ? p11_facts_label(facts) : NULL,
        .id = { p11_facts_id(facts), facts->id_len },
    };
    unsigned char *bytes = p11_ref_write(&ref, &object.ref.len);
    int r;

    if (!bytes)
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    object.ref.data = bytes;
    r = hx_add(list, &object);
    free(bytes);
    return r;
}

/* Data may be either: what is not found may be hidden. */
static bool is_hidden_kind(uint32_t kind)
{
    return kind == HX_PRIVATE_KEY || kind == HX_SECRET_KEY || kind == HX_DATA;
}

static int fail_login(struct p11_token *token)
{
    return hx_fail(token->host, HX_E_LOGIN, "token '%s' shows its private objects only after login", token->label);
}

static int compare_bytes(const void *a, size_t a_len, const void *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order ? order : (a_len > b_len) - (a_len < b_len);
}

/* By kind, label, id and value; those dropped come last. */
static int compare(const void *left, const void *right)
{
    const struct p11_facts *a = *(struct p11_facts *const *)left, *b = *(struct p11_facts *const *)right;
    int order;

    if (!a || !b)
        return !a - !b;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    order = compare_bytes(p11_facts_label(a), a->label_len, p11_facts_label(b), b->label_len);
    if (!order)
        order = compare_bytes(p11_facts_id(a), a->id_len, p11_facts_id(b), b->id_len);
    return order ? order : (a->hash > b->hash) - (a->hash < b->hash);
}

/* Gives namesakes their hashes, and drops what is stored twice. */
static CK_RV tell_apart(struct p11_session *session, struct p11_facts **facts, size_t count)
{
    CK_RV rv = CKR_OK;

    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; facts[i] && j < i; j++) {
            if (!facts[j] || !p11_facts_namesakes(facts[i], facts[j]))
                continue;
            rv = p11_facts_hash(session, facts[i]);
            if (rv == CKR_OK)
                rv = p11_facts_hash(session, facts[j]);
            if (rv != CKR_OK)
                return rv;
            if (p11_facts_same(facts[i], facts[j])) {
                free(facts[i]);
                facts[i] = NULL;
            }
        }
    return CKR_OK;
}

/* Some modules do not store a public exponent with a private key. */
static CK_RV fill_exponents(struct p11_session *session, struct p11_facts **facts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct p11_facts *public = NULL;
        CK_RV rv;

        if (!facts[i] || facts[i]->kind != HX_PRIVATE_KEY || facts[i]->type != HX_RSA || facts[i]->rsa_e)
            continue;
        rv = p11_find_public(session, facts[i], &public);
        if (rv != CKR_OK)
            return rv;
        facts[i]->rsa_e = public && public->rsa_e ? public->rsa_e : 65537;
        free(public);
    }
    return CKR_OK;
}

static int find_all(struct p11_token *token, const struct hx_object *want, struct p11_facts ***ret, size_t *ret_count)
{
    struct p11_want mine = { 0 };
    struct p11_facts **facts = NULL;
    struct p11_session session;
    size_t count = 0;
    CK_RV rv;
    int r;

    if (want)
        mine = (struct p11_want){
            .kind = want->kind,
            .id = want->id.data,
            .id_len = want->id.len,
            .label = want->label,
            .label_len = want->label ? strlen(want->label) : 0,
        };
    r = p11_session_take(token, &session);
    if (r)
        return r;
    rv = p11_find_facts(&session, &mine, &facts, &count);
    if (rv == CKR_OK)
        rv = tell_apart(&session, facts, count);
    if (rv == CKR_OK)
        rv = fill_exponents(&session, facts, count);
    if (rv == CKR_OK && mine.kind == HX_PRIVATE_KEY)
        rv = p11_fill_publics(&session, facts, count);
    r = p11_session_done(&session, rv);
    if (r) {
        p11_free_facts(facts, count);
        return r;
    }
    qsort(facts, count, sizeof(struct p11_facts *), compare); /* modules list in any order, and in another each time */
    *ret = facts;
    *ret_count = count;
    return 0;
}

int p11_list(struct p11_token *token, struct hx_list *list)
{
    uint32_t kind = list->want ? list->want->kind : 0;
    struct p11_facts **facts;
    size_t count;
    bool hidden;
    int r = 0;

    if (kind && p11_class(kind) == CK_UNAVAILABLE_INFORMATION)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s' has no objects of kind %u", token->label, kind);
    hidden = (kind == 0 || is_hidden_kind(kind)) && p11_token_wants_login(token);
    if (hidden && !(kind == HX_DATA && list->want->label))
        return fail_login(token);
    r = find_all(token, list->want, &facts, &count);
    if (r)
        return r;
    if (hidden && count == 0) {
        p11_free_facts(facts, count);
        return fail_login(token);
    }
    for (size_t i = 0; !r && i < count; i++)
        if (facts[i])
            r = tell(token, facts[i], list);
    p11_recent_set(token, kind, facts, count);
    return r;
}

/* "private key 'label', id 01ab", in words for a message. */
static void print_ref(const struct p11_ref *ref, char *ret, size_t size)
{
    static const char *const words[] = { "object", "private key", "public key", "secret key", "certificate", "data" };
    size_t used = (size_t)snprintf(ret, size, "%s '%.*s'", words[ref->kind],
                                   ref->label_len < 64 ? (int)ref->label_len : 64, (const char *)ref->label);

    if (ref->id_len && used < size)
        used += (size_t)snprintf(ret + used, size - used, ", id ");
    for (size_t i = 0; i < ref->id_len && i < 32 && used < size; i++)
        used += (size_t)snprintf(ret + used, size - used, "%02X", ref->id[i]);
}

int p11_fail_missing(struct p11_token *token, const struct p11_ref *ref)
{
    char text[256];

    if (is_hidden_kind(ref->kind) && p11_token_wants_login(token))
        return fail_login(token);
    print_ref(ref, text, sizeof text);
    return hx_fail(token->host, HX_E_NOT_FOUND, "no %s on token '%s'", text, token->label);
}

int p11_fail_ambiguous(struct p11_token *token, const struct p11_ref *ref, size_t count)
{
    char text[256];

    print_ref(ref, text, sizeof text);
    return hx_fail(token->host, HX_E_AMBIGUOUS, "token '%s' holds %zu of %s: give each its own label or id",
                   token->label, count, text);
}

static int find_one(struct p11_token *token, const struct p11_ref *ref, struct p11_facts **ret)
{
    struct p11_session session;
    struct p11_facts *facts = NULL;
    size_t count = 0;
    CK_RV rv;
    int r;

    r = p11_session_take(token, &session);
    if (r)
        return r;
    rv = p11_find_ref(&session, ref, &facts, &count);
    if (rv == CKR_OK && facts)
        rv = fill_exponents(&session, &facts, 1);
    r = p11_session_done(&session, rv);
    if (!r && count != 1)
        r = count ? p11_fail_ambiguous(token, ref, count) : p11_fail_missing(token, ref);
    if (r) {
        free(facts);
        return r;
    }
    *ret = facts;
    return 0;
}

int p11_load(struct p11_token *token, uint32_t kind, const void *ref_data, size_t ref_len, struct hx_list *info,
             struct p11_object **ret)
{
    struct p11_object *object;
    struct p11_facts *facts;
    struct p11_ref ref;
    int r = 0;

    if (!p11_ref_read(ref_data, ref_len, &ref) || ref.kind != kind)
        return hx_fail(token->host, HX_E_INVALID, "that reference is none of token '%s'", token->label);
    facts = p11_recent_get(token, &ref);
    if (!facts)
        r = find_one(token, &ref, &facts);
    if (r)
        return r;
    object = calloc(1, sizeof *object);
    r = object ? tell(token, facts, info) : hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    if (r) {
        free(object);
        free(facts);
        return r;
    }
    object->token = token;
    object->facts = facts;
    *ret = object;
    return 0;
}

void p11_unload(struct p11_object *object)
{
    p11_authorise_over(object);
    free(object->facts);
    free(object->public);
    free(object);
}
