/* SPDX-License-Identifier: Apache-2.0 */
/* See operation.h. */
#include "operation.h"

#include <string.h>

int p11_refuse(const struct p11_object *object, const char *what)
{
    return hx_fail(object->token->host, HX_E_UNSUPPORTED, "key '%s' on token '%s' cannot do that: %s",
                   p11_facts_label(object->facts), object->token->label, what);
}

int p11_refuse_length(const struct p11_object *object, size_t len)
{
    return hx_fail(object->token->host, HX_E_INVALID, "%zu bytes are no input for that operation with key '%s'", len,
                   p11_facts_label(object->facts));
}

int p11_check_key(const struct p11_object *object, uint32_t kind, const struct hx_alg *alg)
{
    if (alg->spare[0] || alg->spare[1] || alg->spare[2] || alg->spare[3])
        return p11_refuse(object, "unknown parameters");
    if (object->facts->kind != kind)
        return p11_refuse(object, kind == HX_PRIVATE_KEY ? "it is no private key" : "it is no secret key");
    if (object->facts->type == HX_RSA && p11_width(object) > P11_RESULT_MAX) /* no room for what comes out */
        return p11_refuse(object, "it has more than 8192 bits");
    if (object->facts->flags & HX_ALWAYS_AUTH && !object->authorised)
        return p11_refuse(object, "it wants the PIN for each operation (CKA_ALWAYS_AUTHENTICATE)");
    return 0;
}

size_t p11_width(const struct p11_object *object)
{
    return (object->facts->bits + 7) / 8;
}

/* The same steps whatever was left out: how a decrypted block begins is what an attack on OAEP would know. */
int p11_put_number(const struct p11_object *object, const void *number, size_t len, struct hx_out *out)
{
    unsigned char wide[P11_RESULT_MAX] = { 0 };
    size_t width = p11_width(object);
    int r;

    if (len > width || width > sizeof wide)
        return hx_fail(object->token->host, HX_E_DEVICE, "token '%s' answered %zu bytes instead of %zu",
                       object->token->label, len, width);
    memcpy(wide + width - len, number, len);
    r = hx_put(out, wide, width);
    explicit_bzero(wide, sizeof wide);
    return r;
}
