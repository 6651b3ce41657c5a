/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and secrets to PEM and back, encrypted where there is a PIN: PKCS#8 with PBES2, AES-256-CBC and HMAC-SHA256
 * (RFC 8018 §6.2).  A secret is the same EncryptedPrivateKeyInfo around an OCTET STRING, under our own PEM label. */
#include "crypto.h"
#include "key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static bool write_sealed(BIO *bio, EVP_PKEY *key, PKCS8_PRIV_KEY_INFO *info, const unsigned char *pin, size_t pin_len)
{
    OSSL_LIB_CTX *lib = crypto_context();
    EVP_CIPHER *cipher = lib ? EVP_CIPHER_fetch(lib, "AES-256-CBC", NULL) : NULL;
    X509_SIG *sealed =
        cipher ? PKCS8_encrypt_ex(-1, cipher, (const char *)pin, (int)pin_len, NULL, 0, 0, info, lib, NULL) : NULL;
    bool ok = sealed && PEM_write_bio_PKCS8(bio, sealed) && PEM_write_bio_PUBKEY(bio, key);
    X509_SIG_free(sealed);
    EVP_CIPHER_free(cipher);
    return ok;
}

int key_to_pem(struct token *token, EVP_PKEY *key, BIO **ret)
{
    unsigned char pin[TOKEN_PIN_MAX];
    size_t pin_len = token_pin(token, pin);
    BIO *bio = BIO_new(BIO_s_secmem());
    PKCS8_PRIV_KEY_INFO *info = bio ? EVP_PKEY2PKCS8(key) : NULL;
    bool ok =
        info && (pin_len ? write_sealed(bio, key, info, pin, pin_len) : PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, info));
    OPENSSL_cleanse(pin, sizeof pin);
    PKCS8_PRIV_KEY_INFO_free(info);
    if (!ok) {
        BIO_free(bio);
        return hx_fail(token->host, HX_E_DEVICE, "cannot write the key as PEM: %s", crypto_reason());
    }
    *ret = bio;
    return 0;
}

static X509_ALGOR *make_algorithm(OSSL_LIB_CTX *lib)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(lib, "AES-256-CBC", NULL);
    X509_ALGOR *algorithm = cipher ? PKCS5_pbe2_set_iv_ex(cipher, 0, NULL, 0, NULL, -1, lib) : NULL;
    EVP_CIPHER_free(cipher);
    return algorithm;
}

/* The OCTET STRING lets a wrong PIN be told from a right one. */
static int wrap(const void *secret, size_t len, unsigned char **ret)
{
    ASN1_OCTET_STRING *string = ASN1_OCTET_STRING_new();
    int der_len = -1;
    if (string && ASN1_OCTET_STRING_set(string, secret, (int)len))
        der_len = i2d_ASN1_OCTET_STRING(string, ret);
    if (string && string->data)
        OPENSSL_cleanse(string->data, (size_t)string->length);
    ASN1_OCTET_STRING_free(string);
    return der_len;
}

static int seal(const unsigned char *pin, size_t pin_len, const void *secret, size_t len, unsigned char **ret)
{
    OSSL_LIB_CTX *lib = crypto_context();
    X509_ALGOR *algorithm = lib ? make_algorithm(lib) : NULL, *target;
    X509_SIG *sealed = X509_SIG_new();
    ASN1_OCTET_STRING *content;
    unsigned char *der = NULL, *bytes = NULL;
    int bytes_len = 0, ret_len = -1, der_len = wrap(secret, len, &der);
    if (algorithm && sealed && der_len > 0 &&
        PKCS12_pbe_crypt_ex(algorithm, (const char *)pin, (int)pin_len, der, der_len, &bytes, &bytes_len, 1, lib,
                            NULL)) {
        X509_SIG_getm(sealed, &target, &content);
        if (X509_ALGOR_copy(target, algorithm) && ASN1_OCTET_STRING_set(content, bytes, bytes_len))
            ret_len = i2d_X509_SIG(sealed, ret);
    }
    OPENSSL_free(bytes);
    OPENSSL_clear_free(der, der_len > 0 ? (size_t)der_len : 0);
    X509_SIG_free(sealed);
    X509_ALGOR_free(algorithm);
    return ret_len;
}

