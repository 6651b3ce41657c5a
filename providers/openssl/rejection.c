/* SPDX-License-Identifier: Apache-2.0 */
/* Implicit rejection: decoys by HMAC over the ciphertext, keyed with a secret that comes from the token's own private
 * operation. */
#include "rejection.h"

#include "asymcipher.h"

#include <openssl/crypto.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET = 32, HASH = 32 };

struct rejection {
    unsigned char secret[SECRET];
};

void rejection_free(struct rejection *rejection)
{
    if (!rejection)
        return;
    OPENSSL_cleanse(rejection, sizeof(*rejection));
    free(rejection);
}

static int sha256(struct provider *provider, const void *data, size_t len, unsigned char ret[HASH])
{
    const struct digest *digest = software_digest(provider, "SHA256");

    return digest && EVP_Digest(data, len, ret, NULL, digest->md, NULL) == 1;
}

/* MGF1 of our own words and the key. */
static int expand(struct key *key, unsigned char *ret, size_t size)
{
    static const char words[] = "hsmux: whom does bad PKCS#1 padding tell nothing?";
    unsigned char seed[sizeof(words) + HASH + 2], hash[HASH];
    unsigned char *digest = seed + sizeof(words), *counter = digest + HASH;
    struct hx_bytes spki = { 0 };
    int result = hx_key_public(key->hx, &spki), ok;

    if (result < 0)
        return error_hx(key->provider, result, __func__);
    memcpy(seed, words, sizeof(words));
    ok = sha256(key->provider, spki.data, spki.len, digest);
    hx_bytes_free(&spki);
    for (size_t at = 0; ok && at < size; at += HASH) {
        counter[0] = (unsigned char)(at / HASH >> 8);
        counter[1] = (unsigned char)(at / HASH);
        ok = sha256(key->provider, seed, sizeof(seed), hash);
        memcpy(ret + at, hash, size - at < HASH ? size - at : HASH);
    }
    return ok;
}

/*
 * The number whose private power is the secret.  OpenSSL takes the private exponent, which no token gives away; this
 * power only the private key's owner knows as well, and it is the same in every process and for ever, as decoys must
 * be: one that changed would tell that it is one.
 *
 * Nobody gets it by having a text decrypted or a digest signed.  The number has one bit less than the modulus, so it
 * does not begin with 00 01, 00 02 or any 00 where the modulus does not, as the paddings of PKCS#1 signatures and
 * messages do; it ends in 01, where PSS has BC.  What this provider decrypts of it with PKCS#1 padding comes back as a
 * decoy.  Raw decryption would hand it out, and so would two PKCS#1 signatures of blocks without a digest, chosen so
 * that their quotient is the number (De Jonge and Chaum 1985).  But whoever may have these gets the power of any number
 * in the same way, a ciphertext's too, and needs no padding oracle.
 */
static int make_question(struct key *key, size_t size, unsigned char *ret)
{
    int top = key_bits(key) - 2; /* the number of its highest bit */
    size_t first = size - 1 - (size_t)top / 8;
    unsigned bit = 1u << top % 8;

    if (!expand(key, ret, size))
        return 0;
    memset(ret, 0, first);
    ret[first] = (unsigned char)((ret[first] & (bit - 1)) | bit);
    ret[size - 1] = 1;
    return 1;
}

/* A wrong answer would make decoys that differ from another process's. */
static int check_answer(struct key *key, const unsigned char *question, const unsigned char *answer, size_t size)
{
    EVP_PKEY *public = key_public(key);
    unsigned char back[PKCS1_SIZE_MAX];
    size_t len = sizeof(back);
    EVP_PKEY_CTX *ctx;
    int ok;

    if (!public)
        return 0;
    ctx = EVP_PKEY_CTX_new_from_pkey(software_libctx(key->provider), public, NULL);
    ok = ctx && EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
         EVP_PKEY_encrypt(ctx, back, &len, answer, size) == 1 && len == size && !memcmp(back, question, size);
    EVP_PKEY_CTX_free(ctx);
    return ok || error_raise(key->provider, HX_E_DEVICE, __func__,
                             "'%s': the token's raw decryption is wrong: pkcs1 padding cannot be used with it",
                             hx_key_address(key->hx));
}

