/* SPDX-License-Identifier: Apache-2.0 */
/* What all making has in common: which specs are understood, and what happens to an object that bears the same label
 * or id. */
#include "make.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ID_LEN 16

CK_ATTRIBUTE p11_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){ .type = type, .pValue = (void *)(uintptr_t)value, .ulValueLen = len };
}

int p11_check_spec(struct p11_token *token, const struct hx_spec *spec, uint32_t flags)
{
    if (spec->spare[0] || spec->spare[1] || spec->spare[2] || spec->spare_ptr[0] || spec->spare_ptr[1] ||
        spec->flags & ~flags)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s' cannot make an object with those properties",
                       token->label);
    if (spec->place)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s' has no place '%s': it chooses itself", token->label,
                       spec->place);
    if (spec->usage & ~p11_usual_usage(spec->kind, spec->type))
        return hx_fail(token->host, HX_E_UNSUPPORTED, "a key of that type has no such usage");
    if (spec->id.len > P11_ID_MAX || (spec->label && strlen(spec->label) > 255))
        return hx_fail(token->host, HX_E_INVALID, "label or id is longer than 255 bytes");
    if (p11_token_wants_login(token))
        return hx_fail(token->host, HX_E_LOGIN, "token '%s' makes objects only after login", token->label);
    return 0;
}

/* The old objects of the new one's kind, by label and then by id; those found twice are destroyed once. */
static CK_RV find_old(struct p11_session *session, uint32_t kind, const struct hx_spec *spec, struct p11_handles *ret)
{
    struct p11_want by_label = { .kind = kind,
                                 .label = spec->label,
                                 .label_len = spec->label ? strlen(spec->label) : 0 };
    struct p11_want by_id = { .kind = kind, .id = spec->id.data, .id_len = spec->id.len };
    struct p11_handles more = { 0 };
    CK_OBJECT_HANDLE *joined;
    CK_RV rv = CKR_OK;

    if (by_label.label_len)
        rv = p11_find(session, &by_label, ret);
    if (rv != CKR_OK || !by_id.id_len)
        return rv;
    rv = p11_find(session, &by_id, &more);
    if (rv != CKR_OK)
        return rv;
    joined = reallocarray(ret->handle, ret->count + more.count + 1, sizeof *joined);
    if (joined) {
        for (size_t i = 0; i < more.count; i++)
            joined[ret->count + i] = more.handle[i];
        ret->handle = joined;
        ret->count += more.count;
    }
    free(more.handle);
    return joined ? CKR_OK : CKR_HOST_MEMORY;
}

CK_RV p11_find_old(struct p11_session *session, uint32_t kind, const struct hx_spec *spec, struct p11_handles *ret)
{
    struct p11_handles old = { 0 };
    CK_RV rv = find_old(session, kind, spec, &old);

    if (rv == CKR_OK)
        *ret = old;
    else
        free(old.handle);
    return rv;
}

CK_RV p11_destroy(struct p11_session *session, const struct p11_handles *old)
{
    CK_RV rv = CKR_OK;

    session->function = "C_DestroyObject";
    for (size_t i = 0; rv == CKR_OK && i < old->count; i++) {
        rv = session->fn->C_DestroyObject(session->handle, old->handle[i]);
        if (rv == CKR_OBJECT_HANDLE_INVALID) /* it had both label and id, and is gone already */
            rv = CKR_OK;
    }
    return rv;
}

int p11_fail_exists(struct p11_token *token, const struct hx_spec *spec)
{
    static const char *const words[] = { "object", "private key", "public key", "secret key", "certificate", "data" };
    const char *what = spec->kind < sizeof words / sizeof *words ? words[spec->kind] : words[0];

    if (spec->label && *spec->label)
        return hx_fail(token->host, HX_E_EXISTS, "token '%s' already has a %s with the label '%s'%s", token->label,
                       what, spec->label, spec->id.len ? ", or with the same id" : "");
    return hx_fail(token->host, HX_E_EXISTS, "token '%s' already has a %s with the same id", token->label, what);
}

/* Where one is and is not to be replaced, nothing is made; *ret_exists says so. */
static CK_RV make(struct p11_session *session, const struct hx_spec *spec, p11_create *create, void *arg,
                  bool *ret_exists)
{
    struct p11_handles old = { 0 };
    CK_RV rv;

    rv = p11_find_old(session, spec->kind, spec, &old);
    *ret_exists = rv == CKR_OK && old.count > 0 && !(spec->flags & HX_REPLACE);
    if (rv == CKR_OK && !*ret_exists)
        rv = create(session, arg);
    if (rv == CKR_OK && !*ret_exists)
        rv = p11_destroy(session, &old);
    free(old.handle);
    return rv;
}

int p11_make(struct p11_token *token, const struct hx_spec *spec, p11_create *create, void *arg)
{
    struct p11_session session;
    bool exists = false;
    int r;

    r = p11_session_take_rw(token, &session);
    if (r)
        return r;
    r = p11_session_done(&session, make(&session, spec, create, arg, &exists));
    p11_recent_clear(token);
    return r || !exists ? r : p11_fail_exists(token, spec);
}

int p11_choose_id(struct p11_token *token, const struct hx_spec *spec, unsigned char ret[P11_ID_MAX], size_t *ret_len)
{
    if (spec->id.len)
        memcpy(ret, spec->id.data, spec->id.len);
    else if (getrandom(ret, ID_LEN, 0) != ID_LEN)
        return hx_fail(token->host, HX_E_DEVICE, "the system gives no random bytes");
    *ret_len = spec->id.len ? spec->id.len : ID_LEN;
    return 0;
}

int p11_put_ref(struct p11_token *token, const struct hx_spec *spec, const void *id, size_t id_len, struct hx_out *out)
{
    struct p11_ref ref = { .kind = spec->kind,
                           .id = id,
                           .id_len = id_len,
                           .label = (const unsigned char *)spec->label,
                           .label_len = spec->label ? strlen(spec->label) : 0 };
    size_t len;
    unsigned char *bytes = p11_ref_write(&ref, &len);
    int r = bytes ? hx_put(out, bytes, len) : hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");

    free(bytes);
    return r;
}

int p11_import(struct p11_token *token, const struct hx_spec *given, const struct hx_buf *part, size_t parts,
               struct hx_out *out)
{
    struct hx_spec spec = *given;

    if (spec.kind == HX_SECRET_KEY && !spec.type)
        spec.type = HX_GENERIC;
    if (spec.kind == HX_CERTIFICATE && parts == 1)
        return p11_import_certificate(token, &spec, part, out);
    if (spec.kind == HX_SECRET_KEY && spec.type == HX_GENERIC && parts == 1)
        return p11_import_secret(token, &spec, part, out);
    return hx_fail(
        token->host, HX_E_UNSUPPORTED,
        "this plugin imports only certificates and secrets so far; make the key on the token with `hsmux key "
        "generate`");
}
