/* SPDX-License-Identifier: Apache-2.0 */
/* For the provider's tests: the token that has the keys, and software twins of these.  It is a file token; with
 * HSMUX_TEST_TOKEN=softhsm one of SoftHSM, by the pkcs11 plugin; with HSMUX_TEST_TOKEN=tpm a software TPM. */
#ifndef PROVIDER_TOKEN_H
#define PROVIDER_TOKEN_H

#include "tpm-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
static OSSL_LIB_CTX *libctx;
static EVP_PKEY *twins[ALL_KEYS]; /* NULL: the token has no key of this kind */

/* Where SoftHSM is. */
static char softhsm[256];
static struct tpm_fixture tpm;

static bool is_token(const char *name)
{
    const char *token = getenv("HSMUX_TEST_TOKEN");

    return token && !strcmp(token, name);
}

static bool is_softhsm(void)
{
    return is_token("softhsm");
}

static bool is_tpm(void)
{
    return is_token("tpm");
}

/* Is what this run wants installed?  If not, says what is missing. */
static bool can_run(void)
{
    glob_t found;

    if (is_tpm())
        return tpm_fixture_can_run();
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
    else if (is_tpm())
        snprintf(text, sizeof(text), "%s\n[token soft]\nplugin = tpm2\ntcti = %s\ndirectory = %s/keys\n", line,
                 tpm.tcti, directory);
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

/* A program of this build, as seen from this one. */
static void find_in_build(const char *name, char ret[512])
{
    ssize_t len = readlink("/proc/self/exe", ret, 512 - 64);

    assert_true(len > 0);
    ret[len] = '\0';
    strcpy(strrchr(ret, '/'), "/../../");
    strcat(ret, name);
}

/* A TPM knows no labels: they are in a file beside it. */
static void write_tpm_key(int kind, const char *path)
{
    unsigned handle = 0x81008000u + (unsigned)kind;
    char program[512], name[64];
    FILE *file;

    find_in_build("tests/lib/tpm-import", program);
    tpm_fixture_run(&tpm, "'%s' %x '%s'", program, handle, path);
    snprintf(name, sizeof(name), "%s/keys/labels", directory);
    file = fopen(name, "a");
    assert_non_null(file);
    fprintf(file, "%x - - %s\n", handle, kinds[kind].label);
    fclose(file);
    assert_int_equal(unlink(path), 0);
}

/* A TPM is asked; no other token lacks any of these kinds. */
static bool has_kind(int kind)
{
    char command[64];

    if (!is_tpm())
        return true;
    if (kinds[kind].rsa_bits || kinds[kind].group) {
        snprintf(command, sizeof(command), "tpm2_testparms %s%s >/dev/null 2>&1", kinds[kind].group ? "ecc" : "",
                 kinds[kind].group ? kinds[kind].group + 2 : kinds[kind].label);
        if (system(command) == 0)
            return true;
    }
    printf("left out: the TPM has no keys like '%s'\n", kinds[kind].label);
    return false;
}

/* The next kind that the token has. */
static inline int next_kind(int kind)
{
    do
        kind++;
    while (kind < ALL_KEYS && !twins[kind]);
    return kind;
}

static inline int other_kind(int kind)
{
    kind = next_kind(kind);
    return kind < ALL_KEYS ? kind : RSA_2048;
}

static void write_twin(int kind)
{
    char path[128];
    FILE *file;

    if (!has_kind(kind))
        return;
    twins[kind] = kinds[kind].group ? EVP_PKEY_Q_keygen(libctx, NULL, "EC", kinds[kind].group)
                                    : EVP_PKEY_Q_keygen(libctx, NULL, kinds[kind].type, kinds[kind].rsa_bits);
    assert_non_null(twins[kind]);
    snprintf(path, sizeof(path), "%s/keys/%s.key", directory, kinds[kind].label);
    file = fopen(path, "w");
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, twins[kind], NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    if (is_softhsm() && kinds[kind].group)
        write_curve_key(kind, path);
    else if (is_tpm())
        write_tpm_key(kind, path);
    else if (is_softhsm())
        softhsm_util("--import %s --token soft --label %s --id %02d", path, kinds[kind].label, kind + 1);
}

/* The plugins of the build that this program belongs to. */
static void find_plugins(void)
{
    char path[512];

    find_in_build(is_tpm() ? "plugins/tpm2" : is_softhsm() ? "plugins/pkcs11" : "plugins/file", path);
    setenv("HSMUX_PLUGINS", path, 0);
}

/* An empty token, and the directory where it is. */
static void make_token(void)
{
    char keys[64];

    assert_non_null(mkdtemp(directory));
    snprintf(keys, sizeof(keys), "%s/keys", directory);
    umask(077);
    mkdir(keys, 0700);
    if (is_softhsm())
        make_softhsm_token();
    if (is_tpm())
        tpm_fixture_start(&tpm);
}

static void remove_token(void)
{
    char command[64];

    if (is_tpm())
        tpm_fixture_stop(&tpm);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

#endif
