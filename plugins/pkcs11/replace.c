/* SPDX-License-Identifier: Apache-2.0 */
/* Making objects where others may be in the way: what bears the label is replaced when that is asked for, what shares
 * no more than the id is left alone, and whatever fails, the old or the new is there whole. */
#include "error.h"
#include "make.h"

#include <stdlib.h>
#include <string.h>

struct way {
    struct p11_handles old; /* goes when the new is there */
    bool taken; /* the label or the id is somebody's */
    uint32_t kind; /* whose */
    bool by_label;
};

static bool has(const struct p11_handles *handles, CK_OBJECT_HANDLE handle)
{
    for (size_t i = 0; i < handles->count; i++)
        if (handles->handle[i] == handle)
            return true;
    return false;
}

static CK_RV add(struct p11_handles *handles, CK_OBJECT_HANDLE handle)
{
    CK_OBJECT_HANDLE *grown;

    if (has(handles, handle))
        return CKR_OK;
    grown = reallocarray(handles->handle, handles->count + 1, sizeof *grown);
    if (!grown)
        return CKR_HOST_MEMORY;
    grown[handles->count++] = handle;
    handles->handle = grown;
    return CKR_OK;
}

static void take(struct way *way, uint32_t kind, bool by_label)
{
    if (way->taken)
        return;
    way->taken = true;
    way->kind = kind;
    way->by_label = by_label;
}

/* A public key that is there already, same label, id and value, is what an import left that was stopped. */
static CK_RV is_leftover(struct p11_session *session, const struct p11_making *making, uint32_t kind,
                         CK_OBJECT_HANDLE handle, bool *ret)
{
    const char *label = making->spec->label;
    struct p11_facts *facts = NULL;
    CK_RV rv;

    *ret = false;
    if (kind != HX_PUBLIC_KEY || !making->public.len)
        return CKR_OK;
    rv = p11_facts_read(session, handle, kind, &facts);
    if (rv == CKR_OK && facts)
        *ret = facts->label_len == (label ? strlen(label) : 0) && facts->id_len == making->id.len &&
               !memcmp(p11_facts_id(facts), making->id.data, making->id.len) &&
               facts->public_len == making->public.len &&
               !memcmp(p11_facts_public(facts), making->public.data, making->public.len);
    free(facts);
    return rv;
}

static CK_RV look_by_name(struct p11_session *session, const struct p11_making *making, const struct p11_want *want,
                          struct way *way)
{
    struct p11_handles found = { 0 };
    bool leftover;
    CK_RV rv = p11_find(session, want, &found);

    for (size_t i = 0; rv == CKR_OK && i < found.count; i++) {
        rv = is_leftover(session, making, want->kind, found.handle[i], &leftover);
        if (rv == CKR_OK && !leftover)
            take(way, want->kind, want->label_len > 0);
        if (rv == CKR_OK)
            rv = add(&way->old, found.handle[i]);
    }
    free(found.handle);
    return rv;
}

/* Who shares the id only: a certificate's is that of its key, and many may have it. */
static CK_RV look_by_id(struct p11_session *session, const struct p11_want *want, struct way *way)
{
    struct p11_handles found = { 0 };
    CK_RV rv = p11_find(session, want, &found);

    for (size_t i = 0; rv == CKR_OK && i < found.count; i++)
        if (!has(&way->old, found.handle[i]))
            take(way, want->kind, false);
    free(found.handle);
    return rv;
}

static CK_RV look(struct p11_session *session, const struct p11_making *making, uint32_t kind, struct way *way)
{
    const char *label = making->spec->label;
    struct p11_want by_label = { .kind = kind, .label = label, .label_len = label ? strlen(label) : 0 };
    struct p11_want by_id = { .kind = kind, .id = making->id.data, .id_len = making->id.len };
    CK_RV rv;

    if (!by_label.label_len)
        return by_id.id_len ? look_by_name(session, making, &by_id, way) : CKR_OK;
    rv = look_by_name(session, making, &by_label, way);
    if (rv != CKR_OK || !by_id.id_len || kind == HX_CERTIFICATE)
        return rv;
    return look_by_id(session, &by_id, way);
}

/* The public halves of a private key that goes, whatever their labels. */
static CK_RV add_halves(struct p11_session *session, CK_OBJECT_HANDLE handle, struct way *way)
{
    struct p11_facts *private = NULL, **public = NULL;
    struct p11_want want = { .kind = HX_PUBLIC_KEY };
    size_t count = 0;
    CK_RV rv = p11_facts_read(session, handle, HX_PRIVATE_KEY, &private);

    if (rv == CKR_OK && private && private->id_len) {
        want.id = p11_facts_id(private);
        want.id_len = private->id_len;
        rv = p11_find_facts(session, &want, &public, &count);
    }
    for (size_t i = 0; rv == CKR_OK && i < count; i++) {
        bool same = public[i] && public[i] -> public_len == private->public_len &&private->public_len &&
                                                  !memcmp(p11_facts_public(public[i]), p11_facts_public(private),
                                                          private->public_len);

        if (public[i] && (same || p11_is_other_half(private, public[i])))
            rv = add(&way->old, public[i] -> handle);
    }
    p11_free_facts(public, count);
    free(private);
    return rv;
}

