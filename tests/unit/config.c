/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the INI file: what is read, and how each mistake is told without telling a PIN. */
#include "config.h"

#include "cleanup.h"

#include <errno.h>
#include <hsmux/hsmux.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char directory[] = "/tmp/hsmux-config-XXXXXX";
static char path[64];

static const char good[] = "; a whole file\r\n"
                           "# another comment ; with a semicolon\n"
                           "\n"
                           "[hsmux]\n"
                           "references = off\n"
                           "[token edge]\r\n"
                           "plugin = pkcs11\r\n"
                           "module=/usr/lib/softhsm/libsofthsm2.so\n"
                           "  ; an indented comment\n"
                           "token\t=\tSchl\xc3\xbcssel = 1;2:3  \n"
                           "pin = 12;34#5\n"
                           "open = load\n"
                           "[token bare]\n"
                           "plugin = file\n"
                           "[credential]\n"
                           "key = hsm:edge/key/device-key\n"
                           "[credential spare.1_a-b]\n"
                           "key = hsm:bare/key/x\n"
                           "certificate = /etc/x.pem\n"
                           "chain = /etc/chain.pem\n"
                           "common-name = device 7\n"
                           "registration-id = r7";

static void write_file(const void *text, size_t len, mode_t mode)
{
    FILE *file;

    unlink(path); /* it may belong to another user by now */
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int read_text(const void *text, size_t len, struct config **ret)
{
    write_file(text, len, 0600);
    return config_read(path, ret);
}

/* The text is refused at that line, with these words. */
static void refused_bytes(const void *text, size_t len, unsigned line, const char *words)
{
    struct config *config = NULL;
    char prefix[96];

    assert_int_equal(read_text(text, len, &config), HX_E_CONFIG);
    assert_null(config);
    snprintf(prefix, sizeof prefix, "%s:%u: ", path, line);
    if (strncmp(hx_last_error(), prefix, strlen(prefix)) || !strstr(hx_last_error(), words))
        fail_msg("'%s' is not '%s...%s'", hx_last_error(), prefix, words);
}

static void refused(const char *text, unsigned line, const char *words)
{
    refused_bytes(text, strlen(text), line, words);
}

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/hsmux.conf", directory);
    return unsetenv("HSMUX_CONF");
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void a_good_file_is_read_whole(void **state)
{
    const struct section *edge, *spare;
    struct config *config = NULL;

    (void)state;
    assert_int_equal(read_text(good, sizeof good - 1, &config), 0);
    assert_true(config->found);
    assert_false(config->references);
    assert_false(config->readable_by_others);
    assert_string_equal(config->path, path);
    assert_null(config_section(config, "hsmux", ""));
    assert_null(config_section(config, "token", "missing"));
    assert_ptr_equal(edge = config_section(config, "token", "edge"), config->sections);
    assert_int_equal(edge->line, 6);
    assert_string_equal(section_get(edge, "plugin"), "pkcs11");
    assert_string_equal(section_get(edge, "module"), "/usr/lib/softhsm/libsofthsm2.so");
    assert_string_equal(section_get(edge, "token"), "Schl\xc3\xbcssel = 1;2:3");
    assert_string_equal(section_get(edge, "pin"), "12;34#5");
    assert_int_equal(section_setting(edge, "pin")->line, 11);
    assert_null(section_get(edge, "serial"));
    assert_string_equal(config_section(config, "credential", "")->settings->value, "hsm:edge/key/device-key");
    assert_non_null(spare = config_section(config, "credential", "spare.1_a-b"));
    assert_string_equal(section_get(spare, "registration-id"), "r7");
    assert_null(spare->next);
    config_free(config);
    config_free(NULL);
}

static void a_good_file_cut_anywhere_is_read_or_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof good; len++) {
        struct config *config = NULL;
        int result = read_text(good, len, &config);

        assert_true(result == 0 ? config != NULL : result == HX_E_CONFIG && !config);
        if (result)
            assert_null(strstr(hx_last_error(), "12;34"));
        config_free(config);
    }
}

static void an_empty_file_is_an_empty_configuration(void **state)
{
    static const char defaults[] = "[hsmux]\n[credential]\nkey = hsm:a/key/b\n";
    struct config *config = NULL;

    (void)state;
    assert_int_equal(read_text("", 0, &config), 0);
    assert_true(config->found && config->references);
    assert_null(config->sections);
    config_free(config);
    config = NULL;
    assert_int_equal(read_text(defaults, sizeof defaults - 1, &config), 0);
    assert_true(config->references);
    config_free(config);
}

static void a_missing_file_is_an_error_only_when_named(void **state)
{
    struct config *config = NULL;

    (void)state;
    unlink(path);
    assert_int_equal(config_read(path, &config), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), path));
    setenv("HSMUX_CONF", path, 1);
    assert_int_equal(config_read(NULL, &config), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), path));
    assert_null(config);
    unsetenv("HSMUX_CONF");
    if (access(HSMUX_CONFDIR "/hsmux.conf", F_OK) && errno == ENOENT) {
        assert_int_equal(config_read(NULL, &config), 0);
        assert_false(config->found);
        assert_true(config->references);
        assert_string_equal(config->path, HSMUX_CONFDIR "/hsmux.conf");
        config_free(config);
    }
}

