/* SPDX-License-Identifier: Apache-2.0 */
/* The fake plugin's key pairs, kept as DER in memory that forked children share, so that all see the same keys. */
#include "fake.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/mman.h>

#define PAIRS 64

struct pair {
    uint32_t type, bits;
    unsigned number;
    unsigned char der[2600];
    int len;
};

static struct {
    struct pair pair[PAIRS];
    unsigned count, next_number;
} * store;

static OSSL_LIB_CTX *libctx;
static pthread_mutex_t libctx_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start_pairs(void)
{
    void *memory = mmap(NULL, sizeof *store, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    store = memory == MAP_FAILED ? NULL : memory;
    if (store)
        store->next_number = 1000;
}

OSSL_LIB_CTX *pair_libctx(void)
{
    pthread_mutex_lock(&libctx_lock);
    if (!libctx)
        libctx = OSSL_LIB_CTX_new();
    pthread_mutex_unlock(&libctx_lock);
    return libctx;
}

/* The locks inside the old context may be held by a thread that this process does not have. */
void pairs_forked(void)
{
    libctx = NULL;
    pthread_mutex_init(&libctx_lock, NULL);
}

uint32_t pair_bits(uint32_t type, uint32_t bits)
{
    switch (type) {
    case HX_RSA:
        return bits ? bits : 2048;
    case HX_P384:
        return 384;
    case HX_P521:
        return 521;
    default:
        return 256;
    }
}

static EVP_PKEY *generate(uint32_t type, uint32_t bits)
{
    switch (type) {
    case HX_RSA:
        return EVP_PKEY_Q_keygen(pair_libctx(), NULL, "RSA", (size_t)bits);
    case HX_P256:
        return EVP_PKEY_Q_keygen(pair_libctx(), NULL, "EC", "P-256");
    case HX_P384:
        return EVP_PKEY_Q_keygen(pair_libctx(), NULL, "EC", "P-384");
    case HX_P521:
        return EVP_PKEY_Q_keygen(pair_libctx(), NULL, "EC", "P-521");
    case HX_ED25519:
        return EVP_PKEY_Q_keygen(pair_libctx(), NULL, "ED25519");
    default:
        return NULL;
    }
}

/* With the control's lock held. */
static int keep(uint32_t type, uint32_t bits, unsigned number, EVP_PKEY *key)
{
    struct pair *pair = &store->pair[store->count];
    if (store->count == PAIRS || i2d_PrivateKey(key, NULL) > (int)sizeof pair->der)
        return HX_E_FULL;
    unsigned char *p = pair->der;
    pair->len = i2d_PrivateKey(key, &p);
    pair->type = type;
    pair->bits = bits;
    pair->number = number;
    store->count++;
    return 0;
}

EVP_PKEY *pair_get(uint32_t type, uint32_t bits, unsigned number)
{
    bits = pair_bits(type, bits);
    EVP_PKEY *key = NULL;
    OSSL_LIB_CTX *ctx = pair_libctx();
    pthread_mutex_lock(&control->lock);
    for (unsigned i = 0; i < store->count && !key; i++) {
        const struct pair *pair = &store->pair[i];
        const unsigned char *p = pair->der;
        if (pair->type == type && pair->bits == bits && pair->number == number)
            key = d2i_AutoPrivateKey_ex(NULL, &p, pair->len, ctx, NULL);
    }
    if (!key) {
        key = generate(type, bits);
        if (key && keep(type, bits, number, key)) {
            EVP_PKEY_free(key);
            key = NULL;
        }
    }
    pthread_mutex_unlock(&control->lock);
    return key;
}

unsigned pair_keep(uint32_t type, uint32_t bits, EVP_PKEY *key)
{
    pthread_mutex_lock(&control->lock);
    unsigned number = ++store->next_number;
    if (keep(type, pair_bits(type, bits), number, key))
        number = 0;
    pthread_mutex_unlock(&control->lock);
    return number;
}

int pair_public(const struct fake_object *object, unsigned char *out, size_t size, size_t *ret)
{
    EVP_PKEY *key = pair_get(object->type, object->bits, object->key);
    if (!key)
        return HX_E_DEVICE;
    int result = HX_E_DEVICE;
    BIGNUM *n = NULL;
    size_t len = size;
    if (object->type == HX_ED25519) {
        if (EVP_PKEY_get_raw_public_key(key, out, &len) > 0)
            result = 0;
    } else if (object->type != HX_RSA) {
        if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out, size, &len) > 0)
            result = 0;
    } else {
        len = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
        if (len <= size && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) && BN_bn2binpad(n, out, (int)len) > 0)
            result = 0;
    }
    if (!result)
        *ret = len;
    BN_free(n);
    EVP_PKEY_free(key);
    return result;
}

static int build_rsa(OSSL_PARAM_BLD *build, const struct hx_buf *part, BIGNUM **numbers)
{
    static const char *const names[8] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    for (int i = 0; i < 8; i++) {
        numbers[i] = BN_bin2bn(part[i].data, (int)part[i].len, NULL);
        if (!numbers[i] || !OSSL_PARAM_BLD_push_BN(build, names[i], numbers[i]))
            return HX_E_INVALID;
    }
    return 0;
}

static int build_ec(OSSL_PARAM_BLD *build, uint32_t type, const struct hx_buf *part, BIGNUM **numbers)
{
    const char *group = type == HX_P256 ? "P-256" : type == HX_P384 ? "P-384" : "P-521";
    numbers[0] = BN_bin2bn(part[0].data, (int)part[0].len, NULL);
    if (!numbers[0] || !OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) ||
        !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, numbers[0]) ||
        !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, part[1].data, part[1].len))
        return HX_E_INVALID;
    return 0;
}

static int from_params(const char *name, OSSL_PARAM_BLD *build, EVP_PKEY **ret)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(pair_libctx(), name, NULL);
    int good =
        params && ctx && EVP_PKEY_fromdata_init(ctx) > 0 && EVP_PKEY_fromdata(ctx, ret, EVP_PKEY_KEYPAIR, params) > 0;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return good ? 0 : HX_E_INVALID;
}

int pair_import(const struct hx_spec *spec, const struct hx_buf *part, size_t parts, EVP_PKEY **ret)
{
    if (spec->type == HX_ED25519) {
        if (parts < 1)
            return HX_E_INVALID;
        *ret = EVP_PKEY_new_raw_private_key_ex(pair_libctx(), "ED25519", NULL, part[0].data, part[0].len);
        return *ret ? 0 : HX_E_INVALID;
    }
    if (parts != (spec->type == HX_RSA ? 8u : 2u))
        return HX_E_INVALID;
    BIGNUM *numbers[8] = { NULL };
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    int result = !build                 ? HX_E_NO_MEMORY
                 : spec->type == HX_RSA ? build_rsa(build, part, numbers)
                                        : build_ec(build, spec->type, part, numbers);
    if (!result)
        result = from_params(spec->type == HX_RSA ? "RSA" : "EC", build, &key);
    for (int i = 0; i < 8; i++)
        BN_clear_free(numbers[i]);
    OSSL_PARAM_BLD_free(build);
    if (!result)
        *ret = key;
    return result;
}
