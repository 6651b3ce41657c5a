/* SPDX-License-Identifier: Apache-2.0 */
/* A token of the tpm2 plugin on a software TPM of the test's own, and what is done with keys that are made on it.  What
 * a key does is checked by libcrypto. */
#ifndef TPM2_KEYS_H
#define TPM2_KEYS_H

#include "encode.h"
#include "plugin-host.h"
#include "tpm-objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define FIRST "h:81000200"

const struct hx_plugin *tpm2_plugin_entry(void);

struct fixture {
    struct tpm_fixture tpm;
    struct plugin_host host;
    const struct hx_plugin *plugin;
    void *token;
};

static inline const char *path_of(const struct fixture *f, const char *file)
{
    static char path[96];

    snprintf(path, sizeof path, "%s/%s", f->tpm.directory, file);
    return path;
}

static inline void close_token(struct fixture *f)
{
    if (f->token)
        f->plugin->close(f->token);
    f->token = NULL;
}

static inline void open_token(struct fixture *f)
{
    close_token(f);
    plugin_host_clear(&f->host);
    assert_int_equal(f->plugin->open(&f->host.host, NULL, &f->token), 0);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    tpm_fixture_start(&f->tpm);
    plugin_host_init(&f->host);
    plugin_host_set(&f->host, "tcti", f->tpm.tcti);
    plugin_host_set(&f->host, "directory", path_of(f, "place"));
    plugin_host_set(&f->host, "key-files", path_of(f, "files"));
    f->plugin = tpm2_plugin_entry();
    open_token(f);
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

static inline void assert_said(const struct fixture *f, const char *text)
{
    if (!plugin_host_said(&f->host, text))
        fail_msg("'%s' is not in '%s'", text, f->host.reason);
}

static inline struct hx_spec spec_of(uint32_t type, const char *label)
{
    return (
        struct hx_spec){ .kind = type == HX_GENERIC ? HX_SECRET_KEY : HX_PRIVATE_KEY, .type = type, .label = label };
}

/* ref: at least TPM_REF bytes; untouched on failure, or NULL. */
#define TPM_REF 320
static inline int keep_ref(struct plugin_bytes *bytes, int result, char *ref)
{
    if (result)
        assert_int_equal(bytes->len, 0);
    else if (ref)
        snprintf(ref, TPM_REF, "%s", (char *)bytes->data);
    plugin_bytes_free(bytes);
    return result;
}

static inline int generate(struct fixture *f, const struct hx_spec *spec, char *ref)
{
    struct plugin_bytes bytes;

    plugin_host_clear(&f->host);
    plugin_bytes_init(&bytes);
    return keep_ref(&bytes, f->plugin->generate(f->token, spec, &bytes.out), ref);
}

static inline int import(struct fixture *f, const struct hx_spec *spec, const struct hx_buf *part, size_t parts,
                         char *ref)
{
    struct plugin_bytes bytes;

    plugin_host_clear(&f->host);
    plugin_bytes_init(&bytes);
    return keep_ref(&bytes, f->plugin->import(f->token, spec, part, parts, &bytes.out), ref);
}

static inline int remove_ref(struct fixture *f, uint32_t kind, const char *ref)
{
    plugin_host_clear(&f->host);
    return f->plugin->remove(f->token, kind, ref, strlen(ref));
}

/* How many keys of that kind, 0: of any, and label, NULL: any, are listed; the last one's ref. */
static inline size_t listed(struct fixture *f, uint32_t kind, const char *label, char *ref)
{
    struct hx_object want = { .kind = kind, .label = label };
    struct plugin_objects found;
    size_t count = 0;

    plugin_objects_init(&found, &want);
    assert_int_equal(f->plugin->list(f->token, &found.list), 0);
    for (size_t i = 0; i < found.count; i++) {
        const struct hx_object *object = &found.object[i];

        if (object->kind != HX_PRIVATE_KEY && object->kind != HX_SECRET_KEY)
            continue;
        if ((kind && object->kind != kind) || (label && (!object->label || strcmp(object->label, label))))
            continue;
        if (ref)
            snprintf(ref, TPM_REF, "%.*s", (int)object->ref.len, (const char *)object->ref.data);
        count++;
    }
    plugin_objects_free(&found);
    return count;
}

struct loaded {
    void *object;
    struct plugin_objects list;
    const struct hx_object *info;
};

static inline int load(struct fixture *f, uint32_t kind, const char *ref, struct loaded *ret)
{
    int result;

    plugin_objects_init(&ret->list, NULL);
    result = f->plugin->load(f->token, kind, ref, strlen(ref), &ret->list.list, &ret->object);
    if (result)
        plugin_objects_free(&ret->list);
    else
        ret->info = ret->list.object;
    return result;
}

static inline void unload(struct fixture *f, struct loaded *loaded)
{
    f->plugin->unload(loaded->object);
    plugin_objects_free(&loaded->list);
}

static inline void read_public(struct fixture *f, const struct loaded *loaded, struct hx_bytes *ret_spki)
{
    struct plugin_bytes bytes;

    plugin_bytes_init(&bytes);
    assert_int_equal(f->plugin->read(loaded->object, HX_PUBLIC, &bytes.out), 0);
    assert_int_equal(encode_spki(loaded->info, bytes.data, bytes.len, ret_spki), 0);
    plugin_bytes_free(&bytes);
}

/* Signs, and has libcrypto verify it; ret_spki may be NULL. */
static inline int sign(struct fixture *f, const char *ref, struct hx_bytes *ret_spki)
{
    static const unsigned char digest[32] = "thirty-two bytes make one digest";
    struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    struct hx_bytes spki = { 0 }, der = { 0 };
    struct plugin_bytes bytes;
    struct loaded key;
    int result;

    if ((result = load(f, HX_PRIVATE_KEY, ref, &key)))
        return result;
    if (key.info->type == HX_RSA)
        alg.scheme = HX_RSA_PKCS1;
    plugin_bytes_init(&bytes);
    result = f->plugin->sign(key.object, &alg, digest, sizeof digest, &bytes.out);
    if (result)
        print_error("sign: %s\n", f->host.reason);
    read_public(f, &key, &spki);
    if (!result && alg.scheme == HX_ECDSA)
        assert_int_equal(encode_ecdsa(bytes.data, bytes.len, &der), 0);
    if (!result)
        assert_int_equal(encode_verify(spki.data, spki.len, &alg, digest, sizeof digest,
                                       der.data ? der.data : bytes.data, der.data ? der.len : bytes.len),
                         0);
    plugin_bytes_free(&bytes);
    hx_bytes_free(&der);
    unload(f, &key);
    if (ret_spki)
        *ret_spki = spki;
    else
        hx_bytes_free(&spki);
    return result;
}

/* Is there something at this persistent handle?  Asked past the plugin. */
static inline bool persists(const struct fixture *f, uint32_t handle)
{
    struct stat st;

    tpm_fixture_run(&f->tpm, "rm -f found; if tpm2_getcap handles-persistent | grep -qi '0x%08x'; then touch found; fi",
                    handle);
    return !stat(path_of(f, "found"), &st);
}

/* How many persistent handles there are. */
static inline int persistent(const struct fixture *f)
{
    FILE *file;
    int count = -1;

    tpm_fixture_run(&f->tpm, "tpm2_getcap handles-persistent | grep -c 0x >count || true");
    file = fopen(path_of(f, "count"), "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &count), 1);
    fclose(file);
    return count;
}

static inline bool labels_say(const struct fixture *f, const char *text)
{
    char all[4096] = "";
    FILE *file = fopen(path_of(f, "place/labels"), "r");
    size_t len = file ? fread(all, 1, sizeof all - 1, file) : 0;

    all[len] = 0;
    if (file)
        fclose(file);
    return strstr(all, text);
}

#endif
