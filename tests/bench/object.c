/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of the module that is measured with: for each key a private and a public one, and a certificate.  All
 * libcrypto is asked for happens in a context of its own, which never sees hsmux's provider. */
#include "object.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>

#define OBJECTS 1024

struct value {
    unsigned char *data;
    size_t len;
};

struct key {
    CK_KEY_TYPE type;
    EVP_PKEY *pkey;
    struct value modulus, exponent, params, point, certificate, subject, spki;
    struct made made[MECHANISMS];
};

struct object {
    CK_OBJECT_CLASS class;
    struct key *key;
    char label[16];
    unsigned char id[2];
};

static OSSL_LIB_CTX *libctx;
static struct key p256 = { .type = CKK_EC }, rsa = { .type = CKK_RSA };
static struct object objects[OBJECTS];
static size_t object_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct value copy(const void *data, size_t len)
{
    struct value value = { malloc(len + 1), len };

    if (value.data && len)
        memcpy(value.data, data, len);
    return value;
}

static struct value number(const EVP_PKEY *pkey, const char *name)
{
    struct value value = { 0 };
    BIGNUM *bn = NULL;

    if (EVP_PKEY_get_bn_param(pkey, name, &bn) == 1) {
        value.len = (size_t)BN_num_bytes(bn);
        value.data = malloc(value.len);
        BN_bn2bin(bn, value.data);
    }
    BN_free(bn);
    return value;
}

static BIO *open_file(const char *name, const char *suffix)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s%s", getenv("BENCH_DIR"), name, suffix);
    return BIO_new_file(path, "r");
}

/* A P-256 point comes wrapped in an OCTET STRING; the curve is named by its OID (PKCS#11 v2.40 §2.3.3). */
static bool read_point(struct key *key)
{
    static const unsigned char prime256v1[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
    unsigned char point[67] = { V_ASN1_OCTET_STRING, 65 };
    size_t len = 0;

    if (EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_PUB_KEY, point + 2, 65, &len) != 1 || len != 65)
        return false;
    key->params = copy(prime256v1, sizeof prime256v1);
    key->point = copy(point, sizeof point);
    return true;
}

static bool read_key(const char *name, struct key *key)
{
    BIO *key_file = open_file(name, ".key"), *cert_file = open_file(name, ".pem");
    X509 *cert = cert_file ? PEM_read_bio_X509(cert_file, NULL, NULL, NULL) : NULL;
    unsigned char *der = NULL;
    int len;

    key->pkey = key_file ? PEM_read_bio_PrivateKey_ex(key_file, NULL, NULL, NULL, libctx, NULL) : NULL;
    BIO_free(key_file);
    BIO_free(cert_file);
    if (!key->pkey || !cert)
        return false;
    len = i2d_X509(cert, &der);
    key->certificate = (struct value){ der, (size_t)len };
    der = NULL;
    len = i2d_X509_NAME(X509_get_subject_name(cert), &der);
    key->subject = (struct value){ der, (size_t)len };
    der = NULL;
    len = i2d_PUBKEY(key->pkey, &der);
    key->spki = (struct value){ der, (size_t)len };
    X509_free(cert);
    if (key->type == CKK_EC)
        return read_point(key);
    key->modulus = number(key->pkey, OSSL_PKEY_PARAM_RSA_N);
    key->exponent = number(key->pkey, OSSL_PKEY_PARAM_RSA_E);
    return key->modulus.data && key->exponent.data;
}

static void add(CK_OBJECT_CLASS class, struct key *key, const char *label, unsigned index)
{
    struct object *object = &objects[object_count++];

    *object = (struct object){ .class = class, .key = key, .id = { 0xbe, (unsigned char)index } };
    snprintf(object->label, sizeof object->label, "%s", label);
}

