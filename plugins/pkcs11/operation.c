/* SPDX-License-Identifier: Apache-2.0 */
/* See operation.h.  A key with CKA_ALWAYS_AUTHENTICATE would want a login of its own (CKU_CONTEXT_SPECIFIC) within each
 * operation, and is refused until there is one. */
#include "operation.h"

#define WIDTH_MAX 1024 /* RSA-8192 */

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
    if (object->facts->flags & HX_ALWAYS_AUTH)
        return p11_refuse(object, "it wants a login for each operation (CKA_ALWAYS_AUTHENTICATE)");
    return 0;
}

size_t p11_width(const struct p11_object *object)
{
    return (object->facts->bits + 7) / 8;
}

int p11_put_number(const struct p11_object *object, const void *number, size_t len, struct hx_out *out)
{
    static const unsigned char zeros[WIDTH_MAX];
    size_t width = p11_width(object);
    int r = 0;

    if (len > width || width - len > sizeof zeros)
        return hx_fail(object->token->host, HX_E_DEVICE, "token '%s' answered %zu bytes instead of %zu",
                       object->token->label, len, width);
    if (len < width)
        r = hx_put(out, zeros, width - len);
    return r ? r : hx_put(out, number, len);
}
