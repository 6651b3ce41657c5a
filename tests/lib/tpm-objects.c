/* SPDX-License-Identifier: Apache-2.0 */
/* See tpm-objects.h.  Keys are made as primary ones of the owner's: what is `unique` in their templates, the handle,
 * keeps them apart.  Software keys are imported without any wrapping below a storage key that is made for it. */
#include "tpm-objects.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include <cmocka.h>

enum { ANY_USE = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_DECRYPT };
enum { LOCAL = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN };

static void must(TSS2_RC rc, const char *what)
{
    if (rc)
        fail_msg("%s: 0x%x", what, rc);
}

static ESYS_CONTEXT *open_tpm(const struct tpm_fixture *f)
{
    TSS2_TCTI_CONTEXT *tcti = NULL;
    ESYS_CONTEXT *esys = NULL;

    must(Tss2_TctiLdr_Initialize(f->tcti, &tcti), f->tcti);
    must(Esys_Initialize(&esys, tcti, NULL), "Esys_Initialize");
    return esys;
}

static void close_tpm(ESYS_CONTEXT *esys)
{
    TSS2_TCTI_CONTEXT *tcti = NULL;

    must(Esys_GetTcti(esys, &tcti), "Esys_GetTcti");
    Esys_Finalize(&esys);
    Tss2_TctiLdr_Finalize(&tcti);
}

static void get_capability(ESYS_CONTEXT *esys, TPM2_CAP what, uint32_t from, uint32_t count, TPMU_CAPABILITIES *ret)
{
    TPMS_CAPABILITY_DATA *data = NULL;

    must(Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, what, from, count, NULL, &data),
         "Esys_GetCapability");
    *ret = data->data;
    Esys_Free(data);
}

static TPML_HANDLE handles(ESYS_CONTEXT *esys, TPM2_HANDLE first)
{
    TPMU_CAPABILITIES found;

    get_capability(esys, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &found);
    return found.handles;
}

static uint32_t property(ESYS_CONTEXT *esys, TPM2_PT which)
{
    TPMU_CAPABILITIES found;

    get_capability(esys, TPM2_CAP_TPM_PROPERTIES, which, 1, &found);
    assert_int_equal(found.tpmProperties.count, 1);
    assert_int_equal(found.tpmProperties.tpmProperty[0].property, which);
    return found.tpmProperties.tpmProperty[0].value;
}

/* What is at the handle now, or ESYS_TR_NONE. */
static ESYS_TR at_handle(ESYS_CONTEXT *esys, TPM2_HANDLE handle)
{
    TPML_HANDLE found = handles(esys, handle);
    ESYS_TR object = ESYS_TR_NONE;

    if (found.count && found.handle[0] == handle)
        must(Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object),
             "TR_FromTPMPublic");
    return object;
}

static void evict(ESYS_CONTEXT *esys, TPM2_HANDLE handle)
{
    ESYS_TR object = at_handle(esys, handle), none = ESYS_TR_NONE;

    if (object != ESYS_TR_NONE)
        must(Esys_EvictControl(esys, ESYS_TR_RH_OWNER, object, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, handle,
                               &none),
             "Esys_EvictControl");
}

/* The transient object goes. */
static void persist(ESYS_CONTEXT *esys, ESYS_TR object, TPM2_HANDLE handle)
{
    ESYS_TR made = ESYS_TR_NONE;

    evict(esys, handle);
    must(Esys_EvictControl(esys, ESYS_TR_RH_OWNER, object, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, handle, &made),
         "Esys_EvictControl");
    must(Esys_TR_Close(esys, &made), "Esys_TR_Close");
    must(Esys_FlushContext(esys, object), "Esys_FlushContext");
}

static TPMI_ALG_ASYM_SCHEME scheme_of(const struct tpm_fixture_key *key, TPMI_ALG_ASYM_SCHEME restricted)
{
    if (key->scheme)
        return key->scheme;
    return key->attributes & TPMA_OBJECT_RESTRICTED && key->attributes & TPMA_OBJECT_SIGN_ENCRYPT ? restricted
                                                                                                  : TPM2_ALG_NULL;
}

/* A restricted key that decrypts is a storage key. */
static TPMT_SYM_DEF_OBJECT symmetric_of(const struct tpm_fixture_key *key)
{
    if (key->attributes & TPMA_OBJECT_RESTRICTED && key->attributes & TPMA_OBJECT_DECRYPT)
        return (TPMT_SYM_DEF_OBJECT){ TPM2_ALG_AES, { .aes = 128 }, { .aes = TPM2_ALG_CFB } };
    return (TPMT_SYM_DEF_OBJECT){ .algorithm = TPM2_ALG_NULL };
}

