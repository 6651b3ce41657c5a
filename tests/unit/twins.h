/* SPDX-License-Identifier: Apache-2.0 */
/* The scene with a second plugin beside the fake one: its twin that takes calls from many threads at once. */
#ifndef TWINS_H
#define TWINS_H

#include "scene.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define SWIFT "[token swift]\nplugin = fakethreads\n"

static struct fake_control *swift;

static inline void copy_to(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char chunk[8192];
    size_t got;

    assert_non_null(in);
    assert_non_null(out);
    while ((got = fread(chunk, 1, sizeof chunk, in)))
        assert_int_equal(fwrite(chunk, 1, got, out), got);
    fclose(in);
    fclose(out);
    chmod(to, 0700);
}

static inline int twins_build(void **state)
{
    fake_control_fn *control;
    char path[64];
    void *library;

    if (scene_build(state))
        return -1;
    snprintf(path, sizeof path, "%s/plugins/fakethreads.so", place);
    copy_to(TEST_LIB "/fakethreads.so", path);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *(void **)&control = library ? dlsym(library, "fake_control") : NULL;
    swift = control ? control() : NULL;
    return swift ? 0 : -1;
}

static inline int twins_begin(void **state)
{
    swift->reset();
    return scene_begin(state);
}

static inline int twins_end(void **state)
{
    int bad = scene_end(state);

    if (swift->breaches[0] || swift->open_handles || swift->loaded_objects)
        print_error("%s%d open, %d loaded\n", swift->breaches, swift->open_handles, swift->loaded_objects);
    return bad || swift->breaches[0] || swift->open_handles || swift->loaded_objects;
}

#define TWINS_TEST(f) cmocka_unit_test_setup_teardown(f, twins_begin, twins_end)

static inline int add_key(struct fake_control *control, const char *label, uint32_t type, unsigned number)
{
    struct fake_object key = { .kind = HX_PRIVATE_KEY, .type = type, .key = number };
    int at;

    key.usage = type == HX_RSA ? HX_SIGN_DIGEST | HX_DECRYPT : type == HX_ED25519 ? 0 : HX_SIGN_DIGEST | HX_DERIVE;
    strcpy(key.label, label);
    at = control->add(0, &key);
    assert_true(at >= 0);
    return at;
}

static inline struct hx_key *open_key(const char *address)
{
    struct hx_key *key = NULL;

    expect_result(hx_key_open(ctx, address, &key), HX_OK);
    return key;
}

/* The next so many of these calls come back with this result. */
static inline void script(struct fake_control *control, enum fake_call call, int result, unsigned times)
{
    control->script[call] = (struct fake_script){ .result = result, .times = times };
}

/* May be said while calls are under way. */
static inline void slow_down(struct fake_control *control, enum fake_call call, unsigned delay_ms)
{
    pthread_mutex_lock(&control->lock);
    control->script[call].delay_ms = delay_ms;
    pthread_mutex_unlock(&control->lock);
}

static inline void forget_calls(struct fake_control *control)
{
    for (int i = 0; i < FAKE_CALLS; i++)
        control->calls[i] = 0;
}

static inline int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void nap_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* The DER of the key's reference, as an application's PEM decoder would hand it in. */
static inline void reference_of(const char *address, struct hx_bytes *ret)
{
    struct hx_bytes pem = { 0 };
    struct hx_key *key = open_key(address);
    char *name, *header;
    unsigned char *der;
    long len;
    BIO *bio;

    expect_result(hx_key_reference(key, &pem), HX_OK);
    hx_key_close(key);
    bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    assert_int_equal(PEM_read_bio(bio, &name, &header, &der, &len), 1);
    assert_int_equal(bytes_append(ret, der, (size_t)len), HX_OK);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    hx_bytes_free(&pem);
}

static inline struct hx_key *from_reference(const struct hx_bytes *der)
{
    struct hx_key *key = NULL;

    expect_result(hx_key_from_reference(ctx, der->data, der->len, &key), HX_OK);
    return key;
}

#endif
