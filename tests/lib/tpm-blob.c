/* SPDX-License-Identifier: Apache-2.0 */
/* TPM2_MakeCredential and TPM2_Duplicate in software: TPM 2.0 Part 1 §23 (duplication), §24 (credentials), B.10 and
 * §11.4.10 (secrets and KDFa).  Both protect something for a storage key in the same way. */
#include "tpm-blob.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>
#include <tss2/tss2_mu.h>

enum { HASH = 32, AES_KEY = 16, INNER_MAX = 32 };

struct bytes {
    unsigned char data[1024];
    size_t len;
};

static void append(struct bytes *to, const void *data, size_t len)
{
    if (len > sizeof to->data - to->len)
        len = sizeof to->data - to->len;
    memcpy(to->data + to->len, data, len);
    to->len += len;
}

static void append_sized(struct bytes *to, const void *data, size_t len)
{
    const unsigned char size[2] = { (unsigned char)(len >> 8), (unsigned char)len };

    append(to, size, sizeof size);
    append(to, data, len);
}

/* KDFa with SHA-256 is the counter mode of SP 800-108, whose separator is the label's own zero byte. */
static int derive(const unsigned char *seed, const char *label, const TPM2B_NAME *context, unsigned char *ret,
                  size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_MAC, (char[]){ "HMAC" }, 0),
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, NULL, HASH),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, NULL, 0),
        OSSL_PARAM_END,
        OSSL_PARAM_END,
    };
    int good;

    params[2].data = (void *)(uintptr_t)seed;
    params[3].data = (void *)(uintptr_t)label;
    params[3].data_size = strlen(label);
    if (context)
        params[4] =
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)context->name, context->size);
    good = ctx && EVP_KDF_derive(ctx, ret, len, params) > 0;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good ? 0 : -1;
}

static int encrypt(const unsigned char *key, struct bytes *text)
{
    static const unsigned char iv[16] = { 0 };
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    int good = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_cfb128(), NULL, key, iv) &&
               EVP_EncryptUpdate(ctx, text->data, &len, text->data, (int)text->len) && (size_t)len == text->len;

    EVP_CIPHER_CTX_free(ctx);
    return good ? 0 : -1;
}

static EVP_PKEY *rsa_key(const TPMT_PUBLIC *area)
{
    BIGNUM *n = BN_bin2bn(area->unique.rsa.buffer, area->unique.rsa.size, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    uint32_t e = area->parameters.rsaDetail.exponent ? area->parameters.rsaDetail.exponent : 65537;
    OSSL_PARAM *params = NULL;
    EVP_PKEY *pkey = NULL;

    if (n && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_uint32(build, OSSL_PKEY_PARAM_RSA_E, e))
        params = OSSL_PARAM_BLD_to_param(build);
    if (params && ctx && EVP_PKEY_fromdata_init(ctx) > 0)
        (void)EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    BN_free(n);
    return pkey;
}

/* The label goes in with its zero byte. */
static int encrypt_seed(const TPMT_PUBLIC *parent, const char *label, const unsigned char *seed,
                        TPM2B_ENCRYPTED_SECRET *ret)
{
    EVP_PKEY *pkey = rsa_key(parent);
    EVP_PKEY_CTX *ctx = pkey ? EVP_PKEY_CTX_new(pkey, NULL) : NULL;
    size_t len = sizeof ret->secret;
    char *copy = OPENSSL_strdup(label);
    int good = ctx && copy && EVP_PKEY_encrypt_init(ctx) > 0 &&
               EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0;

    if (good && EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)strlen(label) + 1) > 0)
        copy = NULL;
    good = good && !copy && EVP_PKEY_encrypt(ctx, ret->secret, &len, seed, HASH) > 0;
    ret->size = (UINT16)len;
    OPENSSL_free(copy);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return good ? 0 : -1;
}

/* Encrypted and authenticated for parent, bound to name: TPM2B (TPM2B_DIGEST HMAC, ciphertext). */
static int protect(const TPMT_PUBLIC *parent, const char *label, const TPM2B_NAME *name, struct bytes *text,
                   struct bytes *ret, TPM2B_ENCRYPTED_SECRET *ret_seed)
{
    unsigned char seed[HASH], key[AES_KEY], hmac_key[HASH], hmac[HASH];
    struct bytes message = { .len = 0 }, whole = { .len = 0 };

