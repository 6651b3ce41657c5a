/* SPDX-License-Identifier: Apache-2.0 */
/* Making secret keys: taken in as bytes, or generated on the token. */
#include "make.h"

#include <string.h>

#define SECRET_MAX 1024 /* bytes */

struct secret {
    const struct hx_spec *spec;
    const struct hx_buf *value; /* NULL: the token makes one */
    CK_ULONG len;
    unsigned char id[P11_ID_MAX];
    size_t id_len;
};

static CK_RV create(struct p11_session *session, void *arg, struct p11_made *made)
{
    const struct secret *secret = arg;
    const char *label = secret->spec->label;
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_MECHANISM mechanism = { CKM_GENERIC_SECRET_KEY_GEN, NULL, 0 };
    bool extractable = secret->spec->flags & HX_EXTRACTABLE;
    struct p11_template template = { 0 };
    CK_RV rv;

    p11_add(&template, CKA_CLASS, &class, sizeof class);
    p11_add(&template, CKA_KEY_TYPE, &type, sizeof type);
    p11_add_bool(&template, CKA_TOKEN, true);
    p11_add_bool(&template, CKA_PRIVATE, true);
    p11_add_bool(&template, CKA_SENSITIVE, !extractable);
    p11_add_bool(&template, CKA_EXTRACTABLE, extractable);
    p11_add_bool(&template, CKA_SIGN, true);
    p11_add_bool(&template, CKA_VERIFY, true);
    p11_add(&template, CKA_ID, secret->id, secret->id_len);
    if (label)
        p11_add(&template, CKA_LABEL, label, strlen(label));
    if (secret->value) {
        p11_add(&template, CKA_VALUE, secret->value->data, secret->value->len);
        return p11_create_object(session, &template, made);
    }
    p11_add(&template, CKA_VALUE_LEN, &secret->len, sizeof secret->len);
    session->function = "C_GenerateKey";
    rv = session->fn->C_GenerateKey(session->handle, &mechanism, template.at, template.count, &made->handle[0]);
    made->count = rv == CKR_OK;
    return rv;
}

static int make(struct p11_token *token, struct secret *secret, struct hx_out *out)
{
    const struct hx_spec *spec = secret->spec;
    struct p11_making making = { .spec = spec, .id = spec->id, .create = create, .arg = secret };
    int r;

    if (spec->flags & HX_EXTRACTABLE && spec->flags & HX_IN_HARDWARE)
        return hx_fail(token->host, HX_E_INVALID, "a secret that may leave the token is not kept in hardware");
    r = p11_choose_id(token, spec, secret->id, &secret->id_len);
    if (!r)
        r = p11_make(token, &making);
    return r ? r : p11_put_ref(token, spec, secret->id, secret->id_len, out);
}

int p11_import_secret(struct p11_token *token, const struct hx_spec *spec, const struct hx_buf *value,
                      struct hx_out *out)
{
    struct secret secret = { .spec = spec, .value = value };
    int r = p11_check_spec(token, spec, HX_REPLACE | HX_EXTRACTABLE | HX_IN_HARDWARE);

    if (r)
        return r;
    if (!value->len || value->len > SECRET_MAX)
        return hx_fail(token->host, HX_E_INVALID, "secrets have 1 to %d bytes here", SECRET_MAX);
    if (spec->bits && spec->bits != value->len * 8)
        return hx_fail(token->host, HX_E_INVALID, "the secret has %zu bits, not %u", value->len * 8, spec->bits);
    return make(token, &secret, out);
}

int p11_generate_secret(struct p11_token *token, const struct hx_spec *spec, struct hx_out *out)
{
    struct secret secret = { .spec = spec, .len = spec->bits ? spec->bits / 8 : 32 };
    int r = p11_check_spec(token, spec, HX_REPLACE | HX_EXTRACTABLE | HX_IN_HARDWARE);

    if (r)
        return r;
    if (spec->bits % 8 || secret.len < 16 || secret.len > SECRET_MAX)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "secrets have 128 to 8192 bits here, in whole bytes");
    return make(token, &secret, out);
}
