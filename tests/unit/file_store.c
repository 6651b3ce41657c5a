/* SPDX-License-Identifier: Apache-2.0 */
/* The file plugin's directory: labels, modes, broken files, replacing, removing. */
#include "crash.h"
#include "file-fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void odd_labels_work(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    static const char *const labels[] = {
        "a/b",   "..",  ".",   ".hidden", "\xc3\xbc", "100%",     "%41",
        "a b\n", "a#1", "-rf", "x.key",   "refused",  "\x01\xff", "caf\xc3\xa9 \"quoted\" 'too'"
    };
    const size_t count = sizeof labels / sizeof *labels;
    char longest[249];
    memset(longest, 'x', 248);
    longest[248] = 0;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fixture_import(f, HX_DATA, labels[i], 0, labels[i], strlen(labels[i])), 0);
    assert_int_equal(fixture_list(f, &all), count);
    for (size_t i = 0; i < count; i++) {
        const struct hx_object *found = plugin_objects_find(&all, HX_DATA, labels[i]);
        assert_non_null(found);
        assert_int_equal(fixture_import(f, HX_DATA, labels[i], 0, "", 0), HX_E_EXISTS);
        assert_int_equal(plugin->remove(f->token, HX_DATA, found->ref.data, found->ref.len), 0);
    }
    plugin_objects_free(&all);
    assert_int_equal(fixture_list(f, &all), 0);
    assert_int_equal(fixture_import(f, HX_SECRET_KEY, longest, 0, "x", 1), 0);
    assert_true(fixture_import(f, HX_SECRET_KEY, "", 0, "x", 1) == HX_E_INVALID);
    char longer[300];
    snprintf(longer, sizeof longer, "%sxxxxxx", longest);
    assert_int_equal(fixture_import(f, HX_SECRET_KEY, longer, 0, "x", 1), HX_E_INVALID);
    assert_true(plugin_host_said(&f->host, "too long"));
}

static void names_of_others_are_read_too(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    fixture_put(f, "\xc3\xbc.data", 0600, "x", 1);
    fixture_put(f, "100%.data", 0600, "x", 1);
    fixture_put(f, "a%2fb.data", 0600, "x", 1);
    fixture_put(f, "nul%00.data", 0600, "x", 1);
    fixture_put(f, "refused", 0600, "x", 1);
    fixture_put(f, ".hidden.data", 0600, "x", 1);
    fixture_put(f, "device.key~", 0600, "x", 1);
    fixture_put(f, ".key", 0600, "x", 1);
    assert_int_equal(mkdir(fixture_path(f, "dir.data"), 0700), 0);
    assert_int_equal(mkfifo(fixture_path(f, "fifo.data"), 0600), 0);
    assert_int_equal(fixture_list(f, &all), 3);
    assert_non_null(plugin_objects_find(&all, HX_DATA, "\xc3\xbc"));
    assert_non_null(plugin_objects_find(&all, HX_DATA, "100%"));
    assert_non_null(plugin_objects_find(&all, HX_DATA, "a/b"));
    plugin_objects_free(&all);
    assert_int_equal(fixture_import(f, HX_DATA, "a/b", 0, "y", 1), HX_E_EXISTS);
    assert_int_equal(fixture_import(f, HX_DATA, "a/b", HX_REPLACE, "y", 1), 0);
    assert_int_equal(fixture_list(f, &all), 3);
    plugin_objects_free(&all);
}

static void wrong_modes_say_what_to_chmod(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    void *object;
    char pem[4096];
    EVP_PKEY *key = fixture_key(HX_P256);
    fixture_put_key(f, "k.key", key, NULL);
    fixture_put(f, "k.pem", 0644, pem, fixture_certificate_pem(key, "k", pem, sizeof pem));
    fixture_put(f, "s.secret", 0640, "secret", 6);
    assert_int_equal(chmod(fixture_path(f, "k.key"), 0644), 0);
    assert_int_equal(fixture_list(f, &all), 3);
    plugin_objects_free(&all);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "k.key", &object), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "chmod 600"));
    assert_true(plugin_host_said(&f->host, "k.key"));
    assert_int_equal(fixture_load(f, HX_SECRET_KEY, "s.secret", &object), HX_E_CONFIG);
    assert_int_equal(fixture_load(f, HX_CERTIFICATE, "k.pem", &object), 0);
    plugin->unload(object);
    assert_int_equal(chmod(f->dir, 0750), 0);
    plugin_objects_init(&all, NULL);
    assert_int_equal(plugin->list(f->token, &all.list), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "chmod 700"));
    plugin->close(f->token);
    f->token = NULL;
    assert_int_equal(plugin->open(&f->host.host, NULL, &f->token), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, f->dir));
    EVP_PKEY_free(key);
}

