/* SPDX-License-Identifier: Apache-2.0 */
/* The file plugin's writing: power cuts at each step, and several writers at once. */
#include "crash.h"
#include "file-fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs fn in a child that is stopped at the n-th call; whether it was. */
static bool stopped(struct fixture *f, int n, void (*fn)(struct fixture *))
{
    int status;
    pid_t pid = fork();
    if (!pid) {
        plugin->forked();
        crash_at(n);
        fn(f);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CRASHED);
    return WEXITSTATUS(status) == CRASHED;
}

static const unsigned char old_seed[32] = "old", new_seed[32] = "new";

static int import_seed(struct fixture *f, const unsigned char seed[32], uint32_t flags)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    int result = fixture_import_key(f, "b", flags, key, HX_ED25519);
    EVP_PKEY_free(key);
    return result;
}

static void write_new(struct fixture *f)
{
    import_seed(f, new_seed, HX_REPLACE);
}

static void remove_key(struct fixture *f)
{
    plugin->remove(f->token, HX_PRIVATE_KEY, fixture_has(f, "b.key") ? "b.key" : "b.pem", 5);
}

/* Which key is there: 0 none, 1 the old one, 2 the new one; anything else fails the test. */
static int present(struct fixture *f)
{
    struct plugin_objects all;
    struct hx_object info;
    int found = 0;
    assert_true(fixture_list(f, &all) <= 3);
    assert_false(plugin_host_logged(&f->host, "b."));
    if (plugin_objects_find(&all, HX_PRIVATE_KEY, "b")) {
        struct plugin_bytes public;
        unsigned char old_public[32];
        size_t len = 32;
        EVP_PKEY *old = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, old_seed, 32);
        EVP_PKEY_get_raw_public_key(old, old_public, &len);
        void *object = fixture_find(f, HX_PRIVATE_KEY, "b", &info);
        plugin_bytes_init(&public);
        plugin->read(object, HX_PUBLIC, &public.out);
        found = public.len == 32 && !memcmp(public.data, old_public, 32) ? 1 : 2;
        assert_int_equal(fixture_sign(object, &info), 0);
        plugin->unload(object);
        plugin_bytes_free(&public);
        EVP_PKEY_free(old);
    }
    plugin_objects_free(&all);
    return found;
}

static int leftovers(struct fixture *f)
{
    int count = 0;
    DIR *dir = opendir(f->dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += !strncmp(entry->d_name, ".hsmux-", 7);
    closedir(dir);
    return count;
}

enum start { NOTHING, KEY, BUNDLE };

static void begin(struct fixture *f, enum start start)
{
    if (start == BUNDLE) {
        EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, old_seed, 32);
        EVP_PKEY *ca = fixture_key(HX_P256);
        unlink(fixture_path(f, "b.key"));
        fixture_put_bundle(f, key, ca);
        EVP_PKEY_free(key);
        EVP_PKEY_free(ca);
        return;
    }
    unlink(fixture_path(f, "b.pem"));
    unlink(fixture_path(f, "b.key"));
    if (start == KEY)
        assert_int_equal(import_seed(f, old_seed, 0), 0);
}

static void a_power_cut_leaves_the_old_state_or_the_new(void **state)
{
    static const struct {
        enum start start;
        void (*fn)(struct fixture *);
        int before, after;
    } stories[] = {
        { NOTHING, write_new, 0, 2 }, { KEY, write_new, 1, 2 },     { BUNDLE, write_new, 1, 2 },
        { KEY, remove_key, 1, 0 },    { BUNDLE, remove_key, 1, 0 },
    };
    struct fixture *f = *state;
    int swept = 0;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        int n = 1, seen_before = 0, seen_after = 0;
        for (bool more = true; more; n++) {
            begin(f, stories[i].start);
            more = stopped(f, n, stories[i].fn);
            int found = present(f);
            assert_true(found == stories[i].before || found == stories[i].after);
            seen_before += found == stories[i].before;
            seen_after += found == stories[i].after;
            if (!more)
                assert_int_equal(found, stories[i].after);
            swept += leftovers(f);
            assert_int_equal(fixture_import(f, HX_DATA, "next", HX_REPLACE, "x", 1), 0);
            assert_int_equal(leftovers(f), 0);
            unlink(fixture_path(f, "next.data"));
        }
        assert_true(n > 5);
        assert_true(seen_before > 2 && seen_after > 1);
    }
    assert_true(swept > 3);
}

static void two_writers_make_one_key(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 20; round++) {
        pid_t pid[4];
        int made = 0, refused = 0, status;
        for (int i = 0; i < 4; i++) {
            pid[i] = fork();
            if (!pid[i]) {
                plugin->forked();
                _exit(-fixture_generate(f, HX_P256, "same", 0));
            }
        }
        for (int i = 0; i < 4; i++) {
            assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
            made += status == 0;
            refused += WIFEXITED(status) && WEXITSTATUS(status) == -HX_E_EXISTS;
        }
        assert_int_equal(made, 1);
        assert_int_equal(refused, 3);
        assert_int_equal(plugin->remove(f->token, HX_PRIVATE_KEY, "same.key", 8), 0);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_power_cut_leaves_the_old_state_or_the_new),
        T(two_writers_make_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
