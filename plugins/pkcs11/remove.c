/* SPDX-License-Identifier: Apache-2.0 */
/* Removing one object; with a private key goes its public-key object, which generating made along with it. */
#include "make.h"

#include <stdlib.h>
#include <string.h>

/* Only the key's own other half: same id, label and value.  A token that does not tell the key's public value with
 * the private key leaves id and label to go by. */
static bool is_other_half(const struct p11_facts *private, const struct p11_facts *public)
{
    return public->id_len == private->id_len && public->label_len == private->label_len &&
           !memcmp(public->data, private->data, private->label_len + 1 + private->id_len) &&
           (private->public_len == 0 ||
            (public->public_len == private->public_len &&
             !memcmp(p11_facts_public(public), p11_facts_public(private), private->public_len)));
}

static CK_RV destroy(struct p11_session *session, const struct p11_facts *facts)
{
    CK_OBJECT_HANDLE handle = facts->handle;
    struct p11_handles gone = { &handle, 1 };
    struct p11_facts *public = NULL;
    CK_RV rv = CKR_OK;

    if (facts->kind == HX_PRIVATE_KEY)
        rv = p11_find_public(session, facts, &public);
    if (rv == CKR_OK)
        rv = p11_destroy(session, &gone);
    if (rv == CKR_OK && public && is_other_half(facts, public)) {
        handle = public->handle;
        rv = p11_destroy(session, &gone);
    }
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
    if (p11_token_wants_login(token))
        return hx_fail(token->host, HX_E_LOGIN, "token '%s' removes objects only after login", token->label);
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