    if (RAND_bytes(seed, sizeof seed) != 1 || encrypt_seed(parent, label, seed, ret_seed) ||
        derive(seed, "STORAGE", name, key, sizeof key) || derive(seed, "INTEGRITY", NULL, hmac_key, sizeof hmac_key) ||
        encrypt(key, text))
        return -1;
    append(&message, text->data, text->len);
    append(&message, name->name, name->size);
    if (!HMAC(EVP_sha256(), hmac_key, sizeof hmac_key, message.data, message.len, hmac, NULL))
        return -1;
    append_sized(&whole, hmac, sizeof hmac);
    append(&whole, text->data, text->len);
    append_sized(ret, whole.data, whole.len);
    return 0;
}

static int name_of(const TPMT_PUBLIC *area, TPM2B_NAME *ret)
{
    struct bytes text;
    size_t len = 0;

    if (Tss2_MU_TPMT_PUBLIC_Marshal(area, text.data, sizeof text.data, &len))
        return -1;
    ret->name[0] = TPM2_ALG_SHA256 >> 8;
    ret->name[1] = TPM2_ALG_SHA256 & 0xff;
    ret->size = 2 + HASH;
    return EVP_Digest(text.data, len, ret->name + 2, NULL, EVP_sha256(), NULL) ? 0 : -1;
}

static int parse_parent(const struct hx_buf *given, TPMT_PUBLIC *ret)
{
    const TPMT_SYM_DEF_OBJECT *aes = &ret->parameters.rsaDetail.symmetric;
    TPM2B_PUBLIC public = { 0 };
    size_t used = 0;

    if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(given->data, given->len, &used, &public) || used != given->len)
        return -1;
    *ret = public.publicArea;
    return ret->type == TPM2_ALG_RSA && ret->nameAlg == TPM2_ALG_SHA256 && aes->algorithm == TPM2_ALG_AES &&
                   aes->keyBits.aes == 128 && aes->mode.aes == TPM2_ALG_CFB
               ? 0
               : -1;
}

/* The key as its TPM would have made it: unique is the hash of the seed and the key. */
static int describe_key(const struct tpm_blob_order *order, TPM2B_SENSITIVE *ret_secret, TPMT_PUBLIC *ret_area)
{
    TPMT_SENSITIVE *secret = &ret_secret->sensitiveArea;
    TPMS_KEYEDHASH_PARMS *parms = &ret_area->parameters.keyedHashDetail;
    TPM2B_DIGEST *unique = &ret_area->unique.keyedHash;
    struct bytes text = { .len = 0 };

    secret->sensitiveType = ret_area->type = TPM2_ALG_KEYEDHASH;
    secret->seedValue.size = HASH;
    if (order->key.len == 0 || order->key.len > 64 || RAND_bytes(secret->seedValue.buffer, HASH) != 1)
        return -1;
    memcpy(secret->sensitive.bits.buffer, order->key.data, order->key.len);
    secret->sensitive.bits.size = (UINT16)order->key.len;
    ret_area->nameAlg = TPM2_ALG_SHA256;
    ret_area->objectAttributes = TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_NODA;
    parms->scheme.scheme = TPM2_ALG_HMAC;
    parms->scheme.details.hmac.hashAlg = order->fault == TPM_BLOB_SHA1 ? TPM2_ALG_SHA1 : TPM2_ALG_SHA256;
    append(&text, secret->seedValue.buffer, HASH);
    append(&text, order->key.data, order->key.len);
    unique->size = HASH;
    if (order->fault == TPM_BLOB_FIXED)
        ret_area->objectAttributes |= TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT;
    if (order->fault == TPM_BLOB_SEALED) {
        ret_area->objectAttributes &= ~TPMA_OBJECT_SIGN_ENCRYPT;
        parms->scheme.scheme = TPM2_ALG_NULL;
    }
    if (order->fault == TPM_BLOB_RESTRICTED)
        ret_area->objectAttributes |= TPMA_OBJECT_RESTRICTED;
    if (order->fault == TPM_BLOB_POLICY)
        ret_area->objectAttributes &= ~TPMA_OBJECT_USERWITHAUTH;
    if (order->fault == TPM_BLOB_AUTH)
        secret->authValue = (TPM2B_AUTH){ .size = 4, .buffer = "auth" };
    if (order->fault == TPM_BLOB_UNIQUE)
        text.data[0] ^= 1;
    return EVP_Digest(text.data, text.len, unique->buffer, NULL, EVP_sha256(), NULL) ? 0 : -1;
}

