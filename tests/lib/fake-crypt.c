/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake plugin's keys do: sign, decrypt, derive, and the certificates made for them. */
#include "fake.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static const char *hash_name(uint32_t hash)
{
    static const char *const names[] = { NULL, "SHA1", "SHA256", "SHA384", "SHA512" };
    return hash < sizeof names / sizeof *names ? names[hash] : NULL;
}

static int set_pss(EVP_PKEY_CTX *ctx, const struct hx_alg *alg)
{
    int salt = control->salt == FAKE_SALT_DIGEST ? RSA_PSS_SALTLEN_DIGEST
               : control->salt == FAKE_SALT_MAX  ? RSA_PSS_SALTLEN_MAX
                                                 : (int)alg->salt_len;
    const char *mgf = hash_name(alg->mgf_hash ? alg->mgf_hash : alg->hash);
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt) > 0 && EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, mgf, NULL) > 0;
}

static int set_scheme(EVP_PKEY_CTX *ctx, const struct hx_alg *alg)
{
    EVP_MD *md = alg->hash ? EVP_MD_fetch(pair_libctx(), hash_name(alg->hash), NULL) : NULL;
    int good = 1;
    if (alg->scheme == HX_RSA_RAW)
        good = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0;
    else if (md && alg->scheme != HX_ECDSA)
        good = EVP_PKEY_CTX_set_signature_md(ctx, md) > 0;
    if (good && alg->scheme == HX_RSA_PSS)
        good = md && set_pss(ctx, alg);
    else if (good && alg->scheme == HX_RSA_PKCS1)
        good = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0;
    EVP_MD_free(md);
    return good;
}

/* Ecdsa-Sig-Value to two numbers of the curve's width. */
static int flatten(unsigned char *sig, size_t *len, uint32_t bits)
{
    const unsigned char *p = sig;
    ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &p, (long)*len);
    if (!parsed)
        return HX_E_DEVICE;
    int width = (int)(bits + 7) / 8;
    BN_bn2binpad(ECDSA_SIG_get0_r(parsed), sig, width);
    BN_bn2binpad(ECDSA_SIG_get0_s(parsed), sig + width, width);
    ECDSA_SIG_free(parsed);
    *len = 2 * (size_t)width;
    return 0;
}

static int sign_mac(const struct fake_object *object, const struct hx_alg *alg, const void *in, size_t in_len,
                    unsigned char *out, size_t *len)
{
    if (!hash_name(alg->hash))
        return HX_E_UNSUPPORTED;
    return EVP_Q_mac(pair_libctx(), "HMAC", NULL, hash_name(alg->hash), NULL, object->value, object->value_len, in,
                     in_len, out, *len, len)
               ? 0
               : HX_E_DEVICE;
}

static int sign_message(EVP_PKEY *key, const void *in, size_t in_len, unsigned char *out, size_t *len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int good = ctx && EVP_DigestSignInit_ex(ctx, NULL, NULL, pair_libctx(), NULL, key, NULL) > 0 &&
               EVP_DigestSign(ctx, out, len, in, in_len) > 0;
    EVP_MD_CTX_free(ctx);
    return good ? 0 : HX_E_DEVICE;
}

static int sign_digest(EVP_PKEY *key, const struct hx_alg *alg, const void *in, size_t in_len, unsigned char *out,
                       size_t *len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(pair_libctx(), key, NULL);
    int good =
        ctx && EVP_PKEY_sign_init(ctx) > 0 && set_scheme(ctx, alg) && EVP_PKEY_sign(ctx, out, len, in, in_len) > 0;
    EVP_PKEY_CTX_free(ctx);
    return good ? 0 : HX_E_DEVICE;
}

static int fits(uint32_t type, uint32_t scheme)
{
    switch (scheme) {
    case HX_RSA_PKCS1:
    case HX_RSA_PSS:
    case HX_RSA_RAW:
    case HX_RSA_OAEP:
        return type == HX_RSA;
    case HX_ECDSA:
    case HX_ECDH:
        return type == HX_P256 || type == HX_P384 || type == HX_P521;
    case HX_EDDSA:
        return type == HX_ED25519;
    case HX_HMAC:
        return type == HX_GENERIC;
    default:
        return 0;
    }
}

/* An RSA result as some tokens give it. */
static void spoil(unsigned char *out, size_t *len)
{
    size_t zeroes = 0;
    while (control->cut_zeroes && zeroes < *len && !out[zeroes])
        zeroes++;
    *len -= zeroes;
    memmove(out, out + zeroes, *len);
}

int crypt_sign(const struct fake_object *object, const struct hx_alg *alg, const void *in, size_t in_len,
               unsigned char *out, size_t *len)
{
    if (!fits(object->type, alg->scheme) || control->refused_schemes & 1u << alg->scheme)
        return HX_E_UNSUPPORTED;
    if (alg->scheme == HX_HMAC)
        return sign_mac(object, alg, in, in_len, out, len);
    EVP_PKEY *key = pair_get(object->type, object->bits, object->key);
    if (!key)
        return HX_E_DEVICE;
    int result =
        alg->scheme == HX_EDDSA ? sign_message(key, in, in_len, out, len) : sign_digest(key, alg, in, in_len, out, len);
    EVP_PKEY_free(key);
    if (!result && alg->scheme == HX_ECDSA)
        result = flatten(out, len, object->bits);
    if (!result && control->wrong_signatures) {
        control->wrong_signatures--;
        out[*len / 2] ^= 1;
    }
    if (!result && object->type == HX_RSA)
        spoil(out, len);
    if (!result)
        control->done[alg->scheme]++;
    return result;
}