static TPM2B_PUBLIC template_of(const struct tpm_fixture_key *key)
{
    TPM2B_PUBLIC template = { .publicArea = { .type = key->type, .nameAlg = TPM2_ALG_SHA256 } };
    TPMT_PUBLIC *public = &template.publicArea;
    TPMU_PUBLIC_PARMS *with = &public->parameters;
    TPMA_OBJECT use = key->type == TPM2_ALG_KEYEDHASH ? TPMA_OBJECT_SIGN_ENCRYPT : ANY_USE;

    public->objectAttributes = (key->attributes ? key->attributes : use | TPMA_OBJECT_NODA) | TPMA_OBJECT_USERWITHAUTH;
    if (key->type == TPM2_ALG_RSA) {
        with->rsaDetail.keyBits = key->size;
        with->rsaDetail.symmetric = symmetric_of(key);
        with->rsaDetail.scheme.scheme = scheme_of(key, TPM2_ALG_RSASSA);
        with->rsaDetail.scheme.details.anySig.hashAlg = TPM2_ALG_SHA256;
        memcpy(public->unique.rsa.buffer, &key->handle, sizeof key->handle);
        public->unique.rsa.size = sizeof key->handle;
    } else if (key->type == TPM2_ALG_ECC) {
        with->eccDetail.curveID = key->size;
        with->eccDetail.symmetric = symmetric_of(key);
        with->eccDetail.scheme.scheme = scheme_of(key, TPM2_ALG_ECDSA);
        with->eccDetail.scheme.details.anySig.hashAlg = TPM2_ALG_SHA256;
        with->eccDetail.kdf.scheme = TPM2_ALG_NULL;
        memcpy(public->unique.ecc.x.buffer, &key->handle, sizeof key->handle);
        public->unique.ecc.x.size = sizeof key->handle;
    } else {
        with->keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC;
        with->keyedHashDetail.scheme.details.hmac.hashAlg = key->size ? key->size : TPM2_ALG_SHA256;
        memcpy(public->unique.keyedHash.buffer, &key->handle, sizeof key->handle);
        public->unique.keyedHash.size = sizeof key->handle;
    }
    return template;
}

static TPM2B_AUTH auth_of(const struct tpm_fixture_key *key)
{
    TPM2B_AUTH auth = { .size = (UINT16)(key->auth ? strlen(key->auth) : 0) };

    assert_true(auth.size <= sizeof auth.buffer);
    if (key->auth)
        memcpy(auth.buffer, key->auth, auth.size);
    return auth;
}

static ESYS_TR make_primary(ESYS_CONTEXT *esys, const struct tpm_fixture_key *key)
{
    TPM2B_PUBLIC template = template_of(key);
    TPM2B_SENSITIVE_CREATE secret = { .sensitive.userAuth = auth_of(key) };
    TPM2B_DATA outside = { 0 };
    TPML_PCR_SELECTION pcrs = { 0 };
    ESYS_TR object = ESYS_TR_NONE;

    template.publicArea.objectAttributes |= LOCAL;
    must(Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &secret, &template,
                            &outside, &pcrs, &object, NULL, NULL, NULL, NULL),
         "Esys_CreatePrimary");
    return object;
}

void tpm_fixture_make(const struct tpm_fixture *f, const struct tpm_fixture_key *key, size_t count)
{
    ESYS_CONTEXT *esys = open_tpm(f);

    for (size_t i = 0; i < count; i++)
        persist(esys, make_primary(esys, &key[i]), key[i].handle);
    close_tpm(esys);
}

/* A storage key below which to import and to load. */
static ESYS_TR make_storage(ESYS_CONTEXT *esys)
{
    static const struct tpm_fixture_key storage = {
        .type = TPM2_ALG_ECC,
        .size = TPM2_ECC_NIST_P256,
        .attributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_NODA,
    };

    return make_primary(esys, &storage);
}

static UINT16 number_of(EVP_PKEY *key, const char *name, BYTE *ret, size_t size)
{
    BIGNUM *number = NULL;
    int len;

    assert_true(EVP_PKEY_get_bn_param(key, name, &number));
    len = size ? BN_bn2binpad(number, ret, (int)size) : BN_bn2bin(number, ret);
    assert_true(len > 0);
    BN_clear_free(number);
    return (UINT16)len;
}