/* The inner wrap: its integrity, and the secret area, under the inner key. */
static int wrap_inner(const struct tpm_blob_order *order, const TPM2B_SENSITIVE *secret, const TPM2B_NAME *name,
                      const unsigned char *inner, struct bytes *ret)
{
    struct bytes plain = { .len = 0 }, message = { .len = 0 };
    unsigned char hash[HASH];

    if (Tss2_MU_TPM2B_SENSITIVE_Marshal(secret, plain.data, sizeof plain.data, &plain.len))
        return -1;
    if (order->fault == TPM_BLOB_NO_INNER) {
        append(ret, plain.data, plain.len);
        return 0;
    }
    append(&message, plain.data, plain.len);
    append(&message, name->name, name->size);
    if (!EVP_Digest(message.data, message.len, hash, NULL, EVP_sha256(), NULL))
        return -1;
    hash[0] ^= order->fault == TPM_BLOB_INNER_INTEGRITY;
    append_sized(ret, hash, sizeof hash);
    append(ret, plain.data, plain.len);
    return encrypt(inner, ret);
}

static void add_part(struct tpm_blob *blob, enum tpm_blob_part part, const struct bytes *bytes)
{
    memcpy(blob->data + blob->len, bytes->data, bytes->len);
    blob->start[part] = blob->len;
    blob->len += bytes->len;
    blob->start[part + 1] = blob->len;
}

/* text: what part tells, protected for parent; its seed is the part that follows. */
static int add_protected(struct tpm_blob *blob, enum tpm_blob_part part, const TPMT_PUBLIC *parent, const char *label,
                         const TPM2B_NAME *name, struct bytes *text)
{
    struct bytes wrapped = { .len = 0 }, sized = { .len = 0 };
    TPM2B_ENCRYPTED_SECRET seed = { 0 };

    if (protect(parent, label, name, text, &wrapped, &seed))
        return -1;
    append_sized(&sized, seed.secret, seed.size);
    add_part(blob, part, &wrapped);
    add_part(blob, part + 1, &sized);
    return 0;
}

static int add_credential(const struct tpm_blob_order *order, struct tpm_blob *blob, const TPMT_PUBLIC *ek,
                          const TPMT_PUBLIC *srk, const unsigned char *inner)
{
    size_t len = order->fault == TPM_BLOB_SHORT_INNER ? 8 : order->fault == TPM_BLOB_LONG_INNER ? INNER_MAX : AES_KEY;
    unsigned char told[INNER_MAX];
    struct bytes text = { .len = 0 };
    TPM2B_NAME name;

    memcpy(told, inner, sizeof told);
    told[0] ^= order->fault == TPM_BLOB_OTHER_INNER;
    append_sized(&text, told, len);
    if (name_of(srk, &name))
        return -1;
    name.name[HASH] ^= order->fault == TPM_BLOB_OTHER_NAME;
    return add_protected(blob, TPM_BLOB_CREDENTIAL, ek, "IDENTITY", &name, &text);
}

static int add_key(const struct tpm_blob_order *order, struct tpm_blob *blob, const TPMT_PUBLIC *srk,
                   const unsigned char *inner)
{
    struct bytes text = { .len = 0 }, area = { .len = 0 };
    TPM2B_SENSITIVE secret = { 0 };
    TPM2B_PUBLIC public = { 0 };
    TPM2B_NAME name;

    if (describe_key(order, &secret, &public.publicArea) || name_of(&public.publicArea, &name) ||
        wrap_inner(order, &secret, &name, inner, &text) ||
        add_protected(blob, TPM_BLOB_DUPLICATE, srk, "DUPLICATE", &name, &text) ||
        Tss2_MU_TPM2B_PUBLIC_Marshal(&public, area.data, sizeof area.data, &area.len))
        return -1;
    add_part(blob, TPM_BLOB_PUBLIC, &area);
    return 0;
}

int tpm_blob_make(const struct tpm_blob_order *order, struct tpm_blob *ret)
{
    struct tpm_blob blob = { .len = 0 };
    struct bytes rest = { .len = 0 };
    unsigned char inner[INNER_MAX];
    TPMT_PUBLIC ek, srk;

    if (parse_parent(&order->ek, &ek) || parse_parent(&order->srk, &srk) || order->rest.len > sizeof rest.data - 2 ||
        RAND_bytes(inner, sizeof inner) != 1 || add_credential(order, &blob, &ek, &srk, inner) ||
        add_key(order, &blob, &srk, inner))
        return -1;
    memcpy(blob.inner, inner, sizeof blob.inner);
    append_sized(&rest, order->rest.data, order->rest.len);
    add_part(&blob, TPM_BLOB_REST, &rest);
    *ret = blob;
    return 0;
}

const char *tpm_blob_fault_name(int fault)
{
    static const char *const names[TPM_BLOB_FAULTS] = {
        "good",   "other-name", "short-inner", "long-inner", "other-inner", "no-inner", "inner-integrity",
        "unique", "fixed",      "sealed",      "sha1",       "restricted",  "policy",   "auth",
    };

    return fault >= 0 && fault < TPM_BLOB_FAULTS ? names[fault] : NULL;
}