static struct rejection *rejection_new(struct key *key, size_t size)
{
    struct rejection *made = malloc(sizeof(*made));
    unsigned char question[PKCS1_SIZE_MAX], answer[PKCS1_SIZE_MAX];
    int ok = made && make_question(key, size, question) && cipher_raw(key, question, size, answer) &&
             check_answer(key, question, answer, size) && sha256(key->provider, answer, size, made->secret);

    OPENSSL_cleanse(answer, sizeof(answer));
    if (ok)
        return made;
    if (!made)
        error_raise(key->provider, HX_E_NO_MEMORY, __func__, "no memory for a secret");
    rejection_free(made);
    return NULL;
}

/* Computed once for a key and process. */
static const struct rejection *rejection_get(struct key *key, size_t size)
{
    struct rejection *current = atomic_load(&key->rejection);
    struct rejection *made;

    if (current)
        return current;
    made = rejection_new(key, size);
    if (!made || atomic_compare_exchange_strong(&key->rejection, &current, made))
        return made;
    rejection_free(made);
    return current;
}

static EVP_MAC_CTX *hmac_new(struct provider *provider)
{
    OSSL_LIB_CTX *libctx = software_libctx(provider);
    EVP_MAC *mac = libctx ? EVP_MAC_fetch(libctx, "HMAC", NULL) : NULL;
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

    EVP_MAC_free(mac);
    return ctx;
}

static int hmac_start(EVP_MAC_CTX *ctx, const unsigned char key[SECRET])
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                  OSSL_PARAM_construct_end() };

    return EVP_MAC_init(ctx, key, SECRET, params) == 1;
}

/* The draft's PRF: blocks of HMAC over a counter, a label and the number of bits wanted. */
static int expand_secret(EVP_MAC_CTX *ctx, const unsigned char key[SECRET], const char *label, unsigned char *ret,
                         size_t size)
{
    unsigned char bits[2] = { (unsigned char)(size * 8 >> 8), (unsigned char)(size * 8) };
    unsigned char tag[HASH];
    size_t len;
    int ok = 1;

    for (size_t at = 0; ok && at < size; at += HASH) {
        unsigned char counter[2] = { (unsigned char)(at / HASH >> 8), (unsigned char)(at / HASH) };

        ok = hmac_start(ctx, key) && EVP_MAC_update(ctx, counter, sizeof(counter)) == 1 &&
             EVP_MAC_update(ctx, (const unsigned char *)label, strlen(label)) == 1 &&
             EVP_MAC_update(ctx, bits, sizeof(bits)) == 1 && EVP_MAC_final(ctx, tag, &len, sizeof(tag)) == 1;
        memcpy(ret + at, tag, size - at < HASH ? size - at : HASH);
    }
    OPENSSL_cleanse(tag, sizeof(tag));
    return ok;
}

int rejection_decoy(struct key *key, const unsigned char *cipher, size_t size, struct pkcs1_decoy *ret)
{
    const struct rejection *rejection = rejection_get(key, size);
    EVP_MAC_CTX *ctx = rejection ? hmac_new(key->provider) : NULL;
    unsigned char own[SECRET];
    size_t len;
    int ok = ctx && hmac_start(ctx, rejection->secret) && EVP_MAC_update(ctx, cipher, size) == 1 &&
             EVP_MAC_final(ctx, own, &len, sizeof(own)) == 1 && expand_secret(ctx, own, "message", ret->bytes, size) &&
             expand_secret(ctx, own, "length", ret->lengths, sizeof(ret->lengths));

    EVP_MAC_CTX_free(ctx);
    OPENSSL_cleanse(own, sizeof(own));
    if (rejection && !ok)
        error_raise(key->provider, HX_E_NO_MEMORY, __func__, "no hmac with sha256");
    return ok;
}
