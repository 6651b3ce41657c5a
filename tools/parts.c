/* SPDX-License-Identifier: Apache-2.0 */
/* A private key taken apart into the numbers that plugin.h's import names, big-endian and of fixed width. */
#include "tool.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

void parts_free(struct parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        void *data;

        memcpy(&data, &parts->part[i].data, sizeof data); /* ours to wipe, const to its readers */
        OPENSSL_clear_free(data, parts->part[i].len);
    }
    parts->count = 0;
}

static unsigned char *add_part(struct parts *parts, size_t len)
{
    unsigned char *data = OPENSSL_malloc(len);

    if (data) {
        parts->part[parts->count].data = data;
        parts->part[parts->count++].len = len;
    }
    return data;
}

/* width 0: as short as the number is. */
static bool put_number(EVP_PKEY *pkey, const char *name, unsigned char *to, size_t width)
{
    BIGNUM *number = NULL;
    bool done = EVP_PKEY_get_bn_param(pkey, name, &number) && BN_bn2binpad(number, to, (int)width) >= 0;

    BN_clear_free(number);
    return done;
}

static bool add_number(EVP_PKEY *pkey, const char *name, size_t width, struct parts *parts)
{
    unsigned char *to = add_part(parts, width);

    return to && put_number(pkey, name, to, width);
}

static bool add_exponent(EVP_PKEY *pkey, struct hx_spec *spec, struct parts *parts)
{
    BIGNUM *e = NULL;
    unsigned char *to = NULL;

    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) && BN_num_bits(e) <= 64)
        to = add_part(parts, (size_t)BN_num_bytes(e));
    if (to) {
        BN_bn2bin(e, to);
        spec->rsa_e = 0;
        for (int i = 0; i < BN_num_bytes(e); i++)
            spec->rsa_e = spec->rsa_e << 8 | to[i];
    }
    BN_free(e);
    return to;
}

static bool split_rsa(EVP_PKEY *pkey, struct hx_spec *spec, struct parts *parts)
{
    static const char *const halves[] = { OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
                                          OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
                                          OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };
    size_t width = ((size_t)EVP_PKEY_get_bits(pkey) + 7) / 8;

    spec->type = HX_RSA;
    spec->bits = (uint32_t)EVP_PKEY_get_bits(pkey);
    if (!add_number(pkey, OSSL_PKEY_PARAM_RSA_N, width, parts) || !add_exponent(pkey, spec, parts) ||
        !add_number(pkey, OSSL_PKEY_PARAM_RSA_D, width, parts))
        return false;
    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
        if (!add_number(pkey, halves[i], (width + 1) / 2, parts))
            return false;
    }
    return true;
}

struct curve {
    const char *name;
    uint32_t type, bits;
};

static bool split_ec(EVP_PKEY *pkey, struct hx_spec *spec, struct parts *parts)
{
    static const struct curve curves[] = { { "prime256v1", HX_P256, 256 },
                                           { "secp384r1", HX_P384, 384 },
                                           { "secp521r1", HX_P521, 521 } };
    char group[64] = "";
    const struct curve *curve = NULL;
    unsigned char *point;
    size_t width;

    EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (!strcmp(curves[i].name, group))
            curve = &curves[i];
    }
    if (!curve)
        return false;
    spec->type = curve->type;
    spec->bits = curve->bits;
    width = (curve->bits + 7) / 8;
    if (!add_number(pkey, OSSL_PKEY_PARAM_PRIV_KEY, width, parts))
        return false;
    point = add_part(parts, 1 + 2 * width);
    if (!point)
        return false;
    point[0] = 4; /* uncompressed: SEC 1 §2.3.3 */
    return put_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, point + 1, width) &&
           put_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, point + 1 + width, width);
}

static bool split_ed25519(EVP_PKEY *pkey, struct hx_spec *spec, struct parts *parts)
{
    size_t len = 32;
    unsigned char *seed = add_part(parts, len), *public = add_part(parts, len);

    spec->type = HX_ED25519;
    spec->bits = 256;
    return seed && public && EVP_PKEY_get_raw_private_key(pkey, seed, &len) && len == 32 &&
           EVP_PKEY_get_raw_public_key(pkey, public, &len) && len == 32;
}

/* A damaged file must not become a key whose signatures nobody can verify, or that leak its factors. */
static bool is_sound(EVP_PKEY *pkey)
{
    AUTO_PKEY_CTX EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(libctx(), pkey, NULL);

    return context && EVP_PKEY_pairwise_check(context) == 1;
}

int parts_split(const char *path, EVP_PKEY *pkey, struct hx_spec *spec, struct parts *ret)
{
    AUTO_PARTS struct parts parts = { 0 };
    bool done = false;

    if (EVP_PKEY_is_a(pkey, "RSA"))
        done = split_rsa(pkey, spec, &parts);
    else if (EVP_PKEY_is_a(pkey, "EC"))
        done = split_ec(pkey, spec, &parts);
    else if (EVP_PKEY_is_a(pkey, "ED25519"))
        done = split_ed25519(pkey, spec, &parts);
    if (!done)
        return fail("'%s': a key of a type that hsmux does not know: RSA, P-256, P-384, P-521 or Ed25519 is wanted",
                    path);
    if (!is_sound(pkey)) {
        ERR_clear_error();
        return fail("'%s': a damaged key: its private and public halves do not fit", path);
    }
    *ret = parts;
    parts.count = 0;
    return DONE;
}
