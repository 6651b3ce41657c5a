/* SPDX-License-Identifier: Apache-2.0 */
/* A device for the tests of credentials, objects and keys: a private directory with configuration, certificates and
 * the fake plugin, which the tests script through `fake`. */
#ifndef SCENE_H
#define SCENE_H

#include "encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <fake-plugin.h>
#include <ftw.h>
#include <hsmux/hsmux.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <sys/stat.h>
#include <syslog.h>

static struct fake_control *fake;
static struct hx *ctx;
static char place[] = "/tmp/hsmux-scene.XXXXXX", conf_path[64], plugin_path[64];
static char said[4096]; /* log lines, warnings and worse, of this test */

static inline void write_file(const char *name, const void *data, size_t len)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", place, name);
    assert_non_null(file = fopen(path, "wb"));
    assert_int_equal(fwrite(data, 1, len, file), len);
    fclose(file);
    chmod(path, 0600);
}

static inline void copy_plugin(void)
{
    FILE *from = fopen(TEST_LIB "/fake.so", "rb"), *to = fopen(plugin_path, "wb");
    char chunk[8192];
    size_t got;

    assert_non_null(from);
    assert_non_null(to);
    while ((got = fread(chunk, 1, sizeof chunk, from)))
        assert_int_equal(fwrite(chunk, 1, got, to), got);
    fclose(from);
    fclose(to);
    chmod(plugin_path, 0700);
}

static inline int scene_build(void **state)
{
    fake_control_fn *control;
    char path[64];
    void *library;

    (void)state;
    if (!mkdtemp(place))
        return -1;
    snprintf(conf_path, sizeof conf_path, "%s/hsmux.conf", place);
    snprintf(path, sizeof path, "%s/certs", place);
    snprintf(plugin_path, sizeof plugin_path, "%s/plugins", place);
    mkdir(path, 0700);
    mkdir(plugin_path, 0700);
    setenv("HSMUX_PLUGINS", plugin_path, 1);
    setenv("STATE_DIRECTORY", place, 1);
    unsetenv("HSMUX_CONF");
    unsetenv("CREDENTIALS_DIRECTORY");
    strcat(plugin_path, "/fake.so");
    copy_plugin();
    library = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
    *(void **)&control = library ? dlsym(library, "fake_control") : NULL;
    fake = control ? control() : NULL;
    return fake ? 0 : -1;
}

static inline int scene_rub(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static inline int scene_strike(void **state)
{
    (void)state;
    return nftw(place, scene_rub, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void scene_log(void *arg, int priority, const char *line)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* several threads may have something to say */
    size_t used;

    (void)arg;
    pthread_mutex_lock(&mutex);
    used = strlen(said);
    if (priority <= LOG_WARNING)
        snprintf(said + used, sizeof said - used, "%s\n", line);
    pthread_mutex_unlock(&mutex);
}

static inline int scene_begin(void **state)
{
    char path[64];

    (void)state;
    fake->reset();
    strcpy(fake->token[0].label, "first"); /* one that is called like its plugin goes by its serial number */
    said[0] = '\0';
    hx_set_log(scene_log, NULL);
    snprintf(path, sizeof path, "%s/certs", place);
    nftw(path, scene_rub, 8, FTW_DEPTH | FTW_PHYS);
    return mkdir(path, 0700);
}

static inline int scene_end(void **state)
{
    (void)state;
    hx_free(ctx);
    ctx = NULL;
    if (fake->breaches[0] || fake->open_handles || fake->loaded_objects)
        print_error("%s%d open, %d loaded\n", fake->breaches, fake->open_handles, fake->loaded_objects);
    return fake->breaches[0] || fake->open_handles || fake->loaded_objects;
}

/* The context of this configuration; "": tokens are found by scan. */
static inline void configure(const char *text)
{
    hx_free(ctx);
    ctx = NULL;
    write_file("hsmux.conf", text, strlen(text));
    if (hx_new(conf_path, &ctx))
        fail_msg("%s", hx_last_error());
}

#define EDGE "[token edge]\nplugin = fake\nserial = F0001\n"
#define OTHER "[token other]\nplugin = fake\nserial = F0002\n"

static inline void two_tokens(void)
{
    fake->tokens = 2;
    strcpy(fake->token[1].label, "second");
    strcpy(fake->token[1].serial, "F0002");
}

static inline struct fake_object *put(unsigned token, const struct fake_object *object)
{
    int at = fake->add(token, object);

    assert_true(at >= 0);
    return &fake->token[token].object[at];
}

static inline struct fake_object *put_key(unsigned token, const char *label, unsigned number)
{
    struct fake_object key = {
        .kind = HX_PRIVATE_KEY, .type = HX_P256, .key = number, .id = { (unsigned char)number }, .id_len = 1
    };

    strcpy(key.label, label);
    return put(token, &key);
}

static inline struct fake_object *put_cert(unsigned token, const char *label, unsigned number, uint32_t cert,
                                           unsigned issuer)
{
    struct fake_object made = { .kind = HX_CERTIFICATE,
                                .type = HX_P256,
                                .key = number,
                                .cert = cert,
                                .issuer = issuer,
                                .id = { (unsigned char)number },
                                .id_len = 1 };

    strcpy(made.label, label);
    return put(token, &made);
}

static inline void expect_result(int result, int wanted)
{
    if (result != wanted)
        fail_msg("%d: %s", result, result ? hx_last_error() : "");
}

static inline void expect_said(const char *text)
{
    if (!strstr(hx_last_error(), text))
        fail_msg("'%s' is not in: %s", text, hx_last_error());
}

static inline void expect_text(int result, struct hx_bytes *text, const char *wanted)
{
    expect_result(result, HX_OK);
    assert_string_equal((char *)text->data, wanted);
    hx_bytes_free(text);
}

static inline void expect_credential(const char *name, const char *what, const char *wanted)
{
    struct hx_bytes text;

    expect_text(hx_credential_get(ctx, name, what, &text), &text, wanted);
}

/* Signs, and checks the signature with a public key of the test's choice (NULL: the key's own). */
static inline int sign_with(struct hx_key *key, const struct hx_bytes *spki)
{
    struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    struct hx_bytes sig = { 0 }, own = { 0 };
    unsigned char digest[32] = "whatever";
    int result = hx_sign(key, &alg, digest, sizeof digest, &sig);

    if (!result && !spki)
        result = hx_key_public(key, &own);
    if (!result) {
        spki = spki ? spki : &own;
        result = encode_verify(spki->data, spki->len, &alg, digest, sizeof digest, sig.data, sig.len);
    }
    hx_bytes_free(&own);
    hx_bytes_free(&sig);
    return result;
}

/* A PEM file of the certificates on the fake token. */
static inline void write_pem(const char *name, const struct fake_object *const *cert, size_t count)
{
    struct hx_bytes pem = { 0 };

    for (size_t i = 0; i < count; i++)
        assert_int_equal(cert_to_pem(cert[i]->value, cert[i]->value_len, &pem), HX_OK);
    write_file(name, pem.data, pem.len);
    hx_bytes_free(&pem);
}

#define SCENE_TEST(f) cmocka_unit_test_setup_teardown(f, scene_begin, scene_end)

#endif