static void the_environment_names_the_file(void **state)
{
    struct config *config = NULL;

    (void)state;
    write_file(good, sizeof good - 1, 0600);
    setenv("HSMUX_CONF", path, 1);
    assert_int_equal(config_read(NULL, &config), 0);
    assert_string_equal(config->path, path);
    config_free(config);
    unsetenv("HSMUX_CONF");
}

static void what_is_no_regular_file_is_refused_at_once(void **state)
{
    struct config *config = NULL;

    (void)state;
    assert_int_equal(config_read(directory, &config), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), "not a regular file"));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20);
    assert_int_equal(config_read(path, &config), HX_E_CONFIG);
    alarm(0);
    assert_non_null(strstr(hx_last_error(), "not a regular file"));
    assert_int_equal(config_read("/dev/null", &config), HX_E_CONFIG);
    unlink(path);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    char mend[96];
    struct config *config = NULL;

    (void)state;
    snprintf(mend, sizeof mend, "chmod go-w '%s'", path);
    write_file(good, sizeof good - 1, 0620);
    assert_int_equal(config_read(path, &config), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), mend));
    chmod(path, 0602);
    assert_int_equal(config_read(path, &config), HX_E_CONFIG);
    chmod(path, 0644);
    assert_int_equal(config_read(path, &config), 0);
    assert_true(config->readable_by_others);
    config_free(config);
    config = NULL;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
    assert_int_equal(config_read(path, &config), HX_E_CONFIG);
    snprintf(mend, sizeof mend, "chown root '%s'", path);
    assert_non_null(strstr(hx_last_error(), mend));
}

static void a_file_larger_than_a_mebibyte_is_refused(void **state)
{
    struct config *config = NULL;
    size_t len = ((size_t)1 << 20) + 1;
    char *text = malloc(len);

    (void)state;
    assert_non_null(text);
    memset(text, '\n', len);
    assert_int_equal(read_text(text, len, &config), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), "larger than"));
    assert_int_equal(read_text(text, len - 1, &config), 0);
    config_free(config);
    free(text);
}

static void a_pin_with_a_comment_behind_it_is_refused_and_not_shown(void **state)
{
    (void)state;
    refused("[token t]\nplugin = file\npin = 12 ;34\n", 3, "' ;'");
    assert_null(strstr(hx_last_error(), "12 "));
    refused("[token t]\nplugin = file\npin = 4711\t;x\n", 3, "' ;'");
    refused("[token t]\nplugin = file\npin = ;4711\n", 3, "' ;'");
    refused("[token t]\nplugin = file\n  4711\n", 3, "indented");
    assert_null(strstr(hx_last_error(), "4711"));
    refused("[token t]\nplugin = file\npin : 47=11\n", 3, "'pin'");
    assert_null(strstr(hx_last_error(), "47"));
    refused("[token t]\nplugin = file\npin 47=11\n", 3, "'pin'");
    assert_null(strstr(hx_last_error(), "47"));
    refused("[token t]\nplugin = file\n4711\n", 3, "neither");
    assert_null(strstr(hx_last_error(), "4711"));
    refused("[token t]\npin = 4711\npin = 4712\n", 3, "'pin' is already at line 2");
    assert_null(strstr(hx_last_error(), "471"));
    refused("[credential]\nkey = hsm:a/key/b\npin = 4711\n", 3, "unknown key 'pin' in section '[credential]'");
    assert_null(strstr(hx_last_error(), "4711"));
    refused("pin = 4711\n", 1, "'pin' stands before any section");
    assert_null(strstr(hx_last_error(), "4711"));
}

static void lines_and_names_too_long_for_inih_are_refused(void **state)
{
    char text[256], *value = malloc(10001);
    struct config *config = NULL;

    (void)state;
    snprintf(text, sizeof text, "[token t]\nplugin = file\nx = %0194d\n", 7);
    assert_int_equal(read_text(text, strlen(text), &config), 0);
    assert_int_equal(strlen(section_get(config->sections, "x")), 194);
    config_free(config);
    snprintf(text, sizeof text, "[token t]\nplugin = file\nx = %0195d\n", 7);
    refused(text, 3, "199 bytes");

    assert_non_null(value);
    memset(value, 'x', 10000);
    value[10000] = '\0';
    memcpy(value, "[token t]\nplugin=", 17);
    refused(value, 2, "bytes");
    free(value);

    snprintf(text, sizeof text, "[token %043d]\nplugin = file\n", 7);
    config = NULL;
    assert_int_equal(read_text(text, strlen(text), &config), 0);
    assert_int_equal(strlen(config->sections->name), 43);
    config_free(config);
    snprintf(text, sizeof text, "[token %044d]\nplugin = file\n[token %044d]\nplugin = file\n", 7, 8);
    refused(text, 1, "50 bytes");
    memset(text, 'k', 50);
    memcpy(text + 50, " = v", 5);
    memmove(text + 10, text, 55);
    memcpy(text, "[token t]\n", 10);
    refused(text, 2, "50 bytes");
}