static void numbers_of(EVP_PKEY *key, TPM2B_PUBLIC *public, TPMT_SENSITIVE *secret)
{
    TPMU_PUBLIC_ID *unique = &public->publicArea.unique;
    size_t width = (size_t)(EVP_PKEY_get_bits(key) + 7) / 8;

    if (EVP_PKEY_is_a(key, "RSA")) {
        unique->rsa.size = number_of(key, OSSL_PKEY_PARAM_RSA_N, unique->rsa.buffer, width);
        secret->sensitive.rsa.size =
            number_of(key, OSSL_PKEY_PARAM_RSA_FACTOR1, secret->sensitive.rsa.buffer, width / 2);
        return;
    }
    unique->ecc.x.size = number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, unique->ecc.x.buffer, width);
    unique->ecc.y.size = number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, unique->ecc.y.buffer, width);
    secret->sensitive.ecc.size = number_of(key, OSSL_PKEY_PARAM_PRIV_KEY, secret->sensitive.ecc.buffer, width);
}

static struct tpm_fixture_key kind_of(const struct tpm_fixture_key *wanted, EVP_PKEY *key)
{
    struct tpm_fixture_key kind = *wanted;
    int bits = EVP_PKEY_get_bits(key);

    kind.type = EVP_PKEY_is_a(key, "RSA") ? TPM2_ALG_RSA : TPM2_ALG_ECC;
    kind.size = (uint16_t)bits;
    if (kind.type == TPM2_ALG_ECC)
        kind.size = bits == 256 ? TPM2_ECC_NIST_P256 : bits == 384 ? TPM2_ECC_NIST_P384 : TPM2_ECC_NIST_P521;
    return kind;
}

void tpm_fixture_import(const struct tpm_fixture *f, const struct tpm_fixture_key *wanted, EVP_PKEY *from)
{
    struct tpm_fixture_key kind = kind_of(wanted, from);
    TPM2B_PUBLIC public = template_of(&kind);
    TPMT_SENSITIVE secret = { .sensitiveType = kind.type, .authValue = auth_of(&kind) };
    TPMT_SYM_DEF_OBJECT none = { .algorithm = TPM2_ALG_NULL };
    TPM2B_ENCRYPTED_SECRET seed = { 0 };
    TPM2B_SENSITIVE clear = { 0 };
    TPM2B_PRIVATE duplicate = { 0 }, *wrapped = NULL;
    ESYS_CONTEXT *esys = open_tpm(f);
    ESYS_TR storage = make_storage(esys), object = ESYS_TR_NONE;
    size_t len = 0;

    numbers_of(from, &public, &secret);
    clear.sensitiveArea = secret;
    must(Tss2_MU_TPM2B_SENSITIVE_Marshal(&clear, duplicate.buffer, sizeof duplicate.buffer, &len), "marshal");
    duplicate.size = (UINT16)len;
    must(Esys_Import(esys, storage, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, NULL, &public, &duplicate, &seed,
                     &none, &wrapped),
         "Esys_Import");
    must(Esys_Load(esys, storage, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, wrapped, &public, &object),
         "Esys_Load");
    must(Esys_FlushContext(esys, storage), "Esys_FlushContext");
    persist(esys, object, kind.handle);
    Esys_Free(wrapped);
    close_tpm(esys);
}

void tpm_fixture_evict(const struct tpm_fixture *f, TPM2_HANDLE handle)
{
    ESYS_CONTEXT *esys = open_tpm(f);

    evict(esys, handle);
    close_tpm(esys);
}

static const TPM2_HANDLE passing[] = { TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST, TPM2_ACTIVE_SESSION_FIRST };

size_t tpm_fixture_left(const struct tpm_fixture *f)
{
    ESYS_CONTEXT *esys = open_tpm(f);
    size_t count = 0;

    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        count += handles(esys, passing[i]).count;
    close_tpm(esys);
    return count;
}

void tpm_fixture_fill(const struct tpm_fixture *f, size_t slots)
{
    ESYS_CONTEXT *esys = open_tpm(f);

    while (property(esys, TPM2_PT_HR_TRANSIENT_AVAIL) > slots)
        make_storage(esys);
    close_tpm(esys);
}

void tpm_fixture_flush(const struct tpm_fixture *f)
{
    ESYS_CONTEXT *esys = open_tpm(f);
    ESYS_TR object;

    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        TPML_HANDLE found = handles(esys, passing[i]);

        for (size_t j = 0; j < found.count; j++) {
            must(Esys_TR_FromTPMPublic(esys, found.handle[j], ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object),
                 "Esys_TR_FromTPMPublic");
            must(Esys_FlushContext(esys, object), "Esys_FlushContext");
        }
    }
    close_tpm(esys);
}

uint32_t tpm_fixture_property(const struct tpm_fixture *f, TPM2_PT which)
{
    ESYS_CONTEXT *esys = open_tpm(f);
    uint32_t value = property(esys, which);

    close_tpm(esys);
    return value;
}