bool objects_make(void)
{
    const char *text = getenv("BENCH_KEYS");
    unsigned count = text ? (unsigned)atoi(text) : 4;
    char label[16];

    libctx = OSSL_LIB_CTX_new();
    if (!libctx || count < 2 || count > 250 || !read_key("p256", &p256) || !read_key("rsa", &rsa))
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct key *key = i == 1 ? &rsa : &p256;

        snprintf(label, sizeof label, i == 0 ? "p256" : i == 1 ? "rsa" : "key%u", i);
        add(CKO_PRIVATE_KEY, key, label, i);
        add(CKO_PUBLIC_KEY, key, label, i);
        if (i < 2)
            add(CKO_CERTIFICATE, key, label, i);
    }
    return true;
}

static bool is_key(const struct object *object)
{
    return object->class != CKO_CERTIFICATE;
}

static struct value flag(bool set)
{
    static unsigned char flags[] = { CK_FALSE, CK_TRUE };

    return (struct value){ &flags[set], 1 };
}

static struct value bytes(const void *data, size_t len)
{
    return (struct value){ (unsigned char *)(uintptr_t)data, len };
}

/* No data: the object has no such attribute. */
static struct value key_value(const struct object *object, CK_ATTRIBUTE_TYPE type)
{
    bool private = object->class == CKO_PRIVATE_KEY;

    switch (type) {
    case CKA_KEY_TYPE:
        return bytes(&object->key->type, sizeof object->key->type);
    case CKA_MODULUS:
        return object->key->modulus;
    case CKA_PUBLIC_EXPONENT:
        return object->key->exponent;
    case CKA_EC_PARAMS:
        return object->key->params;
    case CKA_EC_POINT:
        return private ? (struct value){ 0 } : object->key->point;
    case CKA_PUBLIC_KEY_INFO:
        return object->key->spki;
    case CKA_SIGN:
    case CKA_SENSITIVE:
    case CKA_ALWAYS_SENSITIVE:
    case CKA_NEVER_EXTRACTABLE:
    case CKA_LOCAL:
        return flag(private);
    case CKA_VERIFY:
        return flag(!private);
    case CKA_DECRYPT:
    case CKA_DERIVE:
    case CKA_EXTRACTABLE:
    case CKA_ALWAYS_AUTHENTICATE:
        return flag(false);
    default:
        return (struct value){ 0 };
    }
}

static struct value value_of(const struct object *object, CK_ATTRIBUTE_TYPE type)
{
    static const CK_CERTIFICATE_TYPE x509 = CKC_X_509;

    switch (type) {
    case CKA_CLASS:
        return bytes(&object->class, sizeof object->class);
    case CKA_TOKEN:
        return flag(true);
    case CKA_PRIVATE:
        return flag(object->class == CKO_PRIVATE_KEY);
    case CKA_LABEL:
        return bytes(object->label, strlen(object->label));
    case CKA_ID:
        return bytes(object->id, sizeof object->id);
    default:
        break;
    }
    if (is_key(object))
        return key_value(object, type);
    switch (type) {
    case CKA_CERTIFICATE_TYPE:
        return bytes(&x509, sizeof x509);
    case CKA_VALUE:
        return object->key->certificate;
    case CKA_SUBJECT:
        return object->key->subject;
    default:
        return (struct value){ 0 };
    }
}

bool objects_want(const CK_ATTRIBUTE *at, CK_ULONG count, struct wanted *ret)
{
    if (count > sizeof ret->at / sizeof *ret->at)
        return false;
    for (CK_ULONG i = 0; i < count; i++) {
        if (at[i].ulValueLen > sizeof ret->value[i])
            return false;
        ret->at[i] = (CK_ATTRIBUTE){ at[i].type, ret->value[i], at[i].ulValueLen };
        if (at[i].ulValueLen)
            memcpy(ret->value[i], at[i].pValue, at[i].ulValueLen);
    }
    ret->count = count;
    return true;
}

static bool fits(const struct wanted *wanted, const struct object *object)
{
    for (CK_ULONG i = 0; i < wanted->count; i++) {
        struct value value = value_of(object, wanted->at[i].type);

        if (!value.data || value.len != wanted->at[i].ulValueLen ||
            memcmp(value.data, wanted->at[i].pValue, value.len) != 0)
            return false;
    }
    return true;
}