int key_encrypt_secret(struct token *token, const void *secret, size_t len, BIO **ret)
{
    unsigned char pin[TOKEN_PIN_MAX], *der = NULL;
    size_t pin_len = token_pin(token, pin);
    BIO *bio = BIO_new(BIO_s_secmem());
    int der_len = bio ? seal(pin, pin_len, secret, len, &der) : -1;
    OPENSSL_cleanse(pin, sizeof pin);
    bool ok = der_len > 0 && PEM_write_bio(bio, SECRET_BLOCK, "", der, der_len) > 0;
    OPENSSL_free(der);
    if (!ok) {
        BIO_free(bio);
        return hx_fail(token->host, HX_E_DEVICE, "cannot encrypt the secret: %s", crypto_reason());
    }
    *ret = bio;
    return 0;
}

/* A wrong PIN may by chance leave a good padding, but hardly this too. */
static bool unwrap(enum block_what what, const unsigned char *der, size_t len, unsigned char **ret, size_t *ret_len)
{
    struct hx_buf content = { der, len };
    ASN1_OCTET_STRING *string = NULL;
    bool ok;
    if (what == BLOCK_ENCRYPTED_SECRET) {
        const unsigned char *at = der;
        string = d2i_ASN1_OCTET_STRING(NULL, &at, (long)len);
        ok = string && at == der + len;
        if (string)
            content = (struct hx_buf){ ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string) };
    } else {
        STACK_OF(ASN1_TYPE) *sequence = sequence_parse(der, len);
        ok = sequence && sk_ASN1_TYPE_num(sequence) >= 3;
        sequence_free(sequence);
    }
    unsigned char *copy = ok ? malloc(content.len + 1) : NULL;
    if (copy) {
        memcpy(copy, content.data, content.len);
        *ret = copy;
        *ret_len = content.len;
    }
    if (string && string->data)
        OPENSSL_cleanse(string->data, (size_t)string->length);
    ASN1_OCTET_STRING_free(string);
    return copy;
}

/* A cipher that libcrypto does not offer here says nothing of the PIN, which must not count as refused. */
static int fail_decrypt(struct token *token, const char *file, bool offered)
{
    if (!offered)
        return hx_fail(
            token->host, HX_E_UNSUPPORTED,
            "'%s/%s' is encrypted with a cipher that is not to be had: convert it with 'openssl pkcs8 -topk8'",
            token->path, file);
    return hx_fail(token->host, HX_E_PIN, "the PIN is not the passphrase of '%s/%s'", token->path, file);
}

/* PKCS12_pbe_crypt_ex() itself complains of the end of decryption only; of what comes before, those that it asks. */
static bool is_cipher_missing(void)
{
    return ERR_GET_LIB(ERR_peek_last_error()) != ERR_LIB_PKCS12;
}

int key_decrypt(struct token *token, const char *file, const struct block *block, const unsigned char *pin,
                size_t pin_len, unsigned char **ret, size_t *ret_len)
{
    if (block->what == BLOCK_OLD_KEY)
        return hx_fail(token->host, HX_E_UNSUPPORTED,
                       "'%s/%s' is encrypted in the way of before PKCS#8: convert it with 'openssl pkcs8 -topk8'",
                       token->path, file);
    OSSL_LIB_CTX *lib = crypto_context();
    const unsigned char *at = block->der;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &at, (long)block->len);
    if (!lib || !sealed) {
        X509_SIG_free(sealed);
        return hx_fail(token->host, HX_E_CONFIG, "'%s/%s' is no encrypted PKCS#8 key", token->path, file);
    }
    const X509_ALGOR *algorithm;
    const ASN1_OCTET_STRING *content;
    unsigned char *der = NULL;
    int len = 0;
    X509_SIG_get0(sealed, &algorithm, &content);
    bool ok = PKCS12_pbe_crypt_ex(algorithm, (const char *)pin, (int)pin_len, ASN1_STRING_get0_data(content),
                                  ASN1_STRING_length(content), &der, &len, 0, lib, NULL);
    bool offered = ok || !is_cipher_missing();
    ok = ok && unwrap(block->what, der, (size_t)len, ret, ret_len);
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    X509_SIG_free(sealed);
    return ok ? 0 : fail_decrypt(token, file, offered);
}
