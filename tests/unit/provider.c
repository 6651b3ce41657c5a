/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL provider, linked in as a built-in one, over the core and the file plugin.  Software twins of the token's
 * keys check what it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hsmux/hsmux.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

OSSL_provider_init_fn hsmux_provider_init;

enum { RSA_2048, P256, P384, ED25519, KEYS };

static const struct {
    const char *label, *type, *group, *digest;
} kinds[KEYS] = {
    { "rsa", "RSA", NULL, "SHA256" },
    { "p256", "EC", "P-256", "SHA256" },
    { "p384", "EC", "P-384", "SHA384" },
    { "ed25519", "ED25519", NULL, NULL },
};

static char directory[] = "/tmp/hsmux-provider.XXXXXX";
static char config[64];
static OSSL_LIB_CTX *libctx;
static OSSL_PROVIDER *ours, *theirs;
static EVP_PKEY *twins[KEYS];
static const char message[] = "a message of some length";

static void write_config(const char *text)
{
    FILE *file = fopen(config, "w");

    fprintf(file, text, directory);
    fclose(file);
    chmod(config, 0600);
}

static const char good_config[] = "[token soft]\nplugin = file\ndirectory = %s/keys\n";

static void write_twin(int kind)
{
    char path[128];
    FILE *file;

    twins[kind] = kinds[kind].group ? EVP_PKEY_Q_keygen(libctx, NULL, "EC", kinds[kind].group)
                                    : EVP_PKEY_Q_keygen(libctx, NULL, kinds[kind].type, (size_t)2048);
    assert_non_null(twins[kind]);
    snprintf(path, sizeof(path), "%s/keys/%s.key", directory, kinds[kind].label);
    umask(077);
    file = fopen(path, "w");
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, twins[kind], NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

/* The plugins of the build that this program belongs to. */
static void find_plugins(void)
{
    char path[512];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 64);

    assert_true(len > 0);
    path[len] = '\0';
    strcpy(strrchr(path, '/'), "/../../plugins/file");
    setenv("HSMUX_PLUGINS", path, 0);
}

static int set_up(void **state)
{
    char keys[64];

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(config, sizeof(config), "%s/hsmux.conf", directory);
    snprintf(keys, sizeof(keys), "%s/keys", directory);
    mkdir(keys, 0700);
    setenv("HSMUX_CONF", config, 1);
    find_plugins();
    libctx = OSSL_LIB_CTX_new();
    theirs = OSSL_PROVIDER_load(libctx, "default");
    assert_int_equal(OSSL_PROVIDER_add_builtin(libctx, "hsmux", hsmux_provider_init), 1);
    ours = OSSL_PROVIDER_load(libctx, "hsmux");
    assert_non_null(ours);
    for (int kind = 0; kind < KEYS; kind++)
        write_twin(kind);
    return 0;
}

static int tear_down(void **state)
{
    char command[64];

    (void)state;
    for (int kind = 0; kind < KEYS; kind++)
        EVP_PKEY_free(twins[kind]);
    OSSL_PROVIDER_unload(ours);
    OSSL_PROVIDER_unload(theirs);
    OSSL_LIB_CTX_free(libctx);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command);
}

/* The first object of that kind that an address yields, or NULL. */
static OSSL_STORE_INFO *fetch(const char *address, int expect)
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

static EVP_PKEY *read_pem(BIO *pem)
{
    return PEM_read_bio_PrivateKey_ex(pem, NULL, NULL, NULL, libctx, NULL);
}

static BIO *reference_of(int kind)
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

static void assert_signs(EVP_PKEY *key, int kind)
{
    unsigned char sig[512];
    size_t len = sizeof(sig);

    if (!sign(key, kind, sig, &len)) {
        ERR_print_errors_fp(stderr);
        fail_msg("'%s' does not sign", kinds[kind].label);
    }
    assert_true(verify(twins[kind], kind, sig, len));
    assert_true(verify(key, kind, sig, len));
    sig[len - 1] ^= 1;
    assert_false(verify(key, kind, sig, len));
}

static void a_reference_signs_like_the_key(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind++) {
        BIO *pem = reference_of(kind);
        EVP_PKEY *key;
        char *text;

        assert_true(BIO_get_mem_data(pem, &text) > 0);
        assert_memory_equal(text, "-----BEGIN HSMUX KEY REFERENCE-----", 35);
        key = read_pem(pem);
        assert_non_null(key);
        assert_ptr_equal(EVP_PKEY_get0_provider(key), ours);
        assert_signs(key, kind);
        EVP_PKEY_free(key);
        BIO_free(pem);
    }
}

