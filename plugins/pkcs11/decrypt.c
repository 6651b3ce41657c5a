/* SPDX-License-Identifier: Apache-2.0 */
/* RSA decryption, two calls each.  Where the token unpads, nobody may learn in what way a padding was bad: the module's
 * reason is dropped, and all that can come from the text is one and the same answer. */
#include "authorise.h"
#include "error.h"
#include "hash.h"
#include "operation.h"

#include <string.h>

struct decryption {
    CK_MECHANISM mechanism;
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    CK_BYTE *in;
    CK_ULONG in_len;
};

/* SoftHSM takes any label, and then decrypts as if there were none. */
static int prepare_oaep(struct p11_object *object, const struct hx_alg *alg, struct decryption *ret)
{
    const struct p11_hash *hash = p11_hash(alg->hash);
    const struct p11_hash *mgf = alg->mgf_hash ? p11_hash(alg->mgf_hash) : hash;

    if (!hash || !mgf)
        return p11_refuse(object, "unknown hash");
    if (alg->param.len && object->token->softhsm)
        return p11_refuse(object, "SoftHSM forgets the label");
    ret->oaep = (CK_RSA_PKCS_OAEP_PARAMS){ .hashAlg = hash->mechanism, .mgf = mgf->mgf, .source = CKZ_DATA_SPECIFIED };
    if (alg->param.len) {
        ret->oaep.pSourceData = (void *)(uintptr_t)alg->param.data; /* only read */
        ret->oaep.ulSourceDataLen = alg->param.len;
    }
    ret->mechanism = (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &ret->oaep, sizeof ret->oaep };
    return 0;
}

static int prepare(struct p11_object *object, const struct hx_alg *alg, struct decryption *ret)
{
    int r = p11_check_key(object, HX_PRIVATE_KEY, alg);

    if (r)
        return r;
    if (object->facts->type != HX_RSA || (alg->scheme != HX_RSA_OAEP && alg->scheme != HX_RSA_RAW))
        return p11_refuse(object, "no such scheme to decrypt by for that type of key");
    if (ret->in_len != p11_width(object))
        return p11_refuse_length(object, ret->in_len);
    if (alg->scheme == HX_RSA_OAEP)
        return prepare_oaep(object, alg, ret);
    ret->mechanism.mechanism = CKM_RSA_X_509;
    return alg->param.len ? p11_refuse(object, "unknown parameters") : 0;
}

/* The module was content with key and parameters, and is with nothing lost: what remains is the text.  Some modules
 * call a bad one a device error: whoever sent it could tell, and would have the token opened again for each. */
static bool is_of_the_text(const struct p11_object *object, CK_RV rv)
{
    int r = p11_result(rv);

    if (rv == CKR_DEVICE_ERROR)
        return p11_suspect(object);
    return rv != CKR_OK && (r == HX_E_INVALID || r == HX_E_DEVICE);
}

static CK_RV call(struct p11_session *session, struct p11_object *key, struct decryption *decryption,
                  unsigned char *plain, CK_ULONG *len, bool *ret_bad_text)
{
    CK_RV rv;

    session->function = "C_DecryptInit";
    rv = session->fn->C_DecryptInit(session->handle, &decryption->mechanism, key->facts->handle);
    if (rv == CKR_OK)
        rv = p11_authorise_session(session, key);
    if (rv != CKR_OK)
        return rv;
    session->function = "C_Decrypt";
    rv = session->fn->C_Decrypt(session->handle, decryption->in, decryption->in_len, plain, len);
    *ret_bad_text = is_of_the_text(key, rv);
    return rv;
}

static int put(const struct p11_object *object, const struct hx_alg *alg, const unsigned char *plain, size_t len,
               struct hx_out *out)
{
    if (alg->scheme == HX_RSA_RAW)
        return p11_put_number(object, plain, len, out);
    if (len > p11_width(object))
        return hx_fail(object->token->host, HX_E_DEVICE, "token '%s' decrypted %zu bytes to more", object->token->label,
                       p11_width(object));
    return hx_put(out, plain, len);
}

int p11_decrypt(void *opaque, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_out *out)
{
    struct p11_object *object = opaque;
    struct decryption decryption = { .in = (CK_BYTE *)(uintptr_t)in, .in_len = in_len }; /* only read */
    unsigned char plain[P11_RESULT_MAX];
    CK_ULONG len = sizeof plain;
    struct p11_session session;
    bool bad_text = false;
    CK_RV rv;
    int r;

    r = prepare(object, alg, &decryption);
    if (!r)
        r = p11_session_take(object->token, &session);
    if (r)
        return r;
    rv = call(&session, object, &decryption, plain, &len, &bad_text);
    session.spoilt = session.spoilt || (bad_text && p11_session_is_dead(rv));
    r = p11_session_done(&session, bad_text ? CKR_OK : rv);
    if (bad_text)
        r = hx_fail(object->token->host, HX_E_INVALID, "token '%s' cannot decrypt that with key '%s'",
                    object->token->label, p11_facts_label(object->facts));
    else if (!r)
        r = put(object, alg, plain, len, out);
    explicit_bzero(plain, sizeof plain);
    return r;
}
