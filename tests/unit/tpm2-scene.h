/* SPDX-License-Identifier: Apache-2.0 */
/* A token of the tpm2 plugin on a software TPM of the test's own, for tests that link the plugin's parts. */
#ifndef TPM2_SCENE_H
#define TPM2_SCENE_H

#include "plugin-host.h"
#include "tpm-objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EK 0x81010001u
#define SRK 0x81000001u
#define IDENTITY 0x81000100u

const struct hx_plugin *tpm2_plugin_entry(void);
static const struct hx_plugin *plugin;

struct fixture {
    struct tpm_fixture tpm;
    struct plugin_host host;
    void *token;
};

struct public
{
    unsigned char data[512];
    size_t len;
};

static inline void reopen(struct fixture *f)
{
    if (f->token)
        plugin->close(f->token);
    f->token = NULL;
    plugin_host_clear(&f->host);
    assert_int_equal(plugin->open(&f->host.host, NULL, &f->token), 0);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    tpm_fixture_start(&f->tpm);
    plugin_host_init(&f->host);
    plugin_host_set(&f->host, "tcti", f->tpm.tcti);
    plugin_host_set(&f->host, "directory", f->tpm.directory);
    reopen(f);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->token)
        plugin->close(f->token);
    plugin_host_free(&f->host);
    tpm_fixture_stop(&f->tpm);
    free(f);
    return 0;
}

/* A maker's TPM: with EKs at their handles, and certificates for them. */
static inline void provision(struct fixture *f)
{
    plugin->close(f->token);
    f->token = NULL;
    tpm_fixture_kill(&f->tpm);
    tpm_fixture_run(
        &f->tpm,
        "mkdir ca; printf '%%s\\n' \"create_certs_tool = $(command -v swtpm_localca)\" "
        "\"create_certs_tool_config = $PWD/ca/localca.conf\" \"create_certs_tool_options = $PWD/ca/options\" "
        "'active_pcr_banks = sha256' >ca/setup.conf; printf '%%s\\n' \"statedir = $PWD/ca\" "
        "\"signingkey = $PWD/ca/key.pem\" \"issuercert = $PWD/ca/cert.pem\" \"certserial = $PWD/ca/serial\" "
        ">ca/localca.conf; printf '%%s\\n' '--platform-manufacturer T' '--platform-version 1' '--platform-model T' "
        ">ca/options; swtpm_setup --tpm2 --tpmstate \"$PWD/state\" --create-ek-cert --create-platform-cert "
        "--lock-nvram --overwrite --config ca/setup.conf");
    tpm_fixture_restart(&f->tpm, true);
    reopen(f);
}

/* How many restricted keys of that label are listed when it is asked for; the last one's ref. */
static inline size_t listed(struct fixture *f, const char *label, char ref[32])
{
    struct hx_object want = { .kind = HX_PRIVATE_KEY, .label = label };
    struct plugin_objects found;
    size_t count = 0;

    plugin_objects_init(&found, &want);
    assert_int_equal(plugin->list(f->token, &found.list), 0);
    for (size_t i = 0; i < found.count; i++) {
        const struct hx_object *object = &found.object[i];

        if (!object->label || strcmp(object->label, label))
            continue;
        assert_true(object->flags & HX_RESTRICTED);
        assert_int_equal(object->usage, 0);
        snprintf(ref, 32, "%.*s", (int)object->ref.len, (const char *)object->ref.data);
        count++;
    }
    plugin_objects_free(&found);
    return count;
}

static inline int load(struct fixture *f, const char *ref, struct public *ret)
{
    struct plugin_objects info;
    struct plugin_bytes bytes;
    void *object;
    int result;

    plugin_objects_init(&info, NULL);
    plugin_bytes_init(&bytes);
    result = plugin->load(f->token, HX_PRIVATE_KEY, ref, strlen(ref), &info.list, &object);
    if (!result) {
        assert_int_equal(info.count, 1);
        assert_true(info.object[0].flags & HX_RESTRICTED);
        assert_int_equal(plugin->read(object, HX_TPM2B_PUBLIC, &bytes.out), 0);
        assert_true(bytes.len <= sizeof ret->data);
        memcpy(ret->data, bytes.data, bytes.len);
        ret->len = bytes.len;
        plugin->unload(object);
    }
    plugin_bytes_free(&bytes);
    plugin_objects_free(&info);
    return result;
}

/* The TPM2B_PUBLIC of the key that is found by its label. */
static inline struct public find(struct fixture *f, const char *label)
{
    struct public public;
    char ref[32];

    assert_int_equal(listed(f, label, ref), 1);
    assert_int_equal(load(f, ref, &public), 0);
    return public;
}

static inline struct public from_file(const struct fixture *f, const char *name)
{
    struct public public = { .len = 0 };
    char path[64];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", f->tpm.directory, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    public.len = fread(public.data, 1, sizeof public.data, file);
    fclose(file);
    return public;
}

static inline bool persists(const struct fixture *f, uint32_t handle)
{
    tpm_fixture_run(&f->tpm, "tpm2_getcap handles-persistent | grep -ci %08x >found || true", handle);
    return from_file(f, "found").data[0] == '1';
}

#endif
