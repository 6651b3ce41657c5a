/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers to EVP_PKEY, and new keys, in the plugin's own library context. */
#include "key.h"

#include "crypto.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

/* Parameters for EVP_PKEY_fromdata(); libcrypto's own builder would leave copies of the numbers unwiped. */
struct builder {
    OSSL_PARAM param[PARTS_MAX + 2];
    size_t count;
    unsigned char store[4096];
    size_t used;
};

static bool push_number(struct builder *builder, const char *name, const struct hx_buf *number)
{
    if (!number->len || number->len > sizeof builder->store - builder->used)
        return false;
    unsigned char *to = builder->store + builder->used;
    BIGNUM *bn = BN_bin2bn(number->data, (int)number->len, NULL);
    bool ok = bn && BN_bn2nativepad(bn, to, (int)number->len) == (int)number->len;
    BN_clear_free(bn);
    builder->param[builder->count++] = OSSL_PARAM_construct_BN(name, to, number->len);
    builder->used += number->len;
    return ok;
}

static bool push_point(struct builder *builder, const struct curve *curve, const void *point, size_t len)
{
    if (len > sizeof builder->store - builder->used)
        return false;
    unsigned char *to = memcpy(builder->store + builder->used, point, len);
    char *group = strcpy((char *)to + len, curve->group);
    builder->used += len + strlen(group) + 1;
    builder->param[builder->count++] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, to, len);
    builder->param[builder->count++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    return true;
}

static EVP_PKEY *from_builder(const char *name, int selection, struct builder *builder)
{
    OSSL_LIB_CTX *lib = crypto_context();
    EVP_PKEY_CTX *ctx = lib ? EVP_PKEY_CTX_new_from_name(lib, name, NULL) : NULL;
    EVP_PKEY *key = NULL;
    builder->param[builder->count] = OSSL_PARAM_construct_end();
    if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0 || EVP_PKEY_fromdata(ctx, &key, selection, builder->param) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *make_rsa(const struct parts *parts)
{
    static const char *const names[PARTS_MAX] = {
        [RSA_N] = OSSL_PKEY_PARAM_RSA_N,          [RSA_E] = OSSL_PKEY_PARAM_RSA_E,
        [RSA_D] = OSSL_PKEY_PARAM_RSA_D,          [RSA_P] = OSSL_PKEY_PARAM_RSA_FACTOR1,
        [RSA_Q] = OSSL_PKEY_PARAM_RSA_FACTOR2,    [RSA_DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
        [RSA_DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2, [RSA_QINV] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    struct builder builder = { .count = 0 };
    bool ok = true;
    for (size_t i = 0; ok && i < PARTS_MAX; i++)
        ok = push_number(&builder, names[i], &parts->part[i]);
    EVP_PKEY *key = ok ? from_builder("RSA", EVP_PKEY_KEYPAIR, &builder) : NULL;
    OPENSSL_cleanse(&builder, sizeof builder);
    return key;
}

static EVP_PKEY *make_ec(const struct parts *parts)
{
    const struct hx_buf *point = &parts->part[EC_POINT_];
    struct builder builder = { .count = 0 };
    bool ok = push_number(&builder, OSSL_PKEY_PARAM_PRIV_KEY, &parts->part[EC_SCALAR]) &&
              push_point(&builder, curve_by_type(parts->type), point->data, point->len);
    EVP_PKEY *key = ok ? from_builder("EC", EVP_PKEY_KEYPAIR, &builder) : NULL;
    OPENSSL_cleanse(&builder, sizeof builder);
    return key;
}

static EVP_PKEY *make_ed25519(const struct parts *parts)
{
    OSSL_LIB_CTX *lib = crypto_context();
    const struct hx_buf *seed = &parts->part[ED_SEED];
    return lib ? EVP_PKEY_new_raw_private_key_ex(lib, "ED25519", NULL, seed->data, seed->len) : NULL;
}

static bool ed25519_fits(const struct parts *parts, EVP_PKEY *key)
{
    unsigned char public[32];
    size_t len = sizeof public;
    return EVP_PKEY_get_raw_public_key(key, public, &len) && len == parts->part[ED_PUBLIC].len &&
           !memcmp(public, parts->part[ED_PUBLIC].data, len);
}

static bool fits(const struct parts *parts, EVP_PKEY *key)
{
    if (parts->type == HX_ED25519)
        return ed25519_fits(parts, key);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_context(), key, NULL);
    bool ok = ctx && EVP_PKEY_check(ctx) > 0;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

int key_from_parts(const struct parts *parts, bool check, EVP_PKEY **ret, const char **ret_why)
{
    EVP_PKEY *key = NULL;
    if (parts->type == HX_RSA)
        key = make_rsa(parts);
    else
        key = parts->type == HX_ED25519 ? make_ed25519(parts) : make_ec(parts);
    if (!key) {
        *ret_why = crypto_reason();
        return HX_E_CONFIG;
    }
    if (check && !fits(parts, key)) {
        EVP_PKEY_free(key);
        *ret_why = "its numbers do not fit one another";
        return HX_E_CONFIG;
    }
    *ret = key;
    return 0;
}

EVP_PKEY *key_from_point(uint32_t type, const void *point, size_t len)
{
    const struct curve *curve = curve_by_type(type);
    struct builder builder = { .count = 0 };
    if (!curve || len != 1 + 2 * curve->width || *(const unsigned char *)point != POINT_CONVERSION_UNCOMPRESSED ||
        !push_point(&builder, curve, point, len))
        return NULL;
    return from_builder("EC", EVP_PKEY_PUBLIC_KEY, &builder);
}

static bool set_rsa(EVP_PKEY_CTX *ctx, const struct hx_spec *spec)
{
    BIGNUM *e = BN_new();
    bool ok = e && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, spec->bits ? (int)spec->bits : 2048) > 0;
    unsigned char bytes[8];
    uint64_t exponent = spec->rsa_e ? spec->rsa_e : 65537;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(exponent >> (56 - 8 * i));
    ok = ok && BN_bin2bn(bytes, sizeof bytes, e) && EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) > 0;
    BN_free(e);
    return ok;
}

int key_generate(struct token *token, const struct hx_spec *spec, EVP_PKEY **ret)
{
    const struct curve *curve = curve_by_type(spec->type);
    OSSL_LIB_CTX *lib = crypto_context();
    if (!lib)
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    const char *name = curve ? "EC" : spec->type == HX_RSA ? "RSA" : "ED25519";
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(lib, name, NULL);
    EVP_PKEY *key = NULL;
    bool ok = ctx && EVP_PKEY_keygen_init(ctx) > 0;
    if (ok && curve)
        ok = EVP_PKEY_CTX_set_group_name(ctx, curve->group) > 0;
    else if (ok && spec->type == HX_RSA)
        ok = set_rsa(ctx, spec);
    ok = ok && EVP_PKEY_generate(ctx, &key) > 0;
    EVP_PKEY_CTX_free(ctx);
    if (!ok)
        return hx_fail(token->host, HX_E_DEVICE, "cannot generate the key: %s", crypto_reason());
    *ret = key;
    return 0;
}
