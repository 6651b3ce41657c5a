/* SPDX-License-Identifier: Apache-2.0 */
/* ECDH (PKCS#11 v2.40 mechanisms, CKM_ECDH1_DERIVE): the module makes the shared secret an object of the session,
 * whose value is read before it is destroyed. */
#include "curve.h"
#include "error.h"
#include "operation.h"

#include <openssl/crypto.h>
#include <string.h>

#define SECRET_MAX 66 /* P-521 */

struct derivation {
    CK_OBJECT_HANDLE key;
    struct hx_buf raw, der; /* the peer's point; der.data is for OPENSSL_free() */
    CK_ULONG width;
    unsigned char secret[SECRET_MAX];
    CK_ULONG secret_len;
};

static CK_RV make_secret(struct p11_session *session, const struct derivation *derivation, bool wrapped,
                         CK_OBJECT_HANDLE *ret)
{
    const struct hx_buf *point = wrapped ? &derivation->der : &derivation->raw;
    CK_ECDH1_DERIVE_PARAMS ecdh = { .kdf = CKD_NULL,
                                    .ulPublicDataLen = point->len,
                                    .pPublicData = (CK_BYTE *)(uintptr_t)point->data }; /* only read */
    CK_MECHANISM mechanism = { CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh };
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG width = derivation->width;
    CK_ATTRIBUTE at[] = {
        { CKA_CLASS, &class, sizeof class },   { CKA_KEY_TYPE, &type, sizeof type },
        { CKA_TOKEN, &no, sizeof no },         { CKA_SENSITIVE, &no, sizeof no },
        { CKA_EXTRACTABLE, &yes, sizeof yes }, { CKA_VALUE_LEN, &width, sizeof width },
    };

    session->function = "C_DeriveKey";
    return session->fn->C_DeriveKey(session->handle, &mechanism, derivation->key, at, sizeof at / sizeof *at, ret);
}

/* What a module may say to a point written in the other way; that it lies on the curve is known. */
static bool is_of_the_point(CK_RV rv)
{
    switch (rv) {
    case CKR_ARGUMENTS_BAD:
    case CKR_DATA_INVALID:
    case CKR_DATA_LEN_RANGE:
    case CKR_DOMAIN_PARAMS_INVALID:
    case CKR_FUNCTION_FAILED:
    case CKR_GENERAL_ERROR:
    case CKR_MECHANISM_PARAM_INVALID:
    case CKR_PUBLIC_KEY_INVALID:
        return true;
    default:
        return false;
    }
}

/* Every module should take the point as it is, and some take only one wrapped in an OCTET STRING: what served is
 * remembered. */
static CK_RV make_secret_either_way(struct p11_session *session, const struct derivation *derivation,
                                    CK_OBJECT_HANDLE *ret)
{
    atomic_bool *wraps = &session->token->wraps_points;
    bool wrapped = atomic_load(wraps);
    CK_RV rv = make_secret(session, derivation, wrapped, ret), again;

    if (!is_of_the_point(rv))
        return rv;
    again = make_secret(session, derivation, !wrapped, ret);
    if (is_of_the_point(again))
        return rv;
    if (again == CKR_OK)
        atomic_store(wraps, !wrapped);
    return again;
}

/* A secret that cannot be destroyed goes with its session. */
static CK_RV read_and_destroy(struct p11_session *session, CK_OBJECT_HANDLE handle, struct derivation *derivation)
{
    CK_ATTRIBUTE at = { CKA_VALUE, derivation->secret, sizeof derivation->secret };
    CK_RV rv, rv_destroy;

    rv = session->fn->C_GetAttributeValue(session->handle, handle, &at, 1);
    rv_destroy = session->fn->C_DestroyObject(session->handle, handle);
    session->spoilt = rv_destroy != CKR_OK;
    if (p11_sessions_are_gone(rv_destroy)) {
        session->function = "C_DestroyObject";
        return rv_destroy;
    }
    session->function = "C_GetAttributeValue";
    if (rv == CKR_OK && at.ulValueLen == CK_UNAVAILABLE_INFORMATION)
        return CKR_ATTRIBUTE_SENSITIVE;
    derivation->secret_len = at.ulValueLen;
    return rv;
}

static CK_RV derive(struct p11_session *session, struct derivation *derivation)
{
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    CK_RV rv = make_secret_either_way(session, derivation, &handle);

    return rv == CKR_OK ? read_and_destroy(session, handle, derivation) : rv;
}

static int check(struct p11_object *object, const struct hx_alg *alg, const void *point, size_t len)
{
    uint32_t type = object->facts->type;
    int r = p11_check_key(object, HX_PRIVATE_KEY, alg);

    if (r)
        return r;
    if (object->facts->flags & HX_ALWAYS_AUTH) /* C_DeriveKey begins nothing in which a PIN could be sent */
        return p11_refuse(object, "a key with CKA_ALWAYS_AUTHENTICATE can only sign and decrypt");
    if (alg->scheme != HX_ECDH || alg->param.len || type < HX_P256 || type > HX_P521)
        return p11_refuse(object, "no such scheme to derive by for that type of key");
    if (len != 1 + 2 * p11_width(object))
        return p11_refuse_length(object, len);
    if (!p11_curve_has_point(type, point, len))
        return hx_fail(object->token->host, HX_E_INVALID, "the peer's key is no point on the curve of key '%s'",
                       p11_facts_label(object->facts));
    return 0;
}

int p11_derive(void *opaque, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_out *out)
{
    struct p11_object *object = opaque;
    struct derivation derivation = { .key = object->facts->handle, .raw = { in, in_len } };
    struct p11_session session;
    unsigned char *der = NULL;
    int r;

    r = check(object, alg, in, in_len);
    if (r)
        return r;
    derivation.width = p11_width(object);
    derivation.der.len = p11_curve_wrap_point(in, in_len, &der);
    derivation.der.data = der;
    if (!der)
        return hx_fail(object->token->host, HX_E_NO_MEMORY, "out of memory");
    r = p11_session_take(object->token, &session);
    if (!r)
        r = p11_session_done(&session, derive(&session, &derivation));
    if (!r && !derivation.secret_len) /* would become zeros, which everybody knows */
        r = hx_fail(object->token->host, HX_E_DEVICE, "token '%s' agreed on a secret of no bytes",
                    object->token->label);
    if (!r)
        r = p11_put_number(object, derivation.secret, derivation.secret_len, out);
    explicit_bzero(&derivation, sizeof derivation);
    OPENSSL_free(der);
    return r;
}
