/* SPDX-License-Identifier: Apache-2.0 */
/* C_FindObjects by kind, id and label (PKCS#11 v2.40 §5.7). */
#include "find.h"

#include "softhsm.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 64

/* What a template holds is never written to, but PKCS#11 has no const. */
static CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){ .type = type, .pValue = (void *)(uintptr_t)value, .ulValueLen = len };
}

static CK_RV find_next(struct p11_session *session, struct p11_handles *found)
{
    CK_OBJECT_HANDLE *grown;
    CK_ULONG count;
    CK_RV rv;

    do {
        grown = reallocarray(found->handle, found->count + CHUNK, sizeof *grown);
        if (!grown)
            return CKR_HOST_MEMORY;
        found->handle = grown;
        count = 0;
        session->function = "C_FindObjects";
        rv = session->fn->C_FindObjects(session->handle, found->handle + found->count, CHUNK, &count);
        if (rv == CKR_OK && count > CHUNK) /* more than the module can have written */
            rv = CKR_GENERAL_ERROR;
        if (rv != CKR_OK)
            return rv;
        found->count += count;
    } while (count == CHUNK); /* a module that has more fills the room that it is given */
    return CKR_OK;
}

/* SoftHSM goes on as if a token were empty whose directory it cannot read any more. */
static bool is_unreadable(const struct p11_session *session)
{
    CK_TOKEN_INFO info;

    return session->token->softhsm && p11_token_info(session->fn, session->token->slot, &info) == CKR_GENERAL_ERROR;
}

/* An empty id or label is left out, since modules differ in whether it means any or none. */
CK_RV p11_find(struct p11_session *session, const struct p11_want *want, struct p11_handles *ret)
{
    CK_OBJECT_CLASS class = p11_class(want->kind);
    CK_BBOOL yes = CK_TRUE;
    struct p11_handles found = { 0 };
    CK_ATTRIBUTE at[4];
    CK_ULONG count = 0;
    CK_RV rv, rv_final;

    at[count++] = attribute(CKA_TOKEN, &yes, sizeof yes);
    if (want->kind)
        at[count++] = attribute(CKA_CLASS, &class, sizeof class);
    if (want->id_len)
        at[count++] = attribute(CKA_ID, want->id, want->id_len);
    if (want->label_len)
        at[count++] = attribute(CKA_LABEL, want->label, want->label_len);
    session->function = "C_FindObjectsInit";
    rv = session->fn->C_FindObjectsInit(session->handle, at, count);
    if (rv != CKR_OK)
        return rv;
    rv = find_next(session, &found);
    rv_final = session->fn->C_FindObjectsFinal(session->handle);
    if (rv == CKR_OK && rv_final != CKR_OK) {
        session->function = "C_FindObjectsFinal";
        rv = rv_final;
    }
    if (rv == CKR_OK && found.count == 0 && is_unreadable(session)) {
        session->function = "C_GetTokenInfo";
        rv = CKR_TOKEN_NOT_PRESENT;
    }
    if (rv == CKR_OK)
        *ret = found;
    else
        free(found.handle);
    return rv;
}

void p11_free_facts(struct p11_facts **facts, size_t count)
{
    for (size_t i = 0; facts && i < count; i++)
        free(facts[i]);
    free(facts);
}

CK_RV p11_find_facts(struct p11_session *session, const struct p11_want *want, struct p11_facts ***ret,
                     size_t *ret_count)
{
    struct p11_handles found = { 0 };
    struct p11_facts **facts;
    CK_RV rv;

    rv = p11_find(session, want, &found);
    if (rv != CKR_OK)
        return rv;
    facts = calloc(found.count + 1, sizeof(struct p11_facts *));
    if (!facts)
        rv = CKR_HOST_MEMORY;
    for (size_t i = 0; rv == CKR_OK && i < found.count; i++)
        rv = p11_facts_read(session, found.handle[i], want->kind, &facts[i]);
    free(found.handle);
    if (rv != CKR_OK) {
        p11_free_facts(facts, found.count);
        return rv;
    }
    *ret = facts;
    *ret_count = found.count;
    return CKR_OK;
}

/* Drops what does not bear the ref.  Two that bear it and have the same value are one object stored twice. */
static CK_RV choose(struct p11_session *session, const struct p11_ref *ref, struct p11_facts **facts, size_t count,
                    struct p11_facts **ret, size_t *ret_count)
{
    struct p11_facts *chosen = NULL;
    size_t fit = 0;
    CK_RV rv;

    for (size_t i = 0; i < count; i++) {
        if (!facts[i] || !p11_ref_fits(ref, facts[i]))
            continue;
        if (ref->has_hash || chosen) {
            rv = p11_facts_hash(session, facts[i]);
            if (rv == CKR_OK && chosen)
                rv = p11_facts_hash(session, chosen);
            if (rv != CKR_OK)
                return rv;
        }
        if (ref->has_hash && facts[i]->hash != ref->hash)
            continue;
        if (!chosen)
            chosen = facts[i];
        else if (p11_facts_same(chosen, facts[i]))
            continue;
        fit++;
    }
    *ret = chosen;
    *ret_count = fit;
    return CKR_OK;
}

CK_RV p11_find_ref(struct p11_session *session, const struct p11_ref *ref, struct p11_facts **ret, size_t *ret_count)
{
    struct p11_want want = { ref->kind, ref->id, ref->label, ref->id_len, ref->label_len };
    struct p11_facts **facts, *chosen = NULL;
    size_t count, fit = 0;
    CK_RV rv;

    rv = p11_find_facts(session, &want, &facts, &count);
    if (rv != CKR_OK)
        return rv;
    rv = choose(session, ref, facts, count, &chosen, &fit);
    if (rv == CKR_OK) {
        for (size_t i = 0; i < count; i++)
            if (facts[i] == chosen)
                facts[i] = NULL;
        *ret = chosen;
        *ret_count = fit;
    }
    p11_free_facts(facts, count);
    return rv;
}
