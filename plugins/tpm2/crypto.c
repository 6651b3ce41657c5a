/* SPDX-License-Identifier: Apache-2.0 */
/* The private OSSL_LIB_CTX, made when it is first needed. */
#include "crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

/* Contexts of before a fork stay in this chain: they cannot be freed, and a leak checker should find them. */
struct context {
    OSSL_LIB_CTX *lib;
    struct context *inherited;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct context *newest;
static OSSL_LIB_CTX *current;

static OSSL_LIB_CTX *make(void)
{
    struct context *made = calloc(1, sizeof *made);

    if (!made)
        return NULL;
    made->lib = OSSL_LIB_CTX_new();
    if (!made->lib) {
        free(made);
        return NULL;
    }
    made->inherited = newest;
    newest = made;
    return made->lib;
}

static OSSL_LIB_CTX *context(void)
{
    OSSL_LIB_CTX *lib;

    pthread_mutex_lock(&lock);
    if (!current)
        current = make();
    lib = current;
    pthread_mutex_unlock(&lock);
    return lib;
}

void tpm_crypto_forked(void)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

    lock = fresh;
    current = NULL;
}

bool tpm_sha256(const void *data, size_t len, unsigned char ret[TPM2_SHA256_DIGEST_SIZE])
{
    OSSL_LIB_CTX *lib = context();
    bool ok;

    ERR_set_mark();
    ok = lib && EVP_Q_digest(lib, "SHA256", NULL, data, len, ret, NULL);
    ERR_pop_to_mark();
    return ok;
}

bool tpm_random_key(unsigned char ret[TPM_AES])
{
    OSSL_LIB_CTX *lib = context();
    bool ok;

    ERR_set_mark();
    ok = lib && RAND_priv_bytes_ex(lib, ret, TPM_AES, 0) > 0;
    ERR_pop_to_mark();
    return ok;
}

bool tpm_aes_cfb(const unsigned char key[TPM_AES], unsigned char *data, size_t len)
{
    static const unsigned char zeroes[TPM_AES];
    OSSL_LIB_CTX *lib = context();
    EVP_CIPHER_CTX *ctx;
    EVP_CIPHER *cipher;
    int done;
    bool ok;

    ERR_set_mark();
    ctx = EVP_CIPHER_CTX_new();
    cipher = lib ? EVP_CIPHER_fetch(lib, "AES-128-CFB", NULL) : NULL;
    ok = ctx && cipher && EVP_EncryptInit_ex2(ctx, cipher, key, zeroes, NULL) &&
         EVP_EncryptUpdate(ctx, data, &done, data, (int)len) && (size_t)done == len;
    EVP_CIPHER_free(cipher);
    EVP_CIPHER_CTX_free(ctx);
    ERR_pop_to_mark();
    return ok;
}

bool tpm_label_id(const char *label, unsigned char ret[TPM_ID])
{
    OSSL_LIB_CTX *lib = context();
    bool ok;

    ERR_set_mark();
    ok = lib && EVP_Q_digest(lib, "SHA1", NULL, label, strlen(label), ret, NULL);
    ERR_pop_to_mark();
    return ok;
}

static const char *hash_name(TPM2_ALG_ID alg)
{
    switch (alg) {
    case TPM2_ALG_SHA1:
        return "SHA1";
    case TPM2_ALG_SHA256:
        return "SHA256";
    case TPM2_ALG_SHA384:
        return "SHA384";
    case TPM2_ALG_SHA512:
        return "SHA512";
    default:
        return NULL;
    }
}

bool tpm_public_name(const TPM2B_PUBLIC *public, TPM2B_NAME *ret)
{
    const char *hash = hash_name(public->publicArea.nameAlg);
    OSSL_LIB_CTX *lib = hash ? context() : NULL;
    unsigned char area[sizeof(TPMT_PUBLIC)];
    TPM2_ALG_ID alg = public->publicArea.nameAlg;
    TPM2B_NAME made = { 0 };
    size_t len = 0, digest = 0;
    bool ok;

    if (!lib || Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, area, sizeof area, &len))
        return false;
    ERR_set_mark();
    ok = EVP_Q_digest(lib, hash, NULL, area, len, made.name + 2, &digest);
    ERR_pop_to_mark();
    made.name[0] = (BYTE)(alg >> 8);
    made.name[1] = (BYTE)alg;
    made.size = (UINT16)(2 + digest);
    if (ok)
        *ret = made;
    return ok;
}