static void what_is_no_text_is_refused(void **state)
{
    unsigned char junk[4096];
    unsigned seed = 1;

    (void)state;
    refused_bytes("[token t]\nplugin = fi\0le\n", 25, 2, "column 12");
    refused_bytes("; a\0b\n", 6, 1, "column 4");
    refused("[token t]\nplugin = a\x01\n", 2, "control");
    refused("[token t]\nplugin = a\rb\n", 2, "control");
    refused("[token t]\nplugin = a\x7f\n", 2, "control");
    refused("\xef\xbb\xbf[token t]\n", 1, "byte order mark");
    refused("; \xfc\n", 1, "column 3: a byte that is not UTF-8");
    refused("; \xc3", 1, "UTF-8");
    refused("; \xc0\xaf\n", 1, "UTF-8");
    refused("; \xed\xa0\x80\n", 1, "UTF-8");
    refused("; \xf4\x90\x80\x80\n", 1, "UTF-8");
    for (unsigned round = 0; round < 200; round++) {
        struct config *config = NULL;

        for (size_t i = 0; i < sizeof junk; i++)
            junk[i] = (unsigned char)((seed = seed * 1103515245 + 12345) >> 16);
        assert_int_equal(read_text(junk, sizeof junk, &config), HX_E_CONFIG);
    }
}

static void doubles_are_refused(void **state)
{
    (void)state;
    refused("[token t]\nplugin = a\n[credential]\nkey = b\n[token t]\nplugin = b\n", 5,
            "section '[token t]' is already at line 1");
    refused("[credential]\nkey = a\n[credential]\nkey = a\n", 3, "section '[credential]' is already at line 1");
    refused("[hsmux]\n[hsmux]\n", 2, "already at line 1");
    refused("[token t]\nplugin = a\nplugin = a\n", 3, "'plugin' is already at line 2");
}

static void sections_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    refused("[tokens t]\n", 1, "unknown section '[tokens t]'");
    refused("[Token t]\n", 1, "unknown section");
    refused("[hsmux x]\n", 1, "unknown section");
    refused("[]\n", 1, "unknown section");
    refused("[\n", 1, "']'");
    refused("[token t\nplugin = x]\n", 1, "']'");
    refused("[token t] x\n", 1, "']'");
    refused("[token t]]\n", 1, "']'");
    refused("[token]\n", 1, "no name");
    refused("[token a/b]\n", 1, "a name is made of");
    refused("[token a b]\n", 1, "a name is made of");
    refused("[credential ]\n", 1, "a name is made of");
}

static void keys_and_values_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    refused("[hsmux]\nreference = on\n", 2, "unknown key 'reference' in section '[hsmux]'");
    refused("[hsmux]\nreferences = maybe\n", 2, "references = 'maybe': neither 'on' nor 'off'");
    refused("[token t]\nplugin = a\nopen = never\n", 3, "neither 'use' nor 'load'");
    refused("[credential x]\nkey = a\nkeys = b\n", 3, "unknown key 'keys' in section '[credential x]'");
    refused("[token t]\nplugin =\n", 2, "'plugin' has no value");
    refused("[token t]\nplugin = \t\r\n", 2, "'plugin' has no value");
    refused("[token t]\nPlugin = a\n", 2, "'Plugin'");
    refused("[token t]\n= a\n", 2, "'='");
    refused("[token t]\nplugin: a\n", 2, "'plugin'");
    refused("[token t]\nopen = use\n", 1, "section '[token t]' has no 'plugin ='");
    refused("\n[token empty]\n[token t]\nplugin = a\n", 2, "section '[token empty]' has no 'plugin ='");
    refused("[credential]\ncertificate = /x\n", 1, "section '[credential]' has no 'key ='");
    refused(" [token t]\n", 1, "indented");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_read_whole),
        cmocka_unit_test(a_good_file_cut_anywhere_is_read_or_refused),
        cmocka_unit_test(an_empty_file_is_an_empty_configuration),
        cmocka_unit_test(a_missing_file_is_an_error_only_when_named),
        cmocka_unit_test(the_environment_names_the_file),
        cmocka_unit_test(what_is_no_regular_file_is_refused_at_once),
        cmocka_unit_test(a_file_that_others_may_write_is_refused),
        cmocka_unit_test(a_file_larger_than_a_mebibyte_is_refused),
        cmocka_unit_test(a_pin_with_a_comment_behind_it_is_refused_and_not_shown),
        cmocka_unit_test(lines_and_names_too_long_for_inih_are_refused),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(doubles_are_refused),
        cmocka_unit_test(sections_that_make_no_sense_are_refused),
        cmocka_unit_test(keys_and_values_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
