/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the loader: which plugins it takes, what it says of the others, and what it checks of a token's section.
 */
#include "box.h"
#include "host.h"

static int open_context(const char *arg)
{
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    (void)arg;
    hx_free(ctx);
    return result;
}

/* What a program that starts with this configuration comes to. */
static int with_lines(mode_t mode, const char *plugin, const char *lines)
{
    char conf[1024];

    snprintf(conf, sizeof conf, "[token t]\nplugin = %s\n%s", plugin, lines);
    put("hsmux.conf", mode, conf);
    return in_process(open_context, "");
}

static const char *built(const char *name)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s.so", TEST_LIB, name);
    return path;
}

static const char *so(const char *name)
{
    static char file[64];

    snprintf(file, sizeof file, "%s.so", name);
    return file;
}

static void is_loaded(const char *name)
{
    put_plugin(built(name), so(name));
    if (with_lines(0644, name, ""))
        fail_msg("%s", told->reason);
    if (with_lines(0644, in_box(so(name)), ""))
        fail_msg("%s", told->reason);
    unlink(in_box(so(name)));
}

/* Both by its name and by its path; the reason names the section's line, the file, and what is wrong. */
static void is_not_loaded(const char *name, const char *reason)
{
    for (int by_path = 0; by_path < 2; by_path++) {
        assert_int_equal(with_lines(0644, by_path ? in_box(so(name)) : name, ""), HX_E_CONFIG);
        says("hsmux.conf:2: [token t]: plugin '");
        says(in_box(so(name)));
        says(reason);
    }
}

static void the_plugins_of_other_minor_versions_are_loaded(void **state)
{
    (void)state;
    is_loaded("bad-older");
    is_loaded("bad-newer");
    is_loaded("bad-minor");
}

