/* SPDX-License-Identifier: Apache-2.0 */
/* Signing, and message authentication codes: the mechanism for each scheme, and two calls a signature.  Only what is
 * too long for the buffers of some modules goes in pieces. */
#include "authorise.h"
#include "hash.h"
#include "operation.h"

#include <stdlib.h>
#include <string.h>

#define PIECE (32 * 1024)

/* All that one C_SignInit and C_Sign need. */
struct signing {
    CK_MECHANISM mechanism;
    CK_RSA_PKCS_PSS_PARAMS pss;
    unsigned char digest_info[19 + 64];
    const void *in;
    size_t in_len, out_len;
};

static int prepare_pkcs1(struct p11_object *object, const struct hx_alg *alg, struct signing *ret)
{
    const struct p11_hash *hash = p11_hash(alg->hash);

    ret->mechanism.mechanism = CKM_RSA_PKCS;
    if (alg->hash == 0)
        return ret->in_len + 11 > ret->out_len ? p11_refuse_length(object, ret->in_len) : 0;
    if (!hash)
        return p11_refuse(object, "unknown hash");
    if (ret->in_len != hash->size)
        return p11_refuse_length(object, ret->in_len);
    memcpy(ret->digest_info, hash->prefix, hash->prefix_len);
    memcpy(ret->digest_info + hash->prefix_len, ret->in, ret->in_len);
    ret->in = ret->digest_info;
    ret->in_len += hash->prefix_len;
    return 0;
}

static int prepare_pss(struct p11_object *object, const struct hx_alg *alg, struct signing *ret)
{
    const struct p11_hash *hash = p11_hash(alg->hash);
    const struct p11_hash *mgf = alg->mgf_hash ? p11_hash(alg->mgf_hash) : hash;

    if (!hash || !mgf)
        return p11_refuse(object, "unknown hash");
    if (ret->in_len != hash->size)
        return p11_refuse_length(object, ret->in_len);
    ret->pss = (CK_RSA_PKCS_PSS_PARAMS){ .hashAlg = hash->mechanism, .mgf = mgf->mgf, .sLen = alg->salt_len };
    ret->mechanism = (CK_MECHANISM){ CKM_RSA_PKCS_PSS, &ret->pss, sizeof ret->pss };
    return 0;
}

static int prepare_rsa(struct p11_object *object, const struct hx_alg *alg, struct signing *ret)
{
    ret->out_len = p11_width(object);
    switch (alg->scheme) {
    case HX_RSA_PKCS1:
        return prepare_pkcs1(object, alg, ret);
    case HX_RSA_PSS:
        return prepare_pss(object, alg, ret);
    case HX_RSA_RAW:
        ret->mechanism.mechanism = CKM_RSA_X_509;
        return ret->in_len == ret->out_len ? 0 : p11_refuse_length(object, ret->in_len);
    default:
        return p11_refuse(object, "no such scheme for an RSA key");
    }
}

static int prepare_hmac(struct p11_object *object, const struct hx_alg *alg, struct signing *ret)
{
    const struct p11_hash *hash = p11_hash(alg->hash);

    if (alg->scheme != HX_HMAC)
        return p11_refuse(object, "no such scheme for a secret key");
    if (!hash)
        return p11_refuse(object, "unknown hash");
    if (object->facts->mac_hash && object->facts->mac_hash != alg->hash)
        return p11_refuse(object, "it is made for another hash");
    ret->mechanism.mechanism = hash->hmac;
    ret->out_len = hash->size;
    return 0;
}

static int prepare(struct p11_object *object, const struct hx_alg *alg, struct signing *ret)
{
    const struct p11_facts *facts = object->facts;
    bool secret = facts->kind == HX_SECRET_KEY;
    int r = p11_check_key(object, secret ? HX_SECRET_KEY : HX_PRIVATE_KEY, alg);

    if (r)
        return r;
    if (alg->param.len)
        return p11_refuse(object, "unknown parameters");
    if (secret)
        return prepare_hmac(object, alg, ret);
    if (facts->type == HX_RSA)
        return prepare_rsa(object, alg, ret);
    ret->out_len = 2 * p11_width(object);
    if (facts->type == HX_ED25519 && alg->scheme == HX_EDDSA) {
        ret->mechanism.mechanism = CKM_EDDSA;
        return 0;
    }
    if (facts->type == HX_ED25519 || alg->scheme != HX_ECDSA)
        return p11_refuse(object, "no such scheme for that type of key");
    ret->mechanism.mechanism = CKM_ECDSA;
    return ret->in_len > 0 && ret->in_len <= ret->out_len / 2 ? 0 : p11_refuse_length(object, ret->in_len);
}

/* What fails halfway may go on in the session for ever, if the module is careless. */
static CK_RV sign_in_pieces(struct p11_session *session, CK_BYTE *in, size_t len, unsigned char *signature,
                            CK_ULONG *signature_len)
{
    CK_RV rv = CKR_OK;

    session->function = "C_SignUpdate";
    for (size_t done = 0, piece; rv == CKR_OK && done < len; done += piece) {
        piece = len - done < PIECE ? len - done : PIECE;
        rv = session->fn->C_SignUpdate(session->handle, in + done, piece);
    }
    if (rv == CKR_OK) {
        session->function = "C_SignFinal";
        rv = session->fn->C_SignFinal(session->handle, signature, signature_len);
    }
    session->spoilt = rv != CKR_OK;
    return rv;
}

/* PKCS#11 has no const, and no module writes to what it signs; some want an address even of nothing. */
static CK_RV call(struct p11_session *session, struct p11_object *key, struct signing *signing,
                  unsigned char *signature, CK_ULONG *len)
{
    CK_BYTE *in = (CK_BYTE *)(uintptr_t)(signing->in_len ? signing->in : "");
    CK_RV rv;

    session->function = "C_SignInit";
    rv = session->fn->C_SignInit(session->handle, &signing->mechanism, key->facts->handle);
    if (rv == CKR_OK)
        rv = p11_authorise_session(session, key);
    if (rv != CKR_OK)
        return rv;
    if (key->facts->kind == HX_SECRET_KEY && signing->in_len > PIECE)
        return sign_in_pieces(session, in, signing->in_len, signature, len);
    session->function = "C_Sign";
    return session->fn->C_Sign(session->handle, in, signing->in_len, signature, len);
}

int p11_sign(void *opaque, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_out *out)
{
    struct p11_object *object = opaque;
    struct signing signing = { .in = in, .in_len = in_len };
    unsigned char signature[P11_RESULT_MAX];
    CK_ULONG len = sizeof signature;
    struct p11_session session;
    int r;

    r = prepare(object, alg, &signing);
    if (!r)
        r = p11_session_take(object->token, &session);
    if (r)
        return r;
    r = p11_session_done(&session, call(&session, object, &signing, signature, &len));
    if (!r && len != signing.out_len)
        r = hx_fail(object->token->host, HX_E_DEVICE, "token '%s' made a signature of %lu bytes instead of %zu",
                    object->token->label, len, signing.out_len);
    if (!r)
        r = hx_put(out, signature, len);
    explicit_bzero(signature, sizeof signature); /* of a message authentication code others make keys */
    return r;
}
