/* SPDX-License-Identifier: Apache-2.0 */
/* Removing one object; with a private key goes its public-key object, which generating made along with it. */
#include "make.h"

#include <stdlib.h>
#include <string.h>

static CK_RV destroy_one(struct p11_session *session, CK_OBJECT_HANDLE handle)
{
    CK_RV rv;

    session->function = "C_DestroyObject";
    rv = session->fn->C_DestroyObject(session->handle, handle);
    return rv == CKR_OBJECT_HANDLE_INVALID ? CKR_OK : rv; /* somebody else was quicker */
}

static CK_RV destroy(struct p11_session *session, const struct p11_facts *facts)
{
    struct p11_facts *public = NULL;
    CK_RV rv = CKR_OK;

    if (facts->kind == HX_PRIVATE_KEY)
        rv = p11_find_public(session, facts, &public);
    if (rv == CKR_OK)
        rv = destroy_one(session, facts->handle);
    if (rv == CKR_OK && public && p11_is_other_half(facts, public))
        rv = destroy_one(session, public->handle);
    free(public);
    return rv;
}

int p11_remove(struct p11_token *token, uint32_t kind, const void *ref_data, size_t ref_len)
{
    struct p11_session session;
    struct p11_facts *facts = NULL;
    struct p11_ref ref;
    size_t count = 0;
    CK_RV rv;
    int r;

    if (!p11_ref_read(ref_data, ref_len, &ref) || ref.kind != kind)
        return hx_fail(token->host, HX_E_INVALID, "that reference is none of token '%s'", token->label);
    if (p11_token_wants_login(token)) {
        p11_session_expect_rw(token);
        return hx_fail(token->host, HX_E_LOGIN, "token '%s' removes objects only after login", token->label);
    }
    r = p11_session_take_rw(token, &session);
    if (r)
        return r;
    rv = p11_find_ref(&session, &ref, &facts, &count);
    if (rv == CKR_OK && count == 1)
        rv = destroy(&session, facts);
    r = p11_session_done(&session, rv);
    p11_recent_clear(token);
    free(facts);
    if (r || count == 1)
        return r;
    return count ? p11_fail_ambiguous(token, &ref, count) : p11_fail_missing(token, &ref);
}