static void what_is_no_plugin_of_this_abi_is_not_loaded(void **state)
{
    static const struct {
        const char *name, *reason;
    } bad[] = {
        { "bad-major", "made for plugin ABI 2, this is ABI 1" },
        { "bad-magic", "not a hsmux plugin" },
        { "bad-cut", "bytes, at least" },
        { "bad-tiny", "its table has 8 bytes" },
        { "bad-callback", "lacks one of open, close, list, load, unload, read" },
        { "bad-entry", "it has no hx_plugin_v1()" },
        { "bad-null", "gives no table" },
        { "bad-nameless", "has no name" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_plugin(built(bad[i].name), so(bad[i].name));
        is_not_loaded(bad[i].name, bad[i].reason);
        unlink(in_box(so(bad[i].name)));
    }
}

static int call_an_older_plugin(const char *name)
{
    AUTO_BYTES struct hx_bytes thing = { 0 };
    hx *ctx = NULL;
    int status, result = hx_new(in_box("hsmux.conf"), &ctx);
    pid_t pid;

    if (result || hx_read(ctx, name, HX_VALUE, &thing) != HX_E_NOT_FOUND)
        return HX_E_DEVICE;
    if ((pid = fork()) == 0) /* forked() lies beyond its table's end */
        _exit(hx_read(ctx, name, HX_VALUE, &thing) == HX_E_NOT_FOUND ? 0 : 1);
    waitpid(pid, &status, 0);
    hx_free(ctx);
    return status ? HX_E_DEVICE : 0;
}

static void nothing_beyond_the_end_of_an_older_table_is_called(void **state)
{
    (void)state;
    put_plugin(built("bad-older"), "bad-older.so");
    assert_int_equal(with_lines(0644, "bad-older", ""), 0);
    assert_int_equal(in_process(call_an_older_plugin, "hsm:t/data/x"), 0);
    unlink(in_box("bad-older.so"));
}

static void what_is_no_library_is_not_loaded(void **state)
{
    (void)state;
    put("text.so", 0755, "no library\n");
    is_not_loaded("text", "text.so");
    put("text.so", 0755, "");
    is_not_loaded("text", "text.so");
    unlink(in_box("text.so"));
    assert_int_equal(mkdir(in_box("text.so"), 0755), 0);
    is_not_loaded("text", "is not a regular file");
    rmdir(in_box("text.so"));
    assert_int_equal(mkfifo(in_box("text.so"), 0700), 0);
    is_not_loaded("text", "is not a regular file");
    unlink(in_box("text.so"));
}

static void a_plugin_that_is_not_there_is_named_with_the_place_where_it_was_sought(void **state)
{
    (void)state;
    assert_int_equal(with_lines(0644, "absent", ""), HX_E_CONFIG);
    says("no plugin 'absent' in '");
    says(box);
    assert_int_equal(with_lines(0644, in_box("absent.so"), ""), HX_E_CONFIG);
    says("does not exist");
}

static void a_plugin_that_others_can_write_is_not_loaded(void **state)
{
    (void)state;
    assert_int_equal(chmod(in_box("fake.so"), 0775), 0);
    is_not_loaded("fake", "is writable by others: chmod go-w");
    assert_int_equal(chmod(in_box("fake.so"), 0757), 0);
    is_not_loaded("fake", "is writable by others: chmod go-w");
    assert_int_equal(chmod(in_box("fake.so"), 0755), 0);
    assert_int_equal(chmod(box, 0777), 0);
    is_not_loaded("fake", "is writable by others: chmod go-w");
    assert_int_equal(chmod(box, 0700), 0);
    assert_int_equal(with_lines(0644, "fake", ""), 0);
}

static void a_plugin_must_be_called_as_its_file(void **state)
{
    (void)state;
    put_plugin(built("bad-alias"), "bad-alias.so");
    assert_int_equal(with_lines(0644, "bad-alias", ""), HX_E_CONFIG);
    says("calls itself 'other': rename the file");
    assert_int_equal(with_lines(0644, in_box("bad-alias.so"), ""), 0);
    unlink(in_box("bad-alias.so"));
}

struct shelf {
    char text[2048];
    int stop;
};

static int note(void *arg, const char *path, int result, const char *name, const char *version, const char *summary,
                const struct hx_option *options)
{
    struct shelf *shelf = arg;
    size_t used = strlen(shelf->text);

    snprintf(shelf->text + used, sizeof shelf->text - used, "%s %s %s %s%s\n", strrchr(path, '/') + 1,
             result ? "-" : name, result ? "-" : version, options ? options->name : "none",
             result && !strstr(summary, path) ? " WITHOUT PATH" : "");
    return shelf->stop;
}

static int list_shelf(const char *wanted)
{
    struct shelf shelf = { .stop = 0 };
    hx *ctx = NULL;
    int result = setenv("HSMUX_CONF", in_box("empty.conf"), 1) ? HX_E_DEVICE : hx_new(NULL, &ctx);

    if (!result)
        result = hx_plugins(ctx, note, &shelf);
    if (!result && strcmp(shelf.text, wanted)) {
        fprintf(stderr, "%s", shelf.text);
        result = HX_E_INVALID;
    }
    shelf = (struct shelf){ .stop = 7 };
    if (!result && (hx_plugins(ctx, note, &shelf) != 7 || strchr(shelf.text, '\n') != strrchr(shelf.text, '\n')))
        result = HX_E_AMBIGUOUS;
    hx_free(ctx);
    return result;
}

static void the_plugins_in_the_directory_are_listed_by_name_with_what_is_wrong(void **state)
{
    (void)state;
    put("empty.conf", 0644, "");
    put("README", 0644, "");
    put(".hidden.so", 0755, "");
    put("text.so", 0755, "no library\n");
    put_plugin(built("bad-alias"), "bad-alias.so");
    put_plugin(built("bad-newer"), "bad-newer.so");
    assert_int_equal(in_process(list_shelf, "bad-alias.so - - none\n"
                                            "bad-newer.so bad-newer 1.0 none\n"
                                            "fake.so fake 1.0 tokens\n"
                                            "text.so - - none\n"),
                     0);
    unlink(in_box("text.so"));
    unlink(in_box("bad-alias.so"));
    unlink(in_box("bad-newer.so"));
}

static void an_option_that_the_plugin_does_not_know_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(with_lines(0644, "fake", "label = x\nlable = x\n"), HX_E_CONFIG);
    says("hsmux.conf:4: plugin 'fake' has no option 'lable'");
    assert_int_equal(with_lines(0644, "fake", "label-file = x\n"), HX_E_CONFIG);
    says("hsmux.conf:3: ");
    assert_int_equal(with_lines(0644, "fake", "pin-fil = x\n"), HX_E_CONFIG);
    says("'pin-fil'");
    assert_int_equal(with_lines(0644, "fake", "pi = x\n"), HX_E_CONFIG);
    assert_int_equal(with_lines(0644, "fake", "open = use\nlabel = x\nserial = y\n"), 0);
}

static void a_required_option_that_lacks_is_an_error(void **state)
{
    (void)state;
    put_plugin(built("fakerequired"), "fakerequired.so");
    assert_int_equal(with_lines(0644, "fakerequired", "label = x\n"), HX_E_CONFIG);
    says("hsmux.conf:1: [token t] lacks 'must' (an option that has to be there)");
    assert_int_equal(with_lines(0644, "fakerequired", "must = x\n"), 0);
    unlink(in_box("fakerequired.so"));
}

