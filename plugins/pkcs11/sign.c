/* SPDX-License-Identifier: Apache-2.0 */
/* Signing: the mechanism for each scheme, and two calls a signature.  A key with CKA_ALWAYS_AUTHENTICATE would want a
 * login of its own (CKU_CONTEXT_SPECIFIC) between the two, and is refused until there is one. */
#include "attribute.h"
#include "object.h"

#include <stdlib.h>
#include <string.h>

#define SIGNATURE_MAX 1024 /* RSA-8192 */

static const struct hash {
    uint32_t hash;
    CK_MECHANISM_TYPE mechanism;
    CK_RSA_PKCS_MGF_TYPE mgf;
    unsigned char size, prefix_len, prefix[19]; /* DigestInfo without the digest: RFC 8017 §9.2, note 1 */
} hashes[] = {
    { HX_SHA1,
      CKM_SHA_1,
      CKG_MGF1_SHA1,
      20,
      15,
      { 0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14 } },
    { HX_SHA256,
      CKM_SHA256,
      CKG_MGF1_SHA256,
      32,
      19,
      { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20 } },
    { HX_SHA384,
      CKM_SHA384,
      CKG_MGF1_SHA384,
      48,
      19,
      { 0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04,
        0x30 } },
    { HX_SHA512,
      CKM_SHA512,
      CKG_MGF1_SHA512,
      64,
      19,
      { 0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04,
        0x40 } },
};

/* All that one C_SignInit and C_Sign need. */
struct signing {
    CK_MECHANISM mechanism;
    CK_RSA_PKCS_PSS_PARAMS pss;
    unsigned char digest_info[19 + 64];
    const void *in;
    size_t in_len, out_len;
};

static const struct hash *find_hash(uint32_t hash)
{
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        if (hashes[i].hash == hash)
            return &hashes[i];
    return NULL;
}

static int unsupported(const struct p11_object *object, const char *what)
{
    return hx_fail(object->token->host, HX_E_UNSUPPORTED, "key '%s' on token '%s' cannot do that: %s",
                   p11_facts_label(object->facts), object->token->label, what);
}

static int wrong_length(const struct p11_object *object, size_t len)
{
    return hx_fail(object->token->host, HX_E_INVALID, "%zu bytes are no input for that signature with key '%s'", len,
                   p11_facts_label(object->facts));
}

static int prepare_pkcs1(struct p11_object *object, const struct hx_alg *alg, struct signing *ret)
{
    const struct hash *hash = find_hash(alg->hash);

    ret->mechanism.mechanism = CKM_RSA_PKCS;
    if (alg->hash == 0)
        return ret->in_len + 11 > ret->out_len ? wrong_length(object, ret->in_len) : 0;
    if (!hash)
        return unsupported(object, "unknown hash");
    if (ret->in_len != hash->size)
        return wrong_length(object, ret->in_len);
    memcpy(ret->digest_info, hash->prefix, hash->prefix_len);
    memcpy(ret->digest_info + hash->prefix_len, ret->in, ret->in_len);
    ret->in = ret->digest_info;
    ret->in_len += hash->prefix_len;
    return 0;
}

static int prepare_pss(struct p11_object *object, const struct hx_alg *alg, struct signing *ret)
{
    const struct hash *hash = find_hash(alg->hash);
    const struct hash *mgf = alg->mgf_hash ? find_hash(alg->mgf_hash) : hash;

    if (!hash || !mgf)
        return unsupported(object, "unknown hash");
    if (ret->in_len != hash->size)
        return wrong_length(object, ret->in_len);
    ret->pss = (CK_RSA_PKCS_PSS_PARAMS){ .hashAlg = hash->mechanism, .mgf = mgf->mgf, .sLen = alg->salt_len };
    ret->mechanism = (CK_MECHANISM){ CKM_RSA_PKCS_PSS, &ret->pss, sizeof ret->pss };
    return 0;
}

static int prepare_rsa(struct p11_object *object, const struct hx_alg *alg, struct signing *ret)
{
    ret->out_len = (object->facts->bits + 7) / 8;
    switch (alg->scheme) {
    case HX_RSA_PKCS1:
        return prepare_pkcs1(object, alg, ret);
    case HX_RSA_PSS:
        return prepare_pss(object, alg, ret);
    case HX_RSA_RAW:
        ret->mechanism.mechanism = CKM_RSA_X_509;
        return ret->in_len == ret->out_len ? 0 : wrong_length(object, ret->in_len);
    default:
        return unsupported(object, "no such scheme for an RSA key");
    }
}

static int prepare(struct p11_object *object, const struct hx_alg *alg, struct signing *ret)
{
    const struct p11_facts *facts = object->facts;

    if (alg->spare[0] || alg->spare[1] || alg->spare[2] || alg->spare[3] || alg->param.len)
        return unsupported(object, "unknown parameters");
    if (facts->kind != HX_PRIVATE_KEY)
        return unsupported(object, "it is no private key");
    if (facts->flags & HX_ALWAYS_AUTH)
        return unsupported(object, "it wants a login for each signature (CKA_ALWAYS_AUTHENTICATE)");
    if (facts->type == HX_RSA)
        return prepare_rsa(object, alg, ret);
    ret->out_len = 2 * ((facts->bits + 7) / 8);
    if (facts->type == HX_ED25519 && alg->scheme == HX_EDDSA) {
        ret->mechanism.mechanism = CKM_EDDSA;
        return 0;
    }
    if (facts->type == HX_ED25519 || alg->scheme != HX_ECDSA)
        return unsupported(object, "no such scheme for that type of key");
    ret->mechanism.mechanism = CKM_ECDSA;
    return ret->in_len > 0 && ret->in_len <= ret->out_len / 2 ? 0 : wrong_length(object, ret->in_len);
}

/* PKCS#11 has no const, and no module writes to what it signs. */
static CK_RV call(struct p11_session *session, CK_OBJECT_HANDLE key, struct signing *signing, unsigned char *signature,
                  CK_ULONG *len)
{
    CK_RV rv;

    session->function = "C_SignInit";
    rv = session->fn->C_SignInit(session->handle, &signing->mechanism, key);
    if (rv != CKR_OK)
        return rv;
    session->function = "C_Sign";
    return session->fn->C_Sign(session->handle, (CK_BYTE *)(uintptr_t)signing->in, signing->in_len, signature, len);
}

int p11_sign(void *opaque, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_out *out)
{
    struct p11_object *object = opaque;
    struct signing signing = { .in = in, .in_len = in_len };
    unsigned char signature[SIGNATURE_MAX];
    CK_ULONG len = sizeof signature;
    struct p11_session session;
    int r;

    r = prepare(object, alg, &signing);
    if (!r)
        r = p11_session_take(object->token, &session);
    if (r)
        return r;
    r = p11_session_done(&session, call(&session, object->facts->handle, &signing, signature, &len));
    if (r)
        return r;
    if (len != signing.out_len)
        return hx_fail(object->token->host, HX_E_DEVICE, "token '%s' made a signature of %lu bytes instead of %zu",
                       object->token->label, len, signing.out_len);
    return hx_put(out, signature, len);
}