/* A private key stands before its public half in way->old, and so goes first. */
static CK_RV survey(struct p11_session *session, const struct p11_making *making, struct way *way)
{
    CK_RV rv = look(session, making, making->spec->kind, way);
    size_t privates = way->old.count;

    if (making->spec->kind != HX_PRIVATE_KEY)
        return rv;
    for (size_t i = 0; rv == CKR_OK && i < privates; i++)
        rv = add_halves(session, way->old.handle[i], way);
    return rv == CKR_OK ? look(session, making, HX_PUBLIC_KEY, way) : rv;
}

/* The last made goes first.  Leaves in made what could not be destroyed. */
static void undo(struct p11_session *session, struct p11_made *made)
{
    while (made->count > 0 && session->fn->C_DestroyObject(session->handle, made->handle[made->count - 1]) == CKR_OK)
        made->count--;
}

/* A token with one place for each id, as PIV cards are, has put the new where the old was, under the old one's handle:
 * what was made is not to be destroyed. */
static void spare_new(const struct p11_made *made, struct p11_handles *old)
{
    size_t kept = 0;

    for (size_t i = 0; i < old->count; i++)
        if (old->handle[i] != made->handle[0] && (made->count < 2 || old->handle[i] != made->handle[1]))
            old->handle[kept++] = old->handle[i];
    old->count = kept;
}

enum outcome { DONE, TAKEN, NOT_MADE, HALF_MADE, NOT_REPLACED, BOTH };

static CK_RV put(struct p11_session *session, const struct p11_making *making, struct way *way, enum outcome *ret)
{
    struct p11_made made = { 0 };
    const char *function;
    size_t gone = 0;
    CK_RV rv = making->create(session, making->arg, &made);

    function = session->function;
    if (rv != CKR_OK) {
        undo(session, &made);
        *ret = made.count ? HALF_MADE : NOT_MADE;
        return rv;
    }
    spare_new(&made, &way->old);
    for (; rv == CKR_OK && gone < way->old.count; gone++) {
        function = "C_DestroyObject";
        rv = session->fn->C_DestroyObject(session->handle, way->old.handle[gone]);
        if (rv == CKR_OBJECT_HANDLE_INVALID) /* somebody else was quicker */
            rv = CKR_OK;
    }
    session->function = function;
    *ret = DONE;
    if (rv == CKR_OK)
        return rv;
    if (gone == 1) /* the first has not gone */
        undo(session, &made);
    *ret = made.count ? BOTH : NOT_REPLACED;
    return rv;
}

static const char *word(uint32_t kind)
{
    static const char *const words[] = { "object", "private key", "public key", "secret key", "certificate", "data" };

    return words[kind < sizeof words / sizeof *words ? kind : 0];
}

static int fail_taken(struct p11_token *token, const struct hx_spec *spec, const struct way *way)
{
    if (way->by_label)
        return hx_fail(token->host, HX_E_EXISTS, "token '%s' already has a %s with the label '%s'", token->label,
                       word(way->kind), spec->label);
    return hx_fail(token->host, HX_E_EXISTS, "token '%s' already has a %s with the same id", token->label,
                   word(way->kind));
}

/* The token's own reason has been given, and is told once more where it is not the whole story. */
static int explain(struct p11_token *token, const struct hx_spec *spec, enum outcome outcome, CK_RV rv, int r)
{
    const char *what = word(spec->kind), *label = spec->label ? spec->label : "", *name = p11_rv_name(rv);

    if (!name)
        name = "unknown result";
    switch (outcome) {
    case HALF_MADE:
        return hx_fail(token->host, r, "token '%s' made half of the %s '%s' (%s), and does not let go of it: remove it",
                       token->label, what, label, name);
    case NOT_REPLACED:
        return hx_fail(token->host, r,
                       "token '%s' keeps the old %s '%s', which cannot be destroyed (%s): nothing was "
                       "replaced",
                       token->label, what, label, name);
    case BOTH:
        return hx_fail(token->host, r,
                       "token '%s' has the new %s '%s', but the old one cannot be destroyed whole "
                       "(%s): both are there, remove one",
                       token->label, what, label, name);
    default:
        return r;
    }
}

int p11_make(struct p11_token *token, const struct p11_making *making)
{
    enum outcome outcome = NOT_MADE;
    struct p11_session session;
    struct way way = { 0 };
    CK_RV rv;
    int r;

    r = p11_session_take_rw(token, &session);
    if (r)
        return r;
    rv = survey(&session, making, &way);
    if (rv == CKR_OK && way.taken && !(making->spec->flags & HX_REPLACE))
        outcome = TAKEN;
    else if (rv == CKR_OK)
        rv = put(&session, making, &way, &outcome);
    r = p11_session_done(&session, rv);
    p11_recent_clear(token);
    free(way.old.handle);
    if (outcome == TAKEN)
        return fail_taken(token, making->spec, &way);
    return r ? explain(token, making->spec, outcome, rv, r) : 0;
}
