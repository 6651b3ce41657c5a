/* SPDX-License-Identifier: Apache-2.0 */
/* The core over the pkcs11 plugin, for its tests: two tokens of SoftHSM, edge behind the counting module, which fails
 * and hangs, and other directly in SoftHSM's. */
#ifndef PKCS11_CORE_H
#define PKCS11_CORE_H

#include "pkcs11-fixture.h"

#include <hsmux/hsmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct hx *ctx;
static char conf[96], hanging[96]; /* hanging: while the file is there */

static inline int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void write_token(FILE *ini, const char *name, const char *module)
{
    char self[512] = "";

    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    strcpy(strrchr(self, '/'), "/../../plugins/pkcs11/pkcs11.so");
    fprintf(ini, "[token %s]\nplugin = %s\nmodule = %s\ntoken = %s\npin-file = %s/pin\n", name, self, module, name,
            directory);
}

static inline void write_conf(void)
{
    mode_t old = umask(077);
    char pin[96];
    FILE *file;

    snprintf(pin, sizeof pin, "%s/pin", directory);
    file = fopen(pin, "w");
    fputs(TEST_PIN "\n", file);
    fclose(file);
    snprintf(conf, sizeof conf, "%s/hsmux.conf", directory);
    file = fopen(conf, "w");
    write_token(file, "edge", host.host.option(&host.host, "module"));
    write_token(file, "other", getenv("P11_COUNTER_MODULE"));
    fclose(file);
    umask(old);
}

static inline int make_tokens(void **state)
{
    void *token;
    int r;

    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    make_token("other");
    snprintf(hanging, sizeof hanging, "%s/hanging", directory);
    setenv("STATE_DIRECTORY", directory, 1);
    write_conf();
    token = open_and_login("edge");
    r = generate(token, HX_P256, 256, "p256", NULL, 0) || generate(token, HX_RSA, 2048, "rsa", NULL, 0);
    plugin->close(token);
    token = open_and_login("other");
    r = r || generate(token, HX_P256, 256, "p256", NULL, 0);
    plugin->close(token);
    return r;
}

static inline int stop(void **state)
{
    (void)state;
    unsetenv("STATE_DIRECTORY");
    return fixture_stop();
}

static inline int enter(void **state)
{
    (void)state;
    return hx_new(conf, &ctx);
}

static inline int leave(void **state)
{
    (void)state;
    unsetenv("P11_COUNTER_FAIL");
    unsetenv("P11_COUNTER_SWAP");
    unsetenv("P11_COUNTER_SESSIONS");
    unlink(hanging);
    hx_free(ctx);
    return 0;
}

static inline void must(int r)
{
    if (r)
        fail_msg("%d: %s", r, hx_last_error());
}

static inline struct hx_key *open_key(const char *address)
{
    struct hx_key *key = NULL;

    must(hx_key_open(ctx, address, &key));
    return key;
}

static inline int sign_with(struct hx_key *key)
{
    struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    unsigned char digest[32] = { 5 };
    struct hx_bytes signature = { 0 };
    int r = hx_sign(key, &alg, digest, sizeof digest, &signature);

    hx_bytes_free(&signature);
    return r;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

#endif
