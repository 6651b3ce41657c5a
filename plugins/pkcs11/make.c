/* SPDX-License-Identifier: Apache-2.0 */
/* What all making has in common: which specs are understood, templates, ids and refs; and which import is which. */
#include "make.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ID_LEN 16

CK_ATTRIBUTE p11_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){ .type = type, .pValue = (void *)(uintptr_t)value, .ulValueLen = len };
}

void p11_add(struct p11_template *template, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    template->at[template->count++] = p11_attribute(type, value, len);
}

void p11_add_bool(struct p11_template *template, CK_ATTRIBUTE_TYPE type, bool value)
{
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

    p11_add(template, type, value ? &yes : &no, sizeof yes);
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
    if (p11_token_wants_login(token)) {
        p11_session_expect_rw(token);
        return hx_fail(token->host, HX_E_LOGIN, "token '%s' makes objects only after login", token->label);
    }
    return 0;
}

CK_RV p11_create_object(struct p11_session *session, const struct p11_template *template, struct p11_made *made)
{
    CK_ATTRIBUTE at[sizeof template->at / sizeof *template->at];
    CK_RV rv;

    memcpy(at, template->at, sizeof at);
    session->function = "C_CreateObject";
    rv = session->fn->C_CreateObject(session->handle, at, template->count, &made->handle[made->count]);
    made->count += rv == CKR_OK;
    return rv;
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
    if (spec.kind == HX_PRIVATE_KEY)
        return p11_import_private(token, &spec, part, parts, out);
    if (parts != 1)
        return hx_fail(token->host, HX_E_INVALID, "%zu parts, where one is the whole object", parts);
    if (spec.kind == HX_CERTIFICATE)
        return p11_import_certificate(token, &spec, part, out);
    if (spec.kind == HX_SECRET_KEY && spec.type == HX_GENERIC)
        return p11_import_secret(token, &spec, part, out);
    if (spec.kind == HX_DATA)
        return p11_import_data(token, &spec, part, out);
    return hx_fail(token->host, HX_E_UNSUPPORTED,
                   "token '%s' takes private keys, certificates, secrets and data, and nothing else", token->label);
}
