/* SPDX-License-Identifier: Apache-2.0 */
/* Generating key pairs on the token. */
#include "curve.h"
#include "make.h"

#include <openssl/crypto.h>

/* What goes into C_GenerateKeyPair. */
struct pair {
    CK_MECHANISM mechanism;
    struct p11_template public, private;
    CK_ULONG bits;
    CK_BYTE exponent[8];
    unsigned char *params[2]; /* by object identifier, and by name; for OPENSSL_free() */
    size_t params_len[2];
    CK_ULONG params_at; /* in public */
    unsigned char id[P11_ID_MAX];
    size_t id_len;
};

static void fill_rsa(const struct hx_spec *spec, struct pair *ret)
{
    uint64_t e = spec->rsa_e ? spec->rsa_e : 65537;
    size_t len = 0;

    for (unsigned shift = 64; shift > 0; shift -= 8)
        if (len || (e >> (shift - 8) & 0xff))
            ret->exponent[len++] = (CK_BYTE)(e >> (shift - 8));
    ret->bits = spec->bits ? spec->bits : 2048;
    ret->mechanism.mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN;
    p11_add(&ret->public, CKA_MODULUS_BITS, &ret->bits, sizeof ret->bits);
    p11_add(&ret->public, CKA_PUBLIC_EXPONENT, ret->exponent, len);
}

static bool fill_curve(const struct hx_spec *spec, struct pair *ret)
{
    for (int by_name = 0; by_name < 2; by_name++)
        ret->params_len[by_name] = p11_curve_params(spec->type, by_name, &ret->params[by_name]);
    ret->mechanism.mechanism = spec->type == HX_ED25519 ? CKM_EC_EDWARDS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN;
    ret->params_at = ret->public.count;
    p11_add(&ret->public, CKA_EC_PARAMS, ret->params[0], ret->params_len[0]);
    return ret->params_len[0] && ret->params_len[1];
}

static int fill(struct p11_token *token, const struct hx_spec *spec, struct pair *ret)
{
    struct hx_buf id = { ret->id, 0 };
    int r = p11_choose_id(token, spec, ret->id, &ret->id_len);

    if (r)
        return r;
    id.len = ret->id_len;
    p11_fill_pair(token, spec, &id, &ret->private, &ret->public);
    if (spec->type == HX_RSA)
        fill_rsa(spec, ret);
    else if (!fill_curve(spec, ret))
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s' makes no keys of type %u", token->label, spec->type);
    return 0;
}

static CK_RV generate(struct p11_session *session, struct pair *pair, struct p11_made *made)
{
    CK_RV rv;

    session->function = "C_GenerateKeyPair";
    rv = session->fn->C_GenerateKeyPair(session->handle, &pair->mechanism, pair->public.at, pair->public.count,
                                        pair->private.at, pair->private.count, &made->handle[0], &made->handle[1]);
    made->count = rv == CKR_OK ? 2 : 0;
    return rv;
}

/* Some modules know the Edwards curve by its name only. */
static CK_RV create(struct p11_session *session, void *arg, struct p11_made *made)
{
    struct pair *pair = arg;
    CK_RV rv = generate(session, pair, made);

    if (rv == CKR_OK || rv == CKR_USER_NOT_LOGGED_IN || pair->mechanism.mechanism != CKM_EC_EDWARDS_KEY_PAIR_GEN)
        return rv;
    pair->public.at[pair->params_at] = p11_attribute(CKA_EC_PARAMS, pair->params[1], pair->params_len[1]);
    return generate(session, pair, made);
}

static int generate_pair(struct p11_token *token, const struct hx_spec *spec, struct hx_out *out)
{
    struct pair pair = { 0 };
    struct p11_making making = { .spec = spec, .id = spec->id, .create = create, .arg = &pair };
    int r = p11_check_spec(token, spec, HX_REPLACE | HX_IN_HARDWARE);

    if (!r)
        r = fill(token, spec, &pair);
    if (!r)
        r = p11_make(token, &making);
    if (!r)
        r = p11_put_ref(token, spec, pair.id, pair.id_len, out);
    OPENSSL_free(pair.params[0]);
    OPENSSL_free(pair.params[1]);
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