static void other_owners_are_not_believed(void **state)
{
    struct fixture *f = *state;
    void *object;
    if (geteuid())
        skip();
    assert_int_equal(fixture_generate(f, HX_P256, "k", 0), 0);
    assert_int_equal(chown(fixture_path(f, "k.key"), 12345, 12345), 0);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "k.key", &object), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "chown"));
    assert_int_equal(chown(f->dir, 12345, 12345), 0);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "k.key", &object), HX_E_CONFIG);
    assert_int_equal(chown(f->dir, 0, 0), 0);
    assert_int_equal(chmod(f->base, 0755), 0);
    assert_int_equal(seteuid(12345), 0);
    int refused = fixture_load(f, HX_PRIVATE_KEY, "k.key", &object);
    void *token;
    int opened = plugin->open(&f->host.host, NULL, &token);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(refused, HX_E_ACCESS);
    assert_int_equal(opened, HX_E_ACCESS);
}

static void a_missing_directory_is_an_empty_token_until_it_is_needed(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    struct plugin_tokens before, after;
    char deep[160];
    snprintf(deep, sizeof deep, "%s/new/er/token", f->base);
    plugin->close(f->token);
    plugin_host_set(&f->host, "directory", deep);
    assert_int_equal(plugin->open(&f->host.host, NULL, &f->token), 0);
    assert_int_equal(fixture_list(f, &all), 0);
    plugin_tokens_init(&before);
    plugin_tokens_init(&after);
    assert_int_equal(plugin->describe(f->token, &before.tokens), 0);
    assert_int_equal(plugin->remove(f->token, HX_DATA, "x.data", 6), HX_E_NOT_FOUND);
    assert_int_equal(access(deep, F_OK), -1);
    assert_int_equal(fixture_generate(f, HX_P256, "k", 0), 0);
    assert_int_equal(mode_of(deep), 0700);
    assert_int_equal(plugin->describe(f->token, &after.tokens), 0);
    assert_string_equal(before.info->serial, after.info->serial);
    assert_string_equal(before.info->label, "file");
    void *token;
    assert_int_equal(plugin->open(&f->host.host, "another", &token), HX_E_NOT_FOUND);
    assert_int_equal(plugin->open(&f->host.host, before.info->serial, &token), 0);
    plugin->close(token);
    plugin_host_set(&f->host, "directory", "relative");
    assert_int_equal(plugin->open(&f->host.host, NULL, &token), HX_E_CONFIG);
    plugin_host_set(&f->host, "directory", "/dev/null");
    assert_int_equal(plugin->open(&f->host.host, NULL, &token), HX_E_CONFIG);
    plugin_tokens_free(&before);
    plugin_tokens_free(&after);
}

static void a_broken_file_hides_no_other(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    char pem[8192];
    void *object;
    static const char *const broken[] = { "cut.key", "flip.key", "empty.key", "text.pem", "empty.secret", "two.key" };
    EVP_PKEY *key = fixture_key(HX_P256);
    fixture_put_key(f, "good.key", key, NULL);
    size_t len = fixture_get(f, "good.key", pem, sizeof pem);
    fixture_put(f, "cut.key", 0600, pem, len - 40);
    fixture_put(f, "empty.key", 0600, "", 0);
    fixture_put(f, "empty.secret", 0600, "", 0);
    fixture_put(f, "text.pem", 0600, "hello\n", 6);
    memcpy(pem + len, pem, len);
    fixture_put(f, "two.key", 0600, pem, 2 * len);
    pem[40] = '!';
    fixture_put(f, "flip.key", 0600, pem, len);
    assert_int_equal(fixture_list(f, &all), 1);
    plugin_objects_free(&all);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        uint32_t kind = strstr(broken[i], "secret") ? HX_SECRET_KEY : HX_PRIVATE_KEY;
        assert_true(plugin_host_logged(&f->host, broken[i]));
        assert_int_equal(fixture_load(f, kind, broken[i], &object), HX_E_CONFIG);
        assert_true(plugin_host_said(&f->host, broken[i]));
    }
    fixture_expect_key(f, "good", key);
    EVP_PKEY_free(key);
}

