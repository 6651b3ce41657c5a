/* SPDX-License-Identifier: Apache-2.0 */
/* The only file of the provider that knows RSA from EC from Ed25519. */
#include "keytype.h"

#include "decoder.h"
#include "key.h"
#include "keymgmt.h"

#include <openssl/ec.h>
#include <openssl/objects.h>

enum { RSA_ROW, EC_ROW, ED25519_ROW };

static void *new_rsa(void *provider)
{
    return key_new(provider, &keytypes[RSA_ROW]);
}

static void *new_ec(void *provider)
{
    return key_new(provider, &keytypes[EC_ROW]);
}

static void *new_ed25519(void *provider)
{
    return key_new(provider, &keytypes[ED25519_ROW]);
}

static void *generate_rsa(void *provider, int selection, const OSSL_PARAM params[])
{
    return keygen_new(provider, &keytypes[RSA_ROW], selection, params);
}

static void *generate_ec(void *provider, int selection, const OSSL_PARAM params[])
{
    return keygen_new(provider, &keytypes[EC_ROW], selection, params);
}

static void *generate_ed25519(void *provider, int selection, const OSSL_PARAM params[])
{
    return keygen_new(provider, &keytypes[ED25519_ROW], selection, params);
}

static void *decode_rsa(void *provider)
{
    return decoder_new(provider, &keytypes[RSA_ROW]);
}

static void *decode_ec(void *provider)
{
    return decoder_new(provider, &keytypes[EC_ROW]);
}

static void *decode_ed25519(void *provider)
{
    return decoder_new(provider, &keytypes[ED25519_ROW]);
}

static const char *operation_of(const struct keytype *type, int operation)
{
    switch (operation) {
    case OSSL_OP_SIGNATURE:
        return type->signature;
    case OSSL_OP_ASYM_CIPHER:
        return type->cipher;
    case OSSL_OP_KEYEXCH:
        return type->exchange;
    default:
        return NULL;
    }
}

static const char *operation_rsa(int operation)
{
    return operation_of(&keytypes[RSA_ROW], operation);
}

static const char *operation_ec(int operation)
{
    return operation_of(&keytypes[EC_ROW], operation);
}

static const char *operation_ed25519(int operation)
{
    return operation_of(&keytypes[ED25519_ROW], operation);
}

static const struct keysize rsa_sizes[] = {
    { HX_RSA, 2048, 0, 112, 256 },
    { HX_RSA, 3072, 0, 128, 384 },
    { HX_RSA, 4096, 0, 152, 512 },
    { 0 },
};

static const struct keysize ed25519_sizes[] = { { HX_ED25519, 256, 0, 128, 64 }, { 0 } };

static const struct keysize ec_sizes[] = {
    { HX_P256, 256, NID_X9_62_prime256v1, 128, 72 },
    { HX_P384, 384, NID_secp384r1, 192, 104 },
    { HX_P521, 521, NID_secp521r1, 256, 139 },
    { 0 },
};

const struct keytype keytypes[KEYTYPES] = {
    [RSA_ROW] = {
        .name = "RSA",
        .names = "RSA:rsaEncryption:1.2.840.113549.1.1.1",
        .signature = "RSA",
        .signatures = "RSA:rsaEncryption:1.2.840.113549.1.1.1",
        .cipher = "RSA",
        .description = "RSA key in a token",
        .nid = NID_rsaEncryption,
        .scheme = HX_RSA_PKCS1,
        .has_padding = true,
        .sizes = rsa_sizes,
        .key_new = new_rsa,
        .gen_init = generate_rsa,
        .operation_name = operation_rsa,
        .decoder_new = decode_rsa,
    },
    [EC_ROW] = {
        .name = "EC",
        .names = "EC:id-ecPublicKey:1.2.840.10045.2.1",
        .signature = "ECDSA",
        .signatures = "ECDSA",
        .exchange = "ECDH",
        .description = "elliptic curve key in a token",
        .nid = NID_X9_62_id_ecPublicKey,
        .scheme = HX_ECDSA,
        .sizes = ec_sizes,
        .key_new = new_ec,
        .gen_init = generate_ec,
        .operation_name = operation_ec,
        .decoder_new = decode_ec,
    },
    [ED25519_ROW] = {
        .name = "ED25519",
        .names = "ED25519:1.3.101.112",
        .signature = "ED25519",
        .signatures = "ED25519:1.3.101.112",
        .description = "Ed25519 key in a token",
        .nid = NID_ED25519,
        .scheme = HX_EDDSA,
        .signs_message = true,
        .sizes = ed25519_sizes,
        .key_new = new_ed25519,
        .gen_init = generate_ed25519,
        .operation_name = operation_ed25519,
        .decoder_new = decode_ed25519,
    },
};

const struct keytype *keytype_of(uint32_t type)
{
    for (int i = 0; i < KEYTYPES; i++)
        for (const struct keysize *size = keytypes[i].sizes; size->type; size++)
            if (size->type == type)
                return &keytypes[i];
    return NULL;
}

const struct keytype *keytype_of_nid(int nid)
{
    for (int i = 0; i < KEYTYPES; i++)
        if (keytypes[i].nid == nid)
            return &keytypes[i];
    return NULL;
}

const struct keysize *keytype_size(const struct keytype *type, uint32_t hx_type, uint32_t bits)
{
    for (const struct keysize *size = type->sizes; size->type; size++)
        if (size->type == hx_type && size->bits == bits)
            return size;
    return NULL;
}

const struct keysize *keytype_group(const struct keytype *type, const char *group)
{
    int nid = EC_curve_nist2nid(group);

    if (nid == NID_undef)
        nid = OBJ_txt2nid(group);
    for (const struct keysize *size = type->sizes; nid != NID_undef && size->type; size++)
        if (size->group == nid)
            return size;
    return NULL;
}
