/* SPDX-License-Identifier: Apache-2.0 */
/* Generating key pairs on the token. */
#include "curve.h"
#include "make.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

/* What goes into C_GenerateKeyPair. */
struct pair {
    CK_MECHANISM mechanism;
    CK_ATTRIBUTE public[12], private[12];
    CK_ULONG public_count, private_count;
    CK_ULONG bits;
    CK_BYTE exponent[8];
    unsigned char *params; /* for OPENSSL_free() */
    unsigned char id[P11_ID_MAX];
    size_t id_len;
    bool refused; /* the module makes no such pair */
};

static void to_public(struct pair *pair, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    pair->public[pair->public_count++] = p11_attribute(type, value, len);
}

static void to_private(struct pair *pair, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    pair->private[pair->private_count++] = p11_attribute(type, value, len);
}

static int fill_common(struct p11_token *token, const struct hx_spec *spec, struct pair *ret)
{
    int r = p11_choose_id(token, spec, ret->id, &ret->id_len);

    if (r)
        return r;
    to_public(ret, CKA_TOKEN, &yes, sizeof yes);
    to_public(ret, CKA_PRIVATE, &no, sizeof no);
    to_public(ret, CKA_VERIFY, &yes, sizeof yes);
    to_public(ret, CKA_ID, ret->id, ret->id_len);
    to_private(ret, CKA_TOKEN, &yes, sizeof yes);
    to_private(ret, CKA_PRIVATE, &yes, sizeof yes);
    to_private(ret, CKA_SENSITIVE, &yes, sizeof yes);
    to_private(ret, CKA_EXTRACTABLE, &no, sizeof no);
    to_private(ret, CKA_ID, ret->id, ret->id_len);
    if (spec->label) {
        to_public(ret, CKA_LABEL, spec->label, strlen(spec->label));
        to_private(ret, CKA_LABEL, spec->label, strlen(spec->label));
    }
    return 0;
}

static void fill_rsa(const struct hx_spec *spec, struct pair *ret)
{
    uint64_t e = spec->rsa_e ? spec->rsa_e : 65537;
    size_t len = 0;

    for (unsigned shift = 64; shift > 0; shift -= 8)
        if (len || (e >> (shift - 8) & 0xff))
            ret->exponent[len++] = (CK_BYTE)(e >> (shift - 8));
    ret->bits = spec->bits ? spec->bits : 2048;
    ret->mechanism.mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN;
    to_public(ret, CKA_MODULUS_BITS, &ret->bits, sizeof ret->bits);
    to_public(ret, CKA_PUBLIC_EXPONENT, ret->exponent, len);
}

static bool fill_curve(const struct hx_spec *spec, bool by_name, struct pair *ret)
{
    size_t len = p11_curve_params(spec->type, by_name, &ret->params);

    ret->mechanism.mechanism = spec->type == HX_ED25519 ? CKM_EC_EDWARDS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN;
    to_public(ret, CKA_EC_PARAMS, ret->params, len);
    return len > 0;
}

/* A usage of 0 is what such a key usually may. */
static void fill_usage(const struct hx_spec *spec, struct pair *ret)
{
    uint32_t usage = spec->usage ? spec->usage : p11_usual_usage(spec->kind, spec->type);

    to_private(ret, CKA_SIGN, usage & (HX_SIGN_DIGEST | HX_SIGN_MESSAGE) ? &yes : &no, sizeof yes);
    to_private(ret, CKA_DECRYPT, usage & HX_DECRYPT ? &yes : &no, sizeof yes);
    to_private(ret, CKA_DERIVE, usage & HX_DERIVE ? &yes : &no, sizeof yes);
}

static int fill(struct p11_token *token, const struct hx_spec *spec, bool by_name, struct pair *ret)
{
    int r = fill_common(token, spec, ret);

    if (r)
        return r;
    fill_usage(spec, ret);
    if (spec->type == HX_RSA)
        fill_rsa(spec, ret);
    else if (!fill_curve(spec, by_name, ret))
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s' makes no keys of type %u", token->label, spec->type);
    return 0;
}

static CK_RV generate(struct p11_session *session, struct pair *pair)
{
    CK_OBJECT_HANDLE public, private;
    CK_RV rv;

    session->function = "C_GenerateKeyPair";
    rv = session->fn->C_GenerateKeyPair(session->handle, &pair->mechanism, pair->public, pair->public_count,
                                        pair->private, pair->private_count, &public, &private);
    pair->refused = rv != CKR_OK && rv != CKR_USER_NOT_LOGGED_IN;
    return rv;
}

/* The new key is made before the old one goes. */
static CK_RV replace(struct p11_session *session, const struct hx_spec *spec, struct pair *pair, bool *ret_exists)
{
    struct p11_handles private = { 0 }, public = { 0 };
    CK_RV rv;

    rv = p11_find_old(session, HX_PRIVATE_KEY, spec, &private);
    if (rv == CKR_OK)
        rv = p11_find_old(session, HX_PUBLIC_KEY, spec, &public);
    *ret_exists = rv == CKR_OK && private.count + public.count > 0 && !(spec->flags & HX_REPLACE);
    if (rv == CKR_OK && !*ret_exists)
        rv = generate(session, pair);
    if (rv == CKR_OK && !*ret_exists)
        rv = p11_destroy(session, &private);
    if (rv == CKR_OK && !*ret_exists)
        rv = p11_destroy(session, &public);
    free(private.handle);
    free(public.handle);
    return rv;
}

static int try_generate(struct p11_token *token, const struct hx_spec *spec, bool by_name, struct hx_out *out,
                        bool *ret_refused)
{
    struct pair pair = { 0 };
    struct p11_session session;
    bool exists = false;
    int r;

    r = fill(token, spec, by_name, &pair);
    if (!r)
        r = p11_session_take_rw(token, &session);
    if (!r)
        r = p11_session_done(&session, replace(&session, spec, &pair, &exists));
    if (!r)
        r = exists ? p11_fail_exists(token, spec) : p11_put_ref(token, spec, pair.id, pair.id_len, out);
    *ret_refused = pair.refused;
    OPENSSL_free(pair.params);
    return r;
}

static int generate_pair(struct p11_token *token, const struct hx_spec *spec, struct hx_out *out)
{
    int r = p11_check_spec(token, spec, HX_REPLACE | HX_IN_HARDWARE);
    bool refused;

    if (r)
        return r;
    r = try_generate(token, spec, false, out, &refused);
    if (refused && spec->type == HX_ED25519) /* some modules know the curve by its name only */
        r = try_generate(token, spec, true, out, &refused);
    p11_recent_clear(token); /* last: another thread may have listed what is gone now */
    return r;
}

int p11_generate(struct p11_token *token, const struct hx_spec *given, struct hx_out *out)
{
    struct hx_spec spec = *given;
    uint32_t kind = spec.type == HX_GENERIC ? HX_SECRET_KEY : HX_PRIVATE_KEY;

    if (!spec.kind)
        spec.kind = kind;
    if (spec.kind != kind)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s': only private keys and secrets can be generated",
                       token->label);
    return kind == HX_SECRET_KEY ? p11_generate_secret(token, &spec, out) : generate_pair(token, &spec, out);
}