/* A bit flipped anywhere never crashes, and what still signs is the same key. */
static void no_flipped_bit_gives_another_key(void **state)
{
    struct fixture *f = *state;
    char pem[4096], bad[4096];
    EVP_PKEY *key = fixture_key(HX_ED25519);
    fixture_put_key(f, "k.key", key, NULL);
    size_t len = fixture_get(f, "k.key", pem, sizeof pem);
    for (size_t i = 0; i < len * 8; i++) {
        void *object;
        memcpy(bad, pem, len);
        bad[i / 8] ^= (char)(1 << i % 8);
        fixture_put(f, "k.key", 0600, bad, len);
        if (!fixture_load(f, HX_PRIVATE_KEY, "k.key", &object))
            plugin->unload(object);
    }
    EVP_PKEY_free(key);
}

static void taken_labels_are_kept_or_replaced(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *old = fixture_key(HX_P256), *new = fixture_key(HX_P384);
    assert_int_equal(fixture_import_key(f, "k", 0, old, HX_P256), 0);
    assert_int_equal(mode_of(fixture_path(f, "k.key")), 0600);
    assert_int_equal(fixture_import_key(f, "k", 0, new, HX_P384), HX_E_EXISTS);
    assert_int_equal(fixture_generate(f, HX_P256, "k", 0), HX_E_EXISTS);
    fixture_expect_key(f, "k", old);
    assert_int_equal(fixture_import_key(f, "k", HX_REPLACE, new, HX_P384), 0);
    fixture_expect_key(f, "k", new);
    fixture_put(f, "k.key", 0600, "rubbish", 7);
    assert_int_equal(fixture_import_key(f, "k", 0, new, HX_P384), HX_E_EXISTS);
    assert_int_equal(fixture_import_key(f, "k", HX_REPLACE, new, HX_P384), 0);
    fixture_expect_key(f, "k", new);
    EVP_PKEY_free(old);
    EVP_PKEY_free(new);
}

static void one_object_of_a_file_goes_and_the_others_stay(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    char pem[16384];
    EVP_PKEY *key = fixture_key(HX_P256), *ca = fixture_key(HX_RSA), *new = fixture_key(HX_ED25519);
    unsigned char *der;
    size_t len = fixture_certificate(new, "new", &der);
    fixture_put_bundle(f, key, ca);
    assert_int_equal(fixture_import_key(f, "b", 0, new, HX_ED25519), HX_E_EXISTS);
    assert_int_equal(fixture_import(f, HX_CERTIFICATE, "b", 0, der, len), HX_E_EXISTS);
    assert_int_equal(fixture_import_key(f, "b", HX_REPLACE, new, HX_ED25519), 0);
    assert_int_equal(fixture_import(f, HX_CERTIFICATE, "b", HX_REPLACE, der, len), 0);
    assert_int_equal(fixture_list(f, &all), 3);
    assert_int_equal(plugin_objects_find(&all, HX_CERTIFICATE, "b")->type, HX_ED25519);
    assert_int_equal(plugin_objects_find(&all, HX_CERTIFICATE, "b#1")->type, HX_RSA);
    plugin_objects_free(&all);
    fixture_expect_key(f, "b", new);
    fixture_get(f, "b.pem", pem, sizeof pem);
    assert_non_null(strstr(pem, "ca words\n"));
    assert_non_null(strstr(pem, "last words\n"));
    assert_int_equal(plugin->remove(f->token, HX_PRIVATE_KEY, "b.pem", 5), 0);
    assert_int_equal(plugin->remove(f->token, HX_PRIVATE_KEY, "b.pem", 5), HX_E_NOT_FOUND);
    fixture_get(f, "b.pem", pem, sizeof pem);
    assert_null(strstr(pem, "PRIVATE"));
    assert_int_equal(fixture_list(f, &all), 2);
    plugin_objects_free(&all);
    assert_int_equal(plugin->remove(f->token, HX_CERTIFICATE, "b.pem#1", 7), 0);
    assert_int_equal(plugin->remove(f->token, HX_CERTIFICATE, "b.pem", 5), 0);
    assert_false(fixture_has(f, "b.pem"));
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca);
    EVP_PKEY_free(new);
}