static void a_secret_has_one_source(void **state)
{
    static const char *const lines[] = {
        "pin = 1\npin-file = /x\n",
        "pin = 1\npin-credential = x\n",
        "pin-file = /x\npin-credential = x\n",
        "pin = 1\npin-file = /x\npin-credential = x\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(with_lines(0600, "fake", lines[i]), HX_E_CONFIG);
        says("hsmux.conf:1: [token t] has more than one of pin, pin-file, pin-credential");
    }
    assert_int_equal(with_lines(0600, "fake", "pin = 1\npin = 2\n"), HX_E_CONFIG);
    says("hsmux.conf:4: ");
}

static void a_secret_in_an_ini_that_others_can_read_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(with_lines(0644, "fake", "pin = 4711\n"), HX_E_CONFIG);
    says("hsmux.conf:3: holds the secret 'pin' and others can read it: chmod o-r '");
    assert_null(strstr(told->reason, "4711"));
    assert_int_equal(with_lines(0640, "fake", "pin = 4711\n"), 0);
    assert_int_equal(with_lines(0644, "fake", "pin-file = /x\n"), 0);
    assert_int_equal(with_lines(0644, "fake", "pin-credential = x\n"), 0);
}

static void a_vendors_library_that_is_not_trusted_is_an_error(void **state)
{
    char lines[256];

    (void)state;
    snprintf(lines, sizeof lines, "library = %s\n", in_box("vendor.so.1"));
    assert_int_equal(with_lines(0644, "fake", lines), HX_E_CONFIG);
    says("hsmux.conf:3: library: '");
    says("does not exist");
    put("vendor.so.1", 0775, "");
    assert_int_equal(with_lines(0644, "fake", lines), HX_E_CONFIG);
    says("is writable by others: chmod go-w");
    assert_int_equal(chmod(in_box("vendor.so.1"), 0755), 0);
    assert_int_equal(with_lines(0644, "fake", lines), 0);
}

static int told_library(const char *wanted)
{
    struct config *config = NULL;
    struct plugin *plugin;
    struct host *host = NULL;
    int result;

    if ((result = config_read(in_box("hsmux.conf"), &config)) || (result = plugin_load("fake", &plugin)) ||
        (result = host_new(plugin, "t", config, config_section(config, "token", "t"), &host)))
        return result;
    result = strcmp(host->api.option(&host->api, "library"), wanted) ? HX_E_INVALID : 0;
    if (!result && (strcmp(host->api.option(&host->api, "pin"), "") || host->api.option(&host->api, "label") ||
                    host->api.option(&host->api, "none") || strcmp(host->api.option(&host->api, "serial"), "F0001")))
        result = HX_E_DEVICE;
    host_free(host);
    config_free(config);
    return result;
}

static void a_plugin_is_told_its_options_but_no_pin_and_no_link(void **state)
{
    char conf[512];

    (void)state;
    put("vendor.so.1", 0755, "");
    assert_int_equal(symlink("vendor.so.1", in_box("vendor.so")), 0);
    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\npin = 4711\nserial = F0001\nlibrary = %s\n",
             in_box("vendor.so"));
    put("hsmux.conf", 0600, conf);
    assert_int_equal(in_process(told_library, in_box("vendor.so.1")), 0);
    unlink(in_box("vendor.so"));
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, reset_fake, keeps_the_contract)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_plugins_of_other_minor_versions_are_loaded),
        STORY(what_is_no_plugin_of_this_abi_is_not_loaded),
        STORY(nothing_beyond_the_end_of_an_older_table_is_called),
        STORY(what_is_no_library_is_not_loaded),
        STORY(a_plugin_that_is_not_there_is_named_with_the_place_where_it_was_sought),
        STORY(a_plugin_that_others_can_write_is_not_loaded),
        STORY(a_plugin_must_be_called_as_its_file),
        STORY(the_plugins_in_the_directory_are_listed_by_name_with_what_is_wrong),
        STORY(an_option_that_the_plugin_does_not_know_is_an_error),
        STORY(a_required_option_that_lacks_is_an_error),
        STORY(a_secret_has_one_source),
        STORY(a_secret_in_an_ini_that_others_can_read_is_an_error),
        STORY(a_vendors_library_that_is_not_trusted_is_an_error),
        STORY(a_plugin_is_told_its_options_but_no_pin_and_no_link),
    };

    return cmocka_run_group_tests(tests, make_box, remove_box);
}