static int set_oaep(EVP_PKEY_CTX *ctx, const struct hx_alg *alg)
{
    const char *mgf = hash_name(alg->mgf_hash ? alg->mgf_hash : alg->hash);
    void *label = alg->param.len ? OPENSSL_memdup(alg->param.data, alg->param.len) : NULL;
    if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
        EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, hash_name(alg->hash), NULL) > 0 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, mgf, NULL) > 0 &&
        (!label || EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, (int)alg->param.len) > 0))
        return 1;
    OPENSSL_free(label);
    return 0;
}

int crypt_decrypt(const struct fake_object *object, const struct hx_alg *alg, const void *in, size_t in_len,
                  unsigned char *out, size_t *len)
{
    bool oaep = alg->scheme == HX_RSA_OAEP;
    if (!fits(object->type, alg->scheme) || (!oaep && alg->scheme != HX_RSA_RAW) ||
        control->refused_schemes & 1u << alg->scheme)
        return HX_E_UNSUPPORTED;
    if (oaep && control->plain_oaep && (alg->hash != HX_SHA1 || alg->mgf_hash > HX_SHA1 || alg->param.len))
        return HX_E_UNSUPPORTED;
    EVP_PKEY *key = pair_get(object->type, object->bits, object->key);
    EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new_from_pkey(pair_libctx(), key, NULL) : NULL;
    int good = ctx && EVP_PKEY_decrypt_init(ctx) > 0 &&
               (oaep ? set_oaep(ctx, alg) : EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0) &&
               EVP_PKEY_decrypt(ctx, out, len, in, in_len) > 0;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    if (good && !oaep)
        spoil(out, len);
    if (good)
        control->done[alg->scheme]++;
    return good ? 0 : HX_E_DEVICE;
}

int crypt_derive(const struct fake_object *object, const void *in, size_t in_len, unsigned char *out, size_t *len)
{
    if (!fits(object->type, HX_ECDH))
        return HX_E_UNSUPPORTED;
    EVP_PKEY *key = pair_get(object->type, object->bits, object->key);
    EVP_PKEY *peer = EVP_PKEY_new();
    EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new_from_pkey(pair_libctx(), key, NULL) : NULL;
    int good = ctx && peer && EVP_PKEY_copy_parameters(peer, key) > 0 &&
               EVP_PKEY_set1_encoded_public_key(peer, in, in_len) > 0 && EVP_PKEY_derive_init(ctx) > 0 &&
               EVP_PKEY_derive_set_peer(ctx, peer) > 0 && EVP_PKEY_derive(ctx, out, len) > 0;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(key);
    return good ? 0 : HX_E_DEVICE;
}

static int set_names(X509 *cert, const struct fake_object *object)
{
    char issuer[32], own[32];
    snprintf(issuer, sizeof issuer, "fake CA %u", object->issuer);
    snprintf(own, sizeof own, "fake CA %u", object->key);
    const char *subject = object->common_name[0] ? object->common_name : object->label;
    if (object->cert == FAKE_CA)
        subject = own;
    X509_NAME *name = X509_get_subject_name(cert);
    if (!X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)subject, -1, -1, 0))
        return 0;
    if (!object->issuer)
        return X509_set_issuer_name(cert, name);
    return X509_NAME_add_entry_by_NID(X509_get_issuer_name(cert), NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)issuer, -1, -1, 0);
}

static int set_facts(X509 *cert, const struct fake_object *object)
{
    static const long year = 365 * 24 * 3600L;
    static const long from[] = { -24 * 3600L, 365 * 24 * 3600L, -2 * 365 * 24 * 3600L, -24 * 3600L };
    X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                             object->cert == FAKE_CA ? "critical,CA:TRUE" : "CA:FALSE");
    int good = ca && X509_set_version(cert, X509_VERSION_3) &&
               ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)object->key + 1) &&
               X509_gmtime_adj(X509_getm_notBefore(cert), from[object->cert]) &&
               X509_gmtime_adj(X509_getm_notAfter(cert), from[object->cert] + year) && set_names(cert, object) &&
               X509_add_ext(cert, ca, -1);
    X509_EXTENSION_free(ca);
    return good;
}

int cert_make(struct fake_object *object)
{
    X509 *cert = X509_new_ex(pair_libctx(), NULL);
    EVP_PKEY *key = pair_get(object->type, object->bits, object->key);
    EVP_PKEY *signer =
        object->issuer ? pair_get(HX_P256, 0, object->issuer) : pair_get(object->type, object->bits, object->key);
    int result = HX_E_DEVICE;
    if (cert && key && signer && object->cert <= FAKE_CA && set_facts(cert, object) && X509_set_pubkey(cert, key) &&
        X509_sign(cert, signer, EVP_PKEY_is_a(signer, "ED25519") ? NULL : EVP_sha256()) > 0) {
        int len = i2d_X509(cert, NULL);
        unsigned char *p = object->value;
        if (len > 0 && (size_t)len <= sizeof object->value) {
            object->value_len = (size_t)i2d_X509(cert, &p);
            result = 0;
        }
    }
    EVP_PKEY_free(signer);
    EVP_PKEY_free(key);
    X509_free(cert);
    return result;
}
