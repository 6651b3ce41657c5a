/* SPDX-License-Identifier: Apache-2.0 */
/* Keys with CKA_ALWAYS_AUTHENTICATE want the PIN once more in each operation, in its own session (PKCS#11 v2.40 §4.9,
 * CKU_CONTEXT_SPECIFIC).  The core gives it just before, and lets one thread at a time do so. */
#include "authorise.h"

#include "error.h"

#include <stdlib.h>
#include <string.h>

int p11_authorise(struct p11_object *object, const void *pin, size_t len)
{
    struct p11_token *token = object->token;

    p11_authorise_over(object);
    if (!pin && !token->pinpad)
        return hx_fail(token->host, HX_E_LOGIN, "token '%s' has no pinpad of its own: key '%s' wants a PIN each time",
                       token->label, p11_facts_label(object->facts));
    if (pin) {
        object->pin = malloc(len + 1);
        if (!object->pin)
            return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
        memcpy(object->pin, pin, len);
        object->pin_len = len;
    }
    object->authorised = true;
    return 0;
}

/* An operation that was begun stays so in its session when the PIN was refused. */
CK_RV p11_authorise_session(struct p11_session *session, struct p11_object *object)
{
    CK_RV rv;

    if (!(object->facts->flags & HX_ALWAYS_AUTH))
        return CKR_OK;
    session->function = "C_Login";
    rv = session->fn->C_Login(session->handle, CKU_CONTEXT_SPECIFIC, (CK_UTF8CHAR *)object->pin, object->pin_len);
    session->spoilt = rv != CKR_OK;
    return rv;
}

void p11_authorise_over(struct p11_object *object)
{
    if (object->pin)
        explicit_bzero(object->pin, object->pin_len);
    free(object->pin);
    object->pin = NULL;
    object->pin_len = 0;
    object->authorised = false;
}
