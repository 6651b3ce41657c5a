/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and certificates for the tests of core's encoders, made in a library context of their own.  The default context
 * is emptied, so that any use of it by the core fails. */
#ifndef KEYS_H
#define KEYS_H

#include "bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <hsmux/types.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static OSSL_LIB_CTX *own;
static OSSL_PROVIDER *own_provider, *no_provider;

static inline int keys_setup(void **state)
{
    (void)state;
    own = OSSL_LIB_CTX_new();
    own_provider = own ? OSSL_PROVIDER_load(own, "default") : NULL;
    no_provider = OSSL_PROVIDER_load(NULL, "null");
    return own_provider && no_provider ? 0 : -1;
}

static inline int keys_teardown(void **state)
{
    (void)state;
    OSSL_PROVIDER_unload(no_provider);
    OSSL_PROVIDER_unload(own_provider);
    OSSL_LIB_CTX_free(own);
    return 0;
}

/* type: "RSA:2048", "EC:P-256", "ED25519", ... */
static inline EVP_PKEY *key_make(const char *type)
{
    const char *colon = strchr(type, ':');
    char name[16] = "", param[32] = "";
    EVP_PKEY_CTX *ctx;
    EVP_PKEY *key = NULL;

    snprintf(name, sizeof name, "%.*s", colon ? (int)(colon - type) : 15, type);
    if (colon)
        snprintf(param, sizeof param, "%s", colon + 1);
    ctx = EVP_PKEY_CTX_new_from_name(own, name, NULL);
    assert_non_null(ctx);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    if (!strncmp(name, "RSA", 3))
        assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, atoi(param)), 1);
    else if (!strcmp(name, "EC"))
        assert_int_equal(EVP_PKEY_CTX_set_group_name(ctx, param), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static inline struct hx_bytes key_spki(EVP_PKEY *key)
{
    struct hx_bytes spki = { 0 };
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    assert_true(len > 0);
    assert_int_equal(bytes_append(&spki, der, (size_t)len), 0);
    OPENSSL_free(der);
    return spki;
}

/* The bytes of HX_PUBLIC. */
static inline struct hx_bytes key_public(EVP_PKEY *key)
{
    struct hx_bytes public = { 0 };
    unsigned char buffer[1024];
    size_t len = sizeof buffer;
    BIGNUM *n = NULL;

    if (EVP_PKEY_is_a(key, "RSA")) {
        assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
        len = (size_t)BN_bn2bin(n, buffer);
        BN_free(n);
    } else {
        assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, buffer, sizeof buffer, &len), 1);
    }
    assert_int_equal(bytes_append(&public, buffer, len), 0);
    return public;
}

static inline void name_add(X509_NAME *name, int type, const void *text, int len)
{
    assert_int_equal(X509_NAME_add_entry_by_NID(name, NID_commonName, type, text, len, -1, 0), 1);
}

/* Signed by issuer with md (NULL for Ed25519); extensions end with 0: NID, text. */
static inline X509 *cert_make(EVP_PKEY *key, const char *cn, const char *issuer_cn)
{
    X509 *x509 = X509_new_ex(own, NULL);

    assert_non_null(x509);
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 7);
    ASN1_TIME_set_string(X509_getm_notBefore(x509), "19700101000000Z");
    ASN1_TIME_set_string(X509_getm_notAfter(x509), "99991231235959Z");
    X509_set_pubkey(x509, key);
    if (cn)
        name_add(X509_get_subject_name(x509), MBSTRING_UTF8, cn, -1);
    name_add(X509_get_issuer_name(x509), MBSTRING_UTF8, issuer_cn, -1);
    return x509;
}

/* Signs and frees it. */
static inline struct hx_bytes cert_sign(X509 *x509, EVP_PKEY *issuer)
{
    struct hx_bytes cert = { 0 };
    unsigned char *der = NULL;
    int len;

    assert_true(X509_sign(x509, issuer, EVP_PKEY_is_a(issuer, "ED25519") ? NULL : EVP_sha256()) > 0);
    len = i2d_X509(x509, &der);
    assert_true(len > 0);
    assert_int_equal(bytes_append(&cert, der, (size_t)len), 0);
    OPENSSL_free(der);
    X509_free(x509);
    return cert;
}

#endif
