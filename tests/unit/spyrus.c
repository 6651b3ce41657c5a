/* SPDX-License-Identifier: Apache-2.0 */
/* The spyrus plugin beside the pkcs11 plugin in one process, on SoftHSM: one code with one list of modules, so that
 * neither pulls a module from under the other's tokens. */
#include "pkcs11-fixture.h"

#include <dlfcn.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct hx_plugin *pkcs11, *spyrus;
static struct plugin_host other_host;

static const struct hx_plugin *load_plugin(const char *name)
{
    const struct hx_plugin *(*entry)(void);
    char path[600];
    void *handle;

    snprintf(path, sizeof path, "%s/%s.so", directory, name);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        fail_msg("%s", dlerror());
    *(void **)&entry = dlsym(handle, "hx_plugin_v1");
    return entry();
}

/* Side by side, as they are installed. */
static int start(void **state)
{
    char self[512] = "";
    const char *build;

    (void)state;
    if (fixture_start(NULL) || readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return -1;
    build = dirname(dirname(dirname(self)));
    run("cp %s/plugins/pkcs11/pkcs11.so %s/plugins/spyrus/spyrus.so %s", build, build, directory);
    make_token("edge");
    make_token("rosetta");
    spyrus = load_plugin("spyrus");
    plugin = pkcs11 = load_plugin("pkcs11");
    plugin_host_init(&other_host);
    plugin_host_set(&other_host, "token", "rosetta");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    plugin_host_free(&other_host);
    return fixture_stop();
}

static void *open_rosetta(const char *module)
{
    void *token = NULL;

    plugin_host_set(&other_host, "module", module);
    if (spyrus->open(&other_host.host, NULL, &token) || spyrus->login(token, TEST_PIN, strlen(TEST_PIN)))
        fail_msg("%s", other_host.reason);
    return token;
}

/* After a login that did not fail, its private keys are there to be seen. */
static int list_rosetta(void *token)
{
    struct hx_object want = { .kind = HX_PRIVATE_KEY };
    struct plugin_objects keys;
    int r;

    plugin_objects_init(&keys, &want);
    r = spyrus->list(token, &keys.list);
    plugin_objects_free(&keys);
    return r;
}

static void only_the_name_and_the_need_of_a_module_differ(void **state)
{
    const struct hx_option *at = spyrus->options;

    (void)state;
    assert_string_equal(spyrus->name, "spyrus");
    assert_ptr_equal(spyrus->open, pkcs11->open);
    assert_ptr_equal(spyrus->sign, pkcs11->sign);
    assert_int_equal(spyrus->flags, pkcs11->flags);
    for (const struct hx_option *theirs = pkcs11->options; theirs->name; theirs++, at++) {
        assert_string_equal(at->name, theirs->name);
        assert_int_equal(at->flags & ~(uintptr_t)HX_REQUIRED, theirs->flags);
        assert_int_equal(at->flags & HX_REQUIRED, strcmp(at->name, "module") ? 0 : HX_REQUIRED);
        assert_null(at->preset);
    }
    assert_null(at->name);
}

static void a_module_is_initialised_once_for_both(void **state)
{
    void *edge, *rosetta;

    (void)state;
    edge = open_and_login("edge");
    rosetta = open_rosetta(host.host.option(&host.host, "module"));
    assert_int_equal(generate(edge, HX_P256, 0, "beside", NULL, 0), 0);
    pkcs11->close(edge);
    assert_int_equal(list_rosetta(rosetta), 0);
    edge = open_and_login("edge");
    spyrus->close(rosetta);
    sign_and_verify(edge, "beside", HX_ECDSA, HX_SHA256, 0);
    pkcs11->close(edge);
    assert_int_equal(calls("C_Initialize"), 2); /* one is libp11's, which takes ALREADY_INITIALIZED */
    assert_int_equal(calls("C_Finalize"), 0);
}

/* A login that fails so makes the plugin start SoftHSM anew, in the moments after C_Initialize. */
static void fail_one_login(void *token)
{
    setenv("P11_COUNTER_FAIL", "C_Login:1:0x5", 1);
    assert_refused(login(token, TEST_PIN), HX_E_BUSY, "another process was writing to it");
    unsetenv("P11_COUNTER_FAIL");
}

/* The one knows SoftHSM by its own path, the other behind a module that passes calls on. */
static void no_module_is_started_anew_under_a_token_of_the_other(void **state)
{
    void *edge, *rosetta;

    (void)state;
    forget_calls();
    edge = open_token("edge");
    rosetta = open_rosetta(getenv("P11_COUNTER_MODULE"));
    fail_one_login(edge);
    assert_int_equal(calls("C_Finalize"), 0);
    assert_int_equal(list_rosetta(rosetta), 0);
    assert_int_equal(login(edge, TEST_PIN), 0);
    spyrus->close(rosetta);
    fail_one_login(edge);
    assert_int_equal(calls("C_Finalize"), 1);
    assert_int_equal(login(edge, TEST_PIN), 0);
    pkcs11->close(edge);
}

static void what_others_can_write_beside_it_is_not_loaded(void **state)
{
    const struct hx_plugin *(*entry)(void);
    char path[600];
    void *handle;

    (void)state;
    run("mkdir %s/loose && cp %s/spyrus.so %s/pkcs11.so %s/loose && chmod 666 %s/loose/pkcs11.so", directory, directory,
        directory, directory, directory);
    snprintf(path, sizeof path, "%s/loose/spyrus.so", directory);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(handle);
    *(void **)&entry = dlsym(handle, "hx_plugin_v1");
    assert_null(entry());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_name_and_the_need_of_a_module_differ),
        cmocka_unit_test(a_module_is_initialised_once_for_both),
        cmocka_unit_test(no_module_is_started_anew_under_a_token_of_the_other),
        cmocka_unit_test(what_others_can_write_beside_it_is_not_loaded),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
