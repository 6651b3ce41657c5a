/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of PINs in addresses: where they come from, and that they are never shown. */
#include "address.h"

#include <hsmux/hsmux.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void refused(const char *text, const char *words)
{
    struct address address, untouched;

    memset(&address, 0x5a, sizeof address);
    memcpy(&untouched, &address, sizeof address);
    assert_int_equal(address_parse(text, &address), HX_E_INVALID);
    assert_memory_equal(&address, &untouched, sizeof address);
    if (!strstr(hx_last_error(), words))
        fail_msg("no '%s' in '%s'", words, hx_last_error());
}

static void a_pin_is_never_shown(void **state)
{
    static const char *const texts[] = {
        "pkcs11:token=a;pin-value=4711;pin-value=4711",
        "pkcs11:token=a;objct=4711?pin-value=4711",
        "pkcs11:token=a?pin-value=4711&pin-source=/x4711",
        "pkcs11:token=a?pin-value=12;4711",
        "pkcs11:token=a?pin-value=12&4711=x",
        "pkcs11:token=a?pin-value=12&ab=4711",
        "pkcs11:token=a?pin-value=%4711%zz",
        "pkcs11:token=a?pin-valu=4711",
        "pkcs11:token=a?PIN-VALUE=4711",
        "pkcs11:token=a?%70in-value=4711",
        "pkcs11:token=a?4711",
        "pkcs11:token=a/pin-value=4711?x",
        "pkcs11:token=a?pin-source=4711",
        "pkcs11:token=a?pin-source=|echo 4711",
        "PKCS11:token=a;pin-value=4711",
        "pkcs11:token=a&pin-value=4711",
        "pkcs11:token=a;pin-value=12&pin-value=4711",
        "hsm:a/key/b?pin-value=4711",
        "hsm:a/key/b;pin-value=4711",
        "hsm:a/key/b&pin-value=4711",
        "hsm:a;pin-value=4711",
        "hsm:a/key/b;pin-value=4711?x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO_BYTES struct hx_bytes shown = { 0 };

        refused(texts[i], "address '");
        if (strstr(hx_last_error(), "4711"))
            fail_msg("%s", hx_last_error());
        assert_int_equal(address_redact(texts[i], &shown), 0);
        if (strstr((char *)shown.data, "4711"))
            fail_msg("%s", (char *)shown.data);
    }
}

static void the_rest_of_an_address_stays_readable(void **state)
{
    static const char *const texts[][2] = {
        { "", "" },
        { "hsm:", "hsm:" },
        { "hsm:edge/key/a%20b?id=01", "hsm:edge/key/a%20b?id=01" },
        { "pkcs11:token=a;pin-value=1;type=cert", "pkcs11:token=a;pin-value=...;type=cert" },
        { "pkcs11:token=a;id=%01?pin-source=file:/x&pin-value=2", "pkcs11:token=a;id=%01?pin-source=...&..." },
        { "pkcs11:token=a;objct=b", "pkcs11:token=a;objct=..." },
        { "/etc/key.pem", "/etc/key.pem" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO_BYTES struct hx_bytes shown = { 0 };

        assert_int_equal(address_redact(texts[i][0], &shown), 0);
        assert_string_equal((char *)shown.data, texts[i][1]);
    }
}

/* Parses prefix and path, where the file at path holds that text with that mode. */
static int read_pin(const char *text, size_t len, mode_t mode, const char *prefix, struct address *ret)
{
    char path[] = "/tmp/hsmux-pin-XXXXXX", uri[128];
    AUTO_CLOSE int fd = mkstemp(path);
    int result;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    snprintf(uri, sizeof uri, "%s%s", prefix, path);
    result = address_parse(uri, ret);
    unlink(path);
    return result;
}

static void a_pin_comes_from_the_line_of_a_file(void **state)
{
    static const char *const texts[] = { "4711", "4711\n", "4711\r\n" };
    char uri[64];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO_ADDRESS struct address address = { 0 };

        snprintf(uri, sizeof uri, "pkcs11:token=a?pin-source=%s", i % 2 ? "" : i ? "file://" : "file:");
        assert_int_equal(read_pin(texts[i], strlen(texts[i]), 0600, uri, &address), 0);
        assert_string_equal(address.pin, "4711");
    }
}

static void a_pin_file_must_be_kept_and_hold_a_pin(void **state)
{
    static const char uri[] = "pkcs11:token=a;pin-source=";
    struct address address = { 0 };
    char long_pin[1100];

    (void)state;
    assert_int_equal(read_pin("4711", 4, 0644, uri, &address), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), "chmod"));
    assert_int_equal(read_pin("", 0, 0600, uri, &address), HX_E_CONFIG);
    assert_int_equal(read_pin("\n4711", 5, 0600, uri, &address), HX_E_CONFIG);
    assert_int_equal(read_pin("\r\n", 2, 0600, uri, &address), HX_E_CONFIG);
    assert_int_equal(read_pin("4711\nrest\n", 10, 0600, uri, &address), HX_E_CONFIG);
    assert_int_equal(read_pin("47\00011", 5, 0600, uri, &address), HX_E_CONFIG);
    memset(long_pin, '1', sizeof long_pin);
    assert_int_equal(read_pin(long_pin, 1100, 0600, uri, &address), HX_E_CONFIG);
    assert_int_equal(read_pin(long_pin, 1024, 0600, uri, &address), 0);
    assert_int_equal(strlen(address.pin), 1024);
    address_free(&address);
    assert_int_equal(address_parse("pkcs11:pin-source=/nonexistent/pin", &address), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), "'/nonexistent/pin'"));
    assert_int_equal(address_parse("pkcs11:pin-source=file:///nonexistent/a%2520b", &address), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), "'/nonexistent/a b'"));
    assert_int_equal(address_parse("pkcs11:pin-source=/tmp", &address), HX_E_CONFIG);
    refused("pkcs11:pin-source=file://elsewhere/pin", "neither an absolute path");
    refused("pkcs11:pin-source=pin", "neither an absolute path");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_is_never_shown),
        cmocka_unit_test(the_rest_of_an_address_stays_readable),
        cmocka_unit_test(a_pin_comes_from_the_line_of_a_file),
        cmocka_unit_test(a_pin_file_must_be_kept_and_hold_a_pin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