bool objects_next(const struct wanted *wanted, bool logged_in, size_t *at)
{
    while (*at < object_count) {
        const struct object *object = &objects[(*at)++];

        if ((logged_in || object->class != CKO_PRIVATE_KEY) && fits(wanted, object))
            return true;
    }
    return false;
}

CK_RV object_read(CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *at, CK_ULONG count)
{
    CK_RV rv = CKR_OK;

    if (handle < 1 || handle > object_count)
        return CKR_OBJECT_HANDLE_INVALID;
    for (CK_ULONG i = 0; i < count; i++) {
        struct value value = value_of(&objects[handle - 1], at[i].type);
        CK_ULONG room = at[i].ulValueLen;

        at[i].ulValueLen = value.data ? value.len : CK_UNAVAILABLE_INFORMATION;
        if (!value.data) {
            rv = CKR_ATTRIBUTE_TYPE_INVALID;
        } else if (at[i].pValue && room < value.len) {
            at[i].ulValueLen = CK_UNAVAILABLE_INFORMATION;
            rv = CKR_BUFFER_TOO_SMALL;
        } else if (at[i].pValue) {
            memcpy(at[i].pValue, value.data, value.len);
        }
    }
    return rv;
}

const struct object *object_key(CK_OBJECT_HANDLE handle)
{
    return handle > 0 && handle <= object_count && objects[handle - 1].class == CKO_PRIVATE_KEY ? &objects[handle - 1]
                                                                                                : NULL;
}

const struct made *object_made(const struct object *object, enum mechanism mechanism)
{
    return &object->key->made[mechanism];
}

static const EVP_MD *hash_of(CK_MECHANISM_TYPE type)
{
    return type == CKM_SHA512 ? EVP_sha512() : type == CKM_SHA384 ? EVP_sha384() : EVP_sha256();
}

static bool set_padding(EVP_PKEY_CTX *ctx, enum mechanism mechanism, const CK_RSA_PKCS_PSS_PARAMS *pss)
{
    if (mechanism == ECDSA)
        return true;
    if (mechanism == RSA_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(ctx, hash_of(pss->hashAlg)) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, (int)pss->sLen) == 1;
}

/* PKCS#11 wants r || s. */
static size_t unpack_ecdsa(const unsigned char *der, size_t len, unsigned char *ret)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, 32) == 32 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + 32, 32) == 32;

    ECDSA_SIG_free(sig);
    return ok ? 64 : 0;
}

/* The first is kept for those that are made up. */
static void keep(struct made *made, const unsigned char *signature, size_t len)
{
    pthread_mutex_lock(&lock);
    if (!made->len) {
        memcpy(made->bytes, signature, len);
        made->len = len;
    }
    pthread_mutex_unlock(&lock);
}

CK_RV object_sign(const struct object *object, enum mechanism mechanism, const CK_RSA_PKCS_PSS_PARAMS *pss,
                  const unsigned char *in, size_t len, unsigned char *ret, CK_ULONG *ret_len)
{
    size_t size = object->key->type == CKK_EC ? 64 : object->key->modulus.len, made;
    unsigned char signature[512];
    EVP_PKEY_CTX *ctx;
    bool ok;

    if (ret && *ret_len < size)
        return CKR_BUFFER_TOO_SMALL;
    *ret_len = size;
    if (!ret)
        return CKR_OK;
    made = sizeof signature;
    ctx = EVP_PKEY_CTX_new_from_pkey(libctx, object->key->pkey, NULL);
    ok = ctx && EVP_PKEY_sign_init(ctx) == 1 && set_padding(ctx, mechanism, pss) &&
         EVP_PKEY_sign(ctx, signature, &made, in, len) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (ok && mechanism == ECDSA)
        ok = unpack_ecdsa(signature, made, ret) == size;
    else if (ok)
        memcpy(ret, signature, size);
    if (!ok)
        return CKR_FUNCTION_FAILED;
    keep(&object->key->made[mechanism], ret, size);
    return CKR_OK;
}
