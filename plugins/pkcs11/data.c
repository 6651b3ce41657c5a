/* SPDX-License-Identifier: Apache-2.0 */
/* Storing data: private, since it may be a PIN or a token, unless it may leave the token for everybody. */
#include "make.h"

#include <string.h>

#define VALUE_MAX (1024 * 1024) /* bytes */

struct data {
    const struct hx_spec *spec;
    const struct hx_buf *value;
};

static CK_RV create(struct p11_session *session, void *arg, struct p11_made *made)
{
    const struct data *data = arg;
    CK_OBJECT_CLASS class = CKO_DATA;
    struct p11_template template = { 0 };

    p11_add(&template, CKA_CLASS, &class, sizeof class);
    p11_add_bool(&template, CKA_TOKEN, true);
    p11_add_bool(&template, CKA_PRIVATE, !(data->spec->flags & HX_EXTRACTABLE));
    p11_add(&template, CKA_LABEL, data->spec->label, strlen(data->spec->label));
    p11_add(&template, CKA_VALUE, data->value->data, data->value->len);
    return p11_create_object(session, &template, made);
}

int p11_import_data(struct p11_token *token, const struct hx_spec *spec, const struct hx_buf *value, struct hx_out *out)
{
    struct data data = { spec, value };
    struct p11_making making = { .spec = spec, .create = create, .arg = &data };
    int r = p11_check_spec(token, spec, HX_REPLACE | HX_EXTRACTABLE);

    if (r)
        return r;
    if (!spec->label || !*spec->label || spec->id.len)
        return hx_fail(token->host, HX_E_INVALID, "data has a label, and no id, in PKCS#11");
    if (!value->len || value->len > VALUE_MAX)
        return hx_fail(token->host, HX_E_INVALID, "data has 1 to %d bytes here", VALUE_MAX);
    r = p11_make(token, &making);
    return r ? r : p11_put_ref(token, spec, NULL, 0, out);
}
