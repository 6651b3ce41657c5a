/* SPDX-License-Identifier: Apache-2.0 */
/* A token of the tpm2 plugin on a software TPM of the test's own, and the ways to bring objects there, find them, read
 * them and take them away. */
#ifndef TPM2_STORE_H
#define TPM2_STORE_H

#include "plugin-host.h"
#include "tpm-objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

const struct hx_plugin *tpm2_plugin_entry(void);

struct fixture {
    struct tpm_fixture tpm;
    struct plugin_host host;
    char directory[64];
    void *token;
};

struct blob {
    unsigned char data[4096];
    size_t len;
};

static inline void close_token(struct fixture *f)
{
    if (f->token)
        tpm2_plugin_entry()->close(f->token);
    f->token = NULL;
}

/* A token that knows nothing of what the one before had read; its commands are counted. */
static inline void reopen(struct fixture *f)
{
    close_token(f);
    plugin_host_clear(&f->host);
    tpm_fixture_forget(&f->tpm);
    assert_int_equal(tpm2_plugin_entry()->open(&f->host.host, NULL, &f->token), 0);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    tpm_fixture_start(&f->tpm);
    snprintf(f->directory, sizeof f->directory, "%s/place", f->tpm.directory);
    plugin_host_init(&f->host);
    plugin_host_set(&f->host, "tcti", f->tpm.counted);
    plugin_host_set(&f->host, "directory", f->directory);
    reopen(f);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    close_token(f);
    plugin_host_free(&f->host);
    tpm_fixture_stop(&f->tpm);
    free(f);
    return 0;
}

static inline const char *path_of(const struct fixture *f, const char *file)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", f->directory, file);
    return path;
}

static inline struct blob blob_of_file(const char *path)
{
    struct blob blob = { .len = 0 };
    FILE *file = fopen(path, "rb");

    if (!file)
        fail_msg("no file '%s'", path);
    blob.len = fread(blob.data, 1, sizeof blob.data, file);
    fclose(file);
    return blob;
}

static inline int import(struct fixture *f, const struct hx_spec *spec, const struct blob *blob, char ret_ref[64])
{
    struct hx_buf part = { blob->data, blob->len };
    struct plugin_bytes ref;
    int result;

    plugin_bytes_init(&ref);
    result = tpm2_plugin_entry()->import(f->token, spec, &part, 1, &ref.out);
    if (!result)
        snprintf(ret_ref, 64, "%s", (char *)ref.data);
    plugin_bytes_free(&ref);
    return result;
}

/* How many objects of that kind and label (NULL: any) are listed when they are asked for. */
static inline size_t listed(struct fixture *f, uint32_t kind, const char *label)
{
    const struct hx_object want = { .kind = kind, .label = label };
    struct plugin_objects found;
    size_t count = 0;

    plugin_objects_init(&found, &want);
    assert_int_equal(tpm2_plugin_entry()->list(f->token, &found.list), 0);
    for (size_t i = 0; i < found.count; i++)
        count += found.object[i].kind == kind &&
                 (!label || (found.object[i].label && !strcmp(found.object[i].label, label)));
    plugin_objects_free(&found);
    return count;
}

/* pin: what it is authorised with before; NULL: it is not. */
static inline int read_with(struct fixture *f, uint32_t kind, const char *ref, const char *pin, struct blob *ret)
{
    const struct hx_plugin *plugin = tpm2_plugin_entry();
    struct plugin_objects info;
    struct plugin_bytes bytes;
    void *object;
    int result;

    plugin_objects_init(&info, NULL);
    plugin_bytes_init(&bytes);
    result = plugin->load(f->token, kind, ref, strlen(ref), &info.list, &object);
    if (!result) {
        assert_int_equal(info.count, 1);
        assert_int_equal(info.object[0].kind, kind);
        result = pin ? plugin->authorise(object, pin, strlen(pin)) : 0;
        if (!result)
            result = plugin->read(object, HX_VALUE, &bytes.out);
        plugin->unload(object);
    }
    if (!result && ret) {
        assert_true(bytes.len <= sizeof ret->data);
        memcpy(ret->data, bytes.data, bytes.len);
        ret->len = bytes.len;
    }
    plugin_bytes_free(&bytes);
    plugin_objects_free(&info);
    return result;
}

static inline int read_ref(struct fixture *f, uint32_t kind, const char *ref, struct blob *ret)
{
    return read_with(f, kind, ref, NULL, ret);
}

static inline void holds(struct fixture *f, uint32_t kind, const char *ref, const struct blob *blob)
{
    struct blob found;

    assert_int_equal(read_ref(f, kind, ref, &found), 0);
    assert_int_equal(found.len, blob->len);
    assert_memory_equal(found.data, blob->data, blob->len);
}

static inline int take_away(struct fixture *f, uint32_t kind, const char *ref)
{
    return tpm2_plugin_entry()->remove(f->token, kind, ref, strlen(ref));
}

#endif