static void a_key_is_found_behind_other_pem_blocks(void **state)
{
    BIO *reference = reference_of(P256), *pem = BIO_new(BIO_s_mem());
    EVP_PKEY *key;
    char *text;
    long len = BIO_get_mem_data(reference, &text);

    (void)state;
    BIO_puts(pem, "words before\n");
    PEM_write_bio_PUBKEY(pem, twins[RSA_2048]);
    PEM_write_bio_PrivateKey(pem, twins[RSA_2048], NULL, NULL, 0, NULL, NULL);
    BIO_write(pem, text, (int)len);
    key = read_pem(pem);
    assert_int_equal(EVP_PKEY_eq(key, twins[RSA_2048]), 1);
    assert_ptr_equal(EVP_PKEY_get0_provider(key), theirs);
    EVP_PKEY_free(key);
    key = read_pem(pem);
    assert_int_equal(EVP_PKEY_eq(key, twins[P256]), 1);
    EVP_PKEY_free(key);
    BIO_free(reference);
    BIO_free(pem);
}

static void a_duplicate_outlives_its_original(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind++) {
        EVP_PKEY *key = open_key(kind), *copy = EVP_PKEY_dup(key);

        assert_non_null(copy);
        EVP_PKEY_free(key);
        assert_signs(copy, kind);
        EVP_PKEY_free(copy);
    }
}

static void assert_final(EVP_MD_CTX *ctx, int kind, const char *text)
{
    unsigned char sig[512];
    size_t len = sizeof(sig);
    EVP_MD_CTX *check = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestSignFinal(ctx, sig, &len), 1);
    EVP_DigestVerifyInit_ex(check, NULL, kinds[kind].digest, libctx, NULL, twins[kind], NULL);
    assert_int_equal(EVP_DigestVerify(check, sig, len, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(check);
}

static void a_copy_in_mid_message_goes_its_own_way(void **state)
{
    (void)state;
    for (int kind = 0; kind < ED25519; kind++) {
        EVP_MD_CTX *one = EVP_MD_CTX_new(), *other = EVP_MD_CTX_new();
        EVP_PKEY *key = open_key(kind);
        size_t len;

        EVP_DigestSignInit_ex(one, NULL, kinds[kind].digest, libctx, NULL, key, NULL);
        assert_int_equal(EVP_DigestSignUpdate(one, "begin ", 6), 1);
        assert_int_equal(EVP_MD_CTX_copy_ex(other, one), 1);
        assert_int_equal(EVP_DigestSignUpdate(one, "here", 4), 1);
        assert_int_equal(EVP_DigestSignUpdate(other, "there", 5), 1);
        EVP_PKEY_free(key);
        assert_int_equal(EVP_DigestSignFinal(one, NULL, &len), 1);
        assert_final(one, kind, "begin here");
        EVP_MD_CTX_free(one);
        assert_final(other, kind, "begin there");
        EVP_MD_CTX_free(other);
    }
}

static void equality_holds_across_providers(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind++) {
        EVP_PKEY *key = open_key(kind), *again = open_key(kind), *other = open_key((kind + 1) % KEYS);
        X509 *certificate = X509_new();

        X509_set_pubkey(certificate, twins[kind]);
        assert_int_equal(EVP_PKEY_eq(key, twins[kind]), 1);
        assert_int_equal(EVP_PKEY_eq(twins[kind], key), 1);
        assert_int_equal(EVP_PKEY_eq(key, again), 1);
        assert_int_not_equal(EVP_PKEY_eq(key, other), 1);
        assert_int_not_equal(EVP_PKEY_eq(key, twins[(kind + 1) % KEYS]), 1);
        assert_int_equal(X509_check_private_key(certificate, key), 1);
        assert_int_equal(X509_check_private_key(certificate, other), 0);
        X509_free(certificate);
        EVP_PKEY_free(key);
        EVP_PKEY_free(again);
        EVP_PKEY_free(other);
        ERR_clear_error();
    }
}

static void only_the_public_half_is_exported(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind++) {
        EVP_PKEY *key = open_key(kind);
        OSSL_PARAM *params = NULL;
        unsigned char *der = NULL;
        char group[32] = "";

        assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 0);
        assert_true(i2d_PrivateKey(key, &der) <= 0);
        assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params), 1);
        assert_null(OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PRIV_KEY));
        assert_null(OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_RSA_D));
        OSSL_PARAM_free(params);
        if (kinds[kind].group) {
            assert_int_equal(EVP_PKEY_get_group_name(key, group, sizeof(group), NULL), 1);
            assert_int_equal(OBJ_sn2nid(group), EC_curve_nist2nid(kinds[kind].group));
        }
        assert_int_equal(EVP_PKEY_get_default_digest_name(key, group, sizeof(group)), kind == ED25519 ? 2 : 1);
        assert_string_equal(group, kind == ED25519 ? "" : "SHA256");
        assert_int_equal(EVP_PKEY_get_bits(key), EVP_PKEY_get_bits(twins[kind]));
        assert_int_equal(EVP_PKEY_get_security_bits(key), EVP_PKEY_get_security_bits(twins[kind]));
        assert_int_equal(EVP_PKEY_get_size(key), EVP_PKEY_get_size(twins[kind]));
        EVP_PKEY_free(key);
        ERR_clear_error();
    }
}
