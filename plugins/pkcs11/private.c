/* SPDX-License-Identifier: Apache-2.0 */
/* Taking in a private key: CKO_PRIVATE_KEY and its CKO_PUBLIC_KEY, which carries what the private one may not tell. The
 * private key comes last: until it is there, nothing on the token has changed its meaning. */
#include "curve.h"
#include "make.h"

#include <openssl/crypto.h>
#include <string.h>

enum part { N, E, D, P, Q, DP, DQ, QINV, RSA_PARTS };
enum half { SCALAR, POINT };

struct key {
    const struct hx_spec *spec;
    const struct hx_buf *part;
    struct hx_buf id;
    unsigned char *params[2]; /* by object identifier, and by name; for OPENSSL_free() */
    size_t params_len[2];
    unsigned char *point; /* in an OCTET STRING; the same */
    size_t point_len;
};

static void add_number(struct p11_template *template, CK_ATTRIBUTE_TYPE type, struct hx_buf number)
{
    const unsigned char *at = number.data;

    for (; number.len > 1 && *at == 0; number.len--)
        at++;
    p11_add(template, type, at, number.len);
}

static void fill_rsa(const struct key *key, struct p11_template *private, struct p11_template *public)
{
    static const CK_ATTRIBUTE_TYPE types[RSA_PARTS] = { CKA_MODULUS,    CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT,
                                                        CKA_PRIME_1,    CKA_PRIME_2,         CKA_EXPONENT_1,
                                                        CKA_EXPONENT_2, CKA_COEFFICIENT };

    for (size_t i = 0; i < RSA_PARTS; i++)
        add_number(private, types[i], key->part[i]);
    add_number(public, CKA_MODULUS, key->part[N]);
    add_number(public, CKA_PUBLIC_EXPONENT, key->part[E]);
}

static void fill_curve(const struct key *key, bool by_name, struct p11_template *private, struct p11_template *public)
{
    p11_add(private, CKA_EC_PARAMS, key->params[by_name], key->params_len[by_name]);
    p11_add(private, CKA_VALUE, key->part[SCALAR].data, key->part[SCALAR].len);
    p11_add(public, CKA_EC_PARAMS, key->params[by_name], key->params_len[by_name]);
    p11_add(public, CKA_EC_POINT, key->point, key->point_len);
}

static CK_RV create_both(struct p11_session *session, const struct key *key, bool by_name, struct p11_made *made)
{
    CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, public_class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = key->spec->type == HX_RSA ? CKK_RSA : key->spec->type == HX_ED25519 ? CKK_EC_EDWARDS : CKK_EC;
    struct p11_template private = { 0 }, public = { 0 };
    CK_RV rv;

    p11_add(&private, CKA_CLASS, &private_class, sizeof private_class);
    p11_add(&private, CKA_KEY_TYPE, &type, sizeof type);
    p11_add(&public, CKA_CLASS, &public_class, sizeof public_class);
    p11_add(&public, CKA_KEY_TYPE, &type, sizeof type);
    p11_fill_pair(session->token, key->spec, &key->id, &private, &public);
    if (type == CKK_RSA)
        fill_rsa(key, &private, &public);
    else
        fill_curve(key, by_name, &private, &public);
    rv = p11_create_object(session, &public, made);
    return rv == CKR_OK ? p11_create_object(session, &private, made) : rv;
}

/* Some modules know the Edwards curve by its name only, and say so at the first object. */
static CK_RV create(struct p11_session *session, void *arg, struct p11_made *made)
{
    const struct key *key = arg;
    CK_RV rv = create_both(session, key, false, made);

    if (rv == CKR_OK || made->count || key->spec->type != HX_ED25519)
        return rv;
    return create_both(session, key, true, made);
}

static bool encode(struct key *key)
{
    uint32_t type = key->spec->type;

    if (type == HX_RSA)
        return true;
    for (int by_name = 0; by_name < 2; by_name++)
        key->params_len[by_name] = p11_curve_params(type, by_name, &key->params[by_name]);
    key->point_len = p11_curve_wrap_point(key->part[POINT].data, key->part[POINT].len, &key->point);
    return key->params_len[0] && key->params_len[1] && key->point_len;
}

/* As p11_facts tells it: a modulus without leading zeros. */
static struct hx_buf public_value(const struct key *key)
{
    struct p11_template trimmed = { 0 };

    if (key->spec->type != HX_RSA)
        return key->part[POINT];
    add_number(&trimmed, CKA_MODULUS, key->part[N]);
    return (struct hx_buf){ trimmed.at[0].pValue, trimmed.at[0].ulValueLen };
}

static int put(struct p11_token *token, struct key *key, struct hx_out *out)
{
    struct p11_making making = { key->spec, key->id, public_value(key), create, key };
    int r;

    if (!encode(key))
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    r = p11_make(token, &making);
    return r ? r : p11_put_ref(token, key->spec, key->id.data, key->id.len, out);
}

int p11_import_private(struct p11_token *token, const struct hx_spec *spec, const struct hx_buf *part, size_t parts,
                       struct hx_out *out)
{
    unsigned char id[P11_KEY_ID];
    struct key key = { .spec = spec, .part = part, .id = { id, sizeof id } };
    const char *why;
    int r = p11_check_spec(token, spec, HX_REPLACE | HX_EXTRACTABLE | HX_IN_HARDWARE);

    if (r)
        return r;
    if (spec->flags & HX_EXTRACTABLE && spec->flags & HX_IN_HARDWARE)
        return hx_fail(token->host, HX_E_INVALID, "a key that may leave the token is not kept in hardware");
    if (spec->type != HX_RSA && !p11_curve_group(spec->type))
        return hx_fail(token->host, HX_E_UNSUPPORTED, "keys are RSA, P-256, P-384, P-521 or Ed25519 here");
    why = p11_numbers_check(spec->type, part, parts, id);
    if (why)
        return hx_fail(token->host, HX_E_INVALID, "cannot take the key: %s", why);
    if (spec->id.len)
        key.id = spec->id;
    r = put(token, &key, out);
    OPENSSL_free(key.params[0]);
    OPENSSL_free(key.params[1]);
    OPENSSL_free(key.point);
    return r;
}