static void a_certificate_finds_room_beside_a_key_in_pem(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    EVP_PKEY *key = fixture_key(HX_P256);
    unsigned char *der;
    size_t len = fixture_certificate(key, "x", &der);
    fixture_put_key(f, "x.pem", key, NULL);
    assert_int_equal(fixture_import(f, HX_CERTIFICATE, "x", 0, der, len), 0);
    assert_int_equal(fixture_list(f, &all), 2);
    plugin_objects_free(&all);
    assert_int_equal(fixture_import(f, HX_CERTIFICATE, "x", 0, der, len), HX_E_EXISTS);
    assert_int_equal(fixture_import(f, HX_CERTIFICATE, "y", 0, der, len - 1), HX_E_INVALID);
    fixture_put(f, "x.key", 0600, "", 0);
    fixture_put_key(f, "x.key", key, NULL);
    assert_int_equal(fixture_import_key(f, "x", HX_REPLACE, key, HX_P256), HX_E_AMBIGUOUS);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

static void it_works_without_renameat2(void **state)
{
    crash_no_renameat2 = true;
    taken_labels_are_kept_or_replaced(state);
    crash_no_renameat2 = false;
}

static void a_lookup_by_kind_and_label_reads_no_other_file(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    struct hx_object want = { .kind = HX_DATA, .label = "a" };
    fixture_put(f, "a.data", 0600, "x", 1);
    fixture_put(f, "b.data", 0600, "x", 1);
    fixture_put(f, "broken.key", 0600, "x", 1);
    plugin_objects_init(&all, &want);
    assert_int_equal(plugin->list(f->token, &all.list), 0);
    assert_int_equal(all.count, 1);
    assert_false(plugin_host_logged(&f->host, "broken"));
    all.result = HX_E_NO_MEMORY; /* what the sink says goes up */
    assert_int_equal(plugin->list(f->token, &all.list), HX_E_NO_MEMORY);
    plugin_objects_free(&all);
}

/* Such a file is no good, but what is in it is not a certificate's to destroy. */
static void a_certificate_never_replaces_a_file_of_two_keys(void **state)
{
    struct fixture *f = *state;
    char text[8192], after[8192];
    unsigned char *der = NULL;
    EVP_PKEY *key = fixture_key(HX_P256);
    fixture_put_key(f, "k.key", key, NULL);
    size_t len = fixture_get(f, "k.key", text, sizeof text / 2);
    memmove(text + len, text, len);
    fixture_put(f, "b.pem", 0600, text, 2 * len);
    size_t der_len = fixture_certificate(key, "b", &der);
    assert_int_equal(fixture_import(f, HX_CERTIFICATE, "b", HX_REPLACE, der, der_len), 0);
    assert_true(fixture_has(f, "b.crt"));
    assert_int_equal(fixture_get(f, "b.pem", after, sizeof after), 2 * len);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_certificate_never_replaces_a_file_of_two_keys),
        T(odd_labels_work),
        T(names_of_others_are_read_too),
        T(wrong_modes_say_what_to_chmod),
        T(other_owners_are_not_believed),
        T(a_missing_directory_is_an_empty_token_until_it_is_needed),
        T(a_broken_file_hides_no_other),
        T(no_flipped_bit_gives_another_key),
        T(taken_labels_are_kept_or_replaced),
        T(one_object_of_a_file_goes_and_the_others_stay),
        T(a_certificate_finds_room_beside_a_key_in_pem),
        T(it_works_without_renameat2),
        T(a_lookup_by_kind_and_label_reads_no_other_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
