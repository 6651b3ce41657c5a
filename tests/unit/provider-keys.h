/* SPDX-License-Identifier: Apache-2.0 */
/* For the provider's tests: the provider as a built-in one in a library context of their own, over the core and the
 * file plugin, or, with HSMUX_TEST_TOKEN=softhsm, the pkcs11 plugin and SoftHSM; and software twins of the token's keys
 * to check it with. */
#ifndef PROVIDER_KEYS_H
#define PROVIDER_KEYS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <hsmux/hsmux.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

OSSL_provider_init_fn hsmux_provider_init;

/* The usual kinds, and after them those that only set_up_all() makes. */
enum { RSA_2048, P256, P384, ED25519, KEYS, RSA_3072 = KEYS, P521, ALL_KEYS };

static const struct {
    const char *label, *type, *group, *digest;
    size_t rsa_bits;
} kinds[ALL_KEYS] = {
    { "rsa", "RSA", NULL, "SHA256", 2048 },     { "p256", "EC", "P-256", "SHA256", 0 },
    { "p384", "EC", "P-384", "SHA384", 0 },     { "ed25519", "ED25519", NULL, NULL, 0 },
    { "rsa3072", "RSA", NULL, "SHA256", 3072 }, { "p521", "EC", "P-521", "SHA512", 0 },
};

static char directory[] = "/tmp/hsmux-provider.XXXXXX";
static char config[64];
static OSSL_LIB_CTX *libctx;
static OSSL_PROVIDER *ours, *theirs;
static EVP_PKEY *twins[ALL_KEYS];
static const char message[] = "a message of some length";

/* Empty: the file token. */
static char softhsm[256];

static bool is_softhsm(void)
{
    const char *token = getenv("HSMUX_TEST_TOKEN");

    return token && !strcmp(token, "softhsm");
}

/* Is what this run wants installed?  If not, says what is missing. */
static bool can_run(void)
{
    glob_t found;

    if (!is_softhsm())
        return true;
    if (glob("/usr/{,local/}{lib,lib64}{,/*,/*/*}/libsofthsm2.so", GLOB_BRACE, NULL, &found) == 0) {
        snprintf(softhsm, sizeof(softhsm), "%s", found.gl_pathv[0]);
        globfree(&found);
    }
    if (*softhsm && system("command -v softhsm2-util >/dev/null && command -v pkcs11-tool >/dev/null") == 0)
        return true;
    printf("skipped: SoftHSM is not installed: it takes libsofthsm2.so, softhsm2-util and pkcs11-tool\n");
    return false;
}

static void put_file(const char *name, const char *text)
{
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The token that holds the twins, with this line before it. */
static inline void write_config(const char *line)
{
    char text[1024];

    if (is_softhsm())
        snprintf(text, sizeof(text),
                 "%s\n[token soft]\nplugin = pkcs11\nmodule = %s\ntoken = soft\npin-file = %s/pin\n", line, softhsm,
                 directory);
    else
        snprintf(text, sizeof(text), "%s\n[token soft]\nplugin = file\ndirectory = %s/keys\n", line, directory);
    put_file("hsmux.conf", text);
}

/* The suite's own PINs; they are on the command line, so what fails is named by its format. */
static void softhsm_util(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void softhsm_util(const char *fmt, ...)
{
    char args[256], command[512];
    va_list list;

    va_start(list, fmt);
    vsnprintf(args, sizeof(args), fmt, list);
    va_end(list);
    snprintf(command, sizeof(command), "softhsm2-util %s --pin 73914682 --so-pin 90817263 >/dev/null 2>&1", args);
    if (system(command) != 0)
        fail_msg("softhsm2-util %s: failed", fmt);
}

static void make_softhsm_token(void)
{
    char path[64], conf[256];

    snprintf(path, sizeof(path), "%s/softhsm2.conf", directory);
    setenv("SOFTHSM2_CONF", path, 1);
    snprintf(conf, sizeof(conf), "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
             directory);
    put_file("softhsm2.conf", conf);
    snprintf(path, sizeof(path), "%s/tokens", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    softhsm_util("--init-token --free --label soft");
    put_file("pin", "73914682\n");
}

/* What softhsm2-util imports may not agree on secrets. */
static void write_curve_key(int kind, const char *path)
{
    char command[1024], public[160];
    FILE *file;

    snprintf(public, sizeof(public), "%s.pub", path);
    file = fopen(public, "w");
    assert_int_equal(PEM_write_PUBKEY(file, twins[kind]), 1);
    fclose(file);
    for (int half = 0; half < 2; half++) {
        snprintf(command, sizeof(command),
                 "pkcs11-tool --module %s --token-label soft --login --pin 73914682 --label %s --id %02d %s "
                 "--write-object %s >/dev/null 2>&1",
                 softhsm, kinds[kind].label, kind + 1,
                 half ? "--type pubkey" : "--type privkey --usage-sign --usage-derive", half ? public : path);
        if (system(command) != 0)
            fail_msg("pkcs11-tool: '%s' cannot be imported", kinds[kind].label);
    }
    assert_int_equal(unlink(public), 0);
}

static void write_twin(int kind)
{
    char path[128];
    FILE *file;

    twins[kind] = kinds[kind].group ? EVP_PKEY_Q_keygen(libctx, NULL, "EC", kinds[kind].group)
                                    : EVP_PKEY_Q_keygen(libctx, NULL, kinds[kind].type, kinds[kind].rsa_bits);
    assert_non_null(twins[kind]);
    snprintf(path, sizeof(path), "%s/keys/%s.key", directory, kinds[kind].label);
    file = fopen(path, "w");
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, twins[kind], NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    if (is_softhsm() && kinds[kind].group)
        write_curve_key(kind, path);
    else if (is_softhsm())
        softhsm_util("--import %s --token soft --label %s --id %02d", path, kinds[kind].label, kind + 1);
}

/* The plugins of the build that this program belongs to. */
static void find_plugins(void)
{
    char path[512];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 64);

    assert_true(len > 0);
    path[len] = '\0';
    strcpy(strrchr(path, '/'), is_softhsm() ? "/../../plugins/pkcs11" : "/../../plugins/file");
    setenv("HSMUX_PLUGINS", path, 0);
}

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
    char keys[64];

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(config, sizeof(config), "%s/hsmux.conf", directory);
    snprintf(keys, sizeof(keys), "%s/keys", directory);
    umask(077);
    mkdir(keys, 0700);
    if (is_softhsm())
        make_softhsm_token();
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
    char command[64];

    (void)state;
    for (int kind = 0; kind < ALL_KEYS; kind++)
        EVP_PKEY_free(twins[kind]);
    OSSL_PROVIDER_unload(ours);
    OSSL_PROVIDER_unload(theirs);
    OSSL_LIB_CTX_free(libctx);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command);
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
