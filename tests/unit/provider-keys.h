/* SPDX-License-Identifier: Apache-2.0 */
/* For the provider's tests: the provider as a built-in one in a library context of their own, over the core and a
 * plugin, and what is done again and again with the token's keys and their software twins. */
#ifndef PROVIDER_KEYS_H
#define PROVIDER_KEYS_H

#include "provider-token.h"

#include <hsmux/hsmux.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/x509.h>

OSSL_provider_init_fn hsmux_provider_init;

static char config[64];
static OSSL_PROVIDER *ours, *theirs;
static const char message[] = "a message of some length";

/* Reads an openssl.cnf with the default provider and ours: start are more lines for the section that OpenSSL starts
 * with, lines those for our section. */
static inline void configure(OSSL_LIB_CTX *context, const char *start, const char *lines)
{
    char path[64], text[512];

    snprintf(text, sizeof(text),
             "openssl_conf = init\n[init]\n%s\nproviders = list\n[list]\ndefault = on\nhsmux = hsmux_sect\n[on]\n"
             "activate = 1\n[hsmux_sect]\nactivate = 1\n%s\n",
             start, lines);
    put_file("openssl.cnf", text);
    snprintf(path, sizeof(path), "%s/openssl.cnf", directory);
    assert_int_equal(OSSL_PROVIDER_add_builtin(context, "hsmux", hsmux_provider_init), 1);
    if (OSSL_LIB_CTX_load_config(context, path) != 1) {
        ERR_print_errors_fp(stderr);
        fail_msg("openssl.cnf is not taken");
    }
}

/* A library context of its own with these lines in our section of openssl.cnf. */
static inline OSSL_LIB_CTX *context_with(const char *lines)
{
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();

    configure(made, "", lines);
    return made;
}

static int set_up(void **state)
{
    (void)state;
    make_token();
    snprintf(config, sizeof(config), "%s/hsmux.conf", directory);
    setenv("HSMUX_CONF", config, 1);
    setenv("STATE_DIRECTORY", directory, 1);
    find_plugins();
    write_config("");
    libctx = OSSL_LIB_CTX_new();
    theirs = OSSL_PROVIDER_load(libctx, "default");
    assert_int_equal(OSSL_PROVIDER_add_builtin(libctx, "hsmux", hsmux_provider_init), 1);
    ours = OSSL_PROVIDER_load(libctx, "hsmux");
    assert_non_null(ours);
    for (int kind = 0; kind < KEYS; kind++)
        write_twin(kind);
    return 0;
}

static inline int set_up_all(void **state)
{
    if (set_up(state))
        return -1;
    for (int kind = KEYS; kind < ALL_KEYS; kind++)
        write_twin(kind);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int kind = 0; kind < ALL_KEYS; kind++)
        EVP_PKEY_free(twins[kind]);
    OSSL_PROVIDER_unload(ours);
    OSSL_PROVIDER_unload(theirs);
    OSSL_LIB_CTX_free(libctx);
    remove_token();
    return 0;
}

/* The first object of that kind that an address yields, or NULL. */
static inline OSSL_STORE_INFO *fetch(const char *address, int expect)
{
    OSSL_STORE_CTX *store = OSSL_STORE_open_ex(address, libctx, NULL, NULL, NULL, NULL, NULL, NULL);
    OSSL_STORE_INFO *info = NULL;

    assert_non_null(store);
    if (expect)
        assert_int_equal(OSSL_STORE_expect(store, expect), 1);
    while (!info && !OSSL_STORE_eof(store))
        info = OSSL_STORE_load(store);
    OSSL_STORE_close(store);
    return info;
}

static EVP_PKEY *open_key(int kind)
{
    char address[64];
    OSSL_STORE_INFO *info;
    EVP_PKEY *key;

    snprintf(address, sizeof(address), "hsm:soft/key/%s", kinds[kind].label);
    info = fetch(address, OSSL_STORE_INFO_PKEY);
    if (!info)
        ERR_print_errors_fp(stderr);
    assert_non_null(info);
    key = OSSL_STORE_INFO_get1_PKEY(info);
    OSSL_STORE_INFO_free(info);
    assert_ptr_equal(EVP_PKEY_get0_provider(key), ours);
    return key;
}

static inline EVP_PKEY *read_pem(BIO *pem)
{
    return PEM_read_bio_PrivateKey_ex(pem, NULL, NULL, NULL, libctx, NULL);
}

static inline BIO *reference_of(int kind)
{
    BIO *pem = BIO_new(BIO_s_mem());
    EVP_PKEY *key = open_key(kind);

    assert_int_equal(PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL), 1);
    EVP_PKEY_free(key);
    return pem;
}

static int sign(EVP_PKEY *key, int kind, unsigned char *sig, size_t *len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = EVP_DigestSignInit_ex(ctx, NULL, kinds[kind].digest, libctx, NULL, key, NULL) == 1 &&
             EVP_DigestSign(ctx, sig, len, (const unsigned char *)message, sizeof(message)) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

static int verify(EVP_PKEY *key, int kind, const unsigned char *sig, size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int good = EVP_DigestVerifyInit_ex(ctx, NULL, kinds[kind].digest, libctx, NULL, key, NULL) == 1 &&
               EVP_DigestVerify(ctx, sig, len, (const unsigned char *)message, sizeof(message)) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

static inline void assert_signs(EVP_PKEY *key, int kind)
{
    unsigned char sig[512];
    size_t len = sizeof(sig);

    if (!sign(key, kind, sig, &len)) {
        ERR_print_errors_fp(stderr);
        fail_msg("'%s' does not sign", kinds[kind].label);
    }
    assert_true(verify(twins[kind], kind, sig, len));
    assert_true(verify(key, kind, sig, len));
    assert_int_equal(ERR_peek_error(), 0);
    sig[len - 1] ^= 1;
    assert_false(verify(key, kind, sig, len));
    ERR_clear_error();
}

/* Empties the error queue, on which one line must hold the text. */
static inline void queue_says(const char *text)
{
    const char *data = NULL;
    bool found = false;
    int flags;

    while (ERR_get_error_all(NULL, NULL, NULL, &data, &flags))
        found = found || (flags & ERR_TXT_STRING && strstr(data, text));
    if (!found)
        fail_msg("'%s' is not on the error queue", text);
}

#endif
