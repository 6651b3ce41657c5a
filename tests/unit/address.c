/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of addresses: what is understood, what is refused and what is matched. */
#include "address.h"

#include <hsmux/hsmux.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ID(text)                                                                                                       \
    {                                                                                                                  \
        text, sizeof text - 1                                                                                          \
    }

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

static void credentials_are_named_or_not(void **state)
{
    AUTO_ADDRESS struct address default_one = { 0 }, named = { 0 };

    (void)state;
    assert_int_equal(address_parse("hsm:", &default_one), 0);
    assert_string_equal(default_one.credential, "");
    assert_null(default_one.token);
    assert_false(default_one.pkcs11);
    assert_int_equal(address_parse("hsm:spare.1_a-b", &named), 0);
    assert_string_equal(named.credential, "spare.1_a-b");
}

static void objects_are_found_by_kind_label_and_id(void **state)
{
    static const struct expected {
        const char *text, *token;
        uint32_t kind;
        const char *label;
        struct hx_buf id;
    } cases[] = {
        { "hsm:edge/", "edge", 0, NULL, { 0 } },
        { "hsm:edge/key", "edge", HX_PRIVATE_KEY, NULL, { 0 } },
        { "hsm:edge/pubkey/a", "edge", HX_PUBLIC_KEY, "a", { 0 } },
        { "hsm:edge/secret/a", "edge", HX_SECRET_KEY, "a", { 0 } },
        { "hsm:edge/cert/a=b%3Bc+d", "edge", HX_CERTIFICATE, "a=b;c+d", { 0 } },
        { "hsm:edge/data/a%2Fb%20%c3%A4%25", "edge", HX_DATA, "a/b \xc3\xa4%", { 0 } },
        { "hsm:my%20token/key?id=00fF", "my token", HX_PRIVATE_KEY, NULL, ID("\x00\xff") },
        { "hsm:edge/key/a?id=01", "edge", HX_PRIVATE_KEY, "a", ID("\x01") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_ADDRESS struct address address = { 0 };

        assert_int_equal(address_parse(cases[i].text, &address), 0);
        assert_null(address.credential);
        assert_false(address.pkcs11);
        assert_string_equal(address.token, cases[i].token);
        assert_int_equal(address.kind, cases[i].kind);
        assert_int_equal(!!address.label, !!cases[i].label);
        if (address.label)
            assert_string_equal(address.label, cases[i].label);
        assert_int_equal(address.has_id, cases[i].id.len != 0);
        assert_true(bytes_equal(address.id.data, address.id.len, cases[i].id.data, cases[i].id.len));
    }
}

static void a_pkcs11_uri_is_understood_whole(void **state)
{
    AUTO_ADDRESS struct address full = { 0 }, any = { 0 }, path = { 0 };

    (void)state;
    assert_int_equal(address_parse("pkcs11:token=My%20Token;manufacturer=ACME;model=M1;serial=00%2F1;object=key%3B1;"
                                   "type=private;id=%00%aBx?pin-value=12%3B34",
                                   &full),
                     0);
    assert_true(full.pkcs11 && full.has_id);
    assert_string_equal(full.token, "My Token");
    assert_string_equal(full.manufacturer, "ACME");
    assert_string_equal(full.model, "M1");
    assert_string_equal(full.serial, "00/1");
    assert_string_equal(full.label, "key;1");
    assert_int_equal(full.kind, HX_PRIVATE_KEY);
    assert_true(bytes_equal(full.id.data, full.id.len, "\x00\xabx", 3));
    assert_string_equal(full.pin, "12;34");

    assert_int_equal(address_parse("pkcs11:", &any), 0);
    assert_true(any.pkcs11 && !any.kind && !any.token && !any.pin && !any.has_id);
    assert_int_equal(address_parse("pkcs11:type=secret-key;pin-value=4711", &path), 0);
    assert_int_equal(path.kind, HX_SECRET_KEY);
    assert_string_equal(path.pin, "4711");
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    refused("", "begins with neither");
    refused("/etc/key.pem", "'/etc/key.pem'");
    refused("HSM:a/key/b", "begins with neither");
    refused("hsm", "begins with neither");
    refused("hsm:a/keys/b", "unknown kind");
    refused("hsm:a/keyx", "unknown kind");
    refused("hsm:a//b", "unknown kind");
    refused("hsm:a/?id=01", "unknown kind");
    refused("hsm:/key/b", "token's name is empty");
    refused("hsm:a/key/", "label is empty");
    refused("hsm:a/key/b/c", "%2F");
    refused("hsm:a/key/%00", "%00");
    refused("hsm:a/key/x%00y", "%00");
    refused("hsm:%00", "%00");
    refused("hsm:a/key/%zz", "hexadecimal");
    refused("hsm:a/key/%4", "hexadecimal");
    refused("hsm:a/key/%", "hexadecimal");
    refused("hsm:a/key/%4\xc3\xa4", "hexadecimal");
    refused("hsm:a/key/b#c", "#");
    refused("hsm:a/key/b\nc", "control");
    refused("hsm:name?id=01", "'?'");
    refused("hsm:a/key?", "id=HEX");
    refused("hsm:a/key?id=", "hexadecimal");
    refused("hsm:a/key?id=1", "hexadecimal");
    refused("hsm:a/key?id=0g", "hexadecimal");
    refused("hsm:a/key?id=01&id=02", "only one 'id=HEX'");
    refused("hsm:a/key/b?ID=01", "id=HEX");
}

static void uris_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    refused("pkcs11:objct=device", "unknown attribute 'objct'");
    refused("pkcs11:token=a;x-vendor=b", "unknown attribute 'x-vendor'");
    refused("pkcs11:Token=a", "not 'name=value'");
    refused("pkcs11:token", "not 'name=value'");
    refused("pkcs11:=a", "not 'name=value'");
    refused("pkcs11:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=a", "not 'name=value'");
    refused("pkcs11:token=", "the token is empty");
    refused("pkcs11:id=", "id is empty");
    refused("pkcs11:token=a;token=b", "'token' appears twice");
    refused("pkcs11:type=cert;type=cert", "'type' appears twice");
    refused("pkcs11:id=a;id=a", "'id' appears twice");
    refused("pkcs11:token=a;", "attribute is empty");
    refused("pkcs11:;token=a", "attribute is empty");
    refused("pkcs11:token=a?pin-value=1&", "attribute is empty");
    refused("pkcs11:type=key", "unknown type");
    refused("pkcs11:type=", "unknown type");
    refused("pkcs11:object=%00", "%00");
    refused("pkcs11:object=%zz", "hexadecimal");
    refused("pkcs11:id=%0", "hexadecimal");
    refused("pkcs11:token=a?object=b", "before the '?'");
    refused("pkcs11:slot-id=1", "'slot-id' has its place in a [token] section");
    refused("pkcs11:token=a?module-path=/x.so", "[token] section");
    refused("pkcs11:library-version=3", "[token] section");
}

static void a_very_long_address_is_refused_in_one_line(void **state)
{
    char *text = malloc(10001);

    (void)state;
    assert_non_null(text);
    memset(text, 'a', 10000);
    text[10000] = '\0';
    memcpy(text, "hsm:a/key/", 10);
    refused(text, "10000 bytes");
    text[4097] = '\0';
    refused(text, "4097 bytes");
    text[4096] = '\0';
    text[4095] = '/';
    refused(text, "...': '/' in");
    free(text);
}

static void what_is_printed_is_parsed_again(void **state)
{
    static const struct printed {
        struct hx_object object;
        bool by_id;
        const char *text;
    } cases[] = {
        { { .kind = HX_PRIVATE_KEY, .label = "device-key", .id = ID("\x01") }, false, "hsm:my%20t/key/device-key" },
        { { .kind = HX_PRIVATE_KEY, .label = "a", .id = ID("\x01\xab") }, true, "hsm:my%20t/key/a?id=01AB" },
        { { .kind = HX_CERTIFICATE, .id = ID("\x00") }, false, "hsm:my%20t/cert?id=00" },
        { { .kind = HX_DATA, .label = "", .id = ID("\x00") }, false, "hsm:my%20t/data?id=00" },
        { { .kind = HX_PUBLIC_KEY, .label = "~a/b?c#d%\xc3\xa4\n" },
          true,
          "hsm:my%20t/pubkey/~a%2Fb%3Fc%23d%25%C3%A4%0A" },
        { { .kind = HX_SECRET_KEY }, true, "hsm:my%20t/secret" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_BYTES struct hx_bytes text = { 0 };
        AUTO_ADDRESS struct address address = { 0 };

        assert_int_equal(address_print("my t", &cases[i].object, cases[i].by_id, &text), 0);
        assert_string_equal((char *)text.data, cases[i].text);
        assert_int_equal(address_parse((char *)text.data, &address), 0);
        assert_string_equal(address.token, "my t");
        assert_true(address_fits(&address, &cases[i].object));
    }
}

static void every_label_survives(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char label[] = { (char)c, 'x', (char)c, '\0' };
        struct hx_object object = { .kind = HX_DATA, .label = label };
        AUTO_BYTES struct hx_bytes text = { 0 };
        AUTO_ADDRESS struct address address = { 0 };

        assert_int_equal(address_print("t", &object, false, &text), 0);
        assert_int_equal(address_parse((char *)text.data, &address), 0);
        assert_string_equal(address.label, label);
    }
}

static void an_object_of_unknown_kind_has_no_address(void **state)
{
    struct hx_object object = { .kind = 99, .label = "x" };
    struct hx_bytes text = { 0 };

    (void)state;
    assert_int_equal(address_print("t", &object, false, &text), HX_E_INVALID);
    assert_null(text.data);
    assert_null(kind_name(0));
    assert_null(kind_name(99));
    assert_string_equal(kind_name(HX_PRIVATE_KEY), "key");
}

static void only_the_object_meant_fits(void **state)
{
    struct hx_object object = { .kind = HX_PRIVATE_KEY, .label = "a", .id = ID("\x01") };
    struct hx_object nameless = { .kind = HX_PRIVATE_KEY };
    static const struct {
        const char *text;
        bool fits, fits_nameless;
    } cases[] = {
        { "hsm:t/", true, true },
        { "hsm:t/key", true, true },
        { "hsm:t/cert", false, false },
        { "hsm:t/key/a", true, false },
        { "hsm:t/key/A", false, false },
        { "hsm:t/key?id=01", true, false },
        { "hsm:t/key?id=0100", false, false },
        { "hsm:t/key/a?id=02", false, false },
        { "pkcs11:", true, true },
        { "pkcs11:object=a;id=%01", true, false },
        { "pkcs11:type=public", false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_ADDRESS struct address address = { 0 };

        assert_int_equal(address_parse(cases[i].text, &address), 0);
        assert_int_equal(address_fits(&address, &object), cases[i].fits);
        assert_int_equal(address_fits(&address, &nameless), cases[i].fits_nameless);
    }
}

static void only_the_token_meant_fits(void **state)
{
    struct hx_token_info padded = {
        .label = "My Token      ", .serial = "0123", .manufacturer = "ACME  ", .model = "M "
    };
    struct hx_token_info unknown = { 0 };
    static const struct {
        const char *text;
        bool fits, fits_unknown;
    } cases[] = {
        { "pkcs11:", true, true },
        { "hsm:anything/key", true, true },
        { "pkcs11:token=My Token", true, false },
        { "pkcs11:token=My%20Token%20%20", true, false },
        { "pkcs11:token=My%20Toke", false, false },
        { "pkcs11:serial=0123", true, false },
        { "pkcs11:serial=123", false, false },
        { "pkcs11:serial=0123%20", false, false },
        { "pkcs11:manufacturer=ACME;model=M", true, false },
        { "pkcs11:manufacturer=ACME;model=N", false, false },
        { "pkcs11:manufacturer=acme", false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_ADDRESS struct address address = { 0 };

        assert_int_equal(address_parse(cases[i].text, &address), 0);
        assert_int_equal(address_fits_token(&address, &padded), cases[i].fits);
        assert_int_equal(address_fits_token(&address, &unknown), cases[i].fits_unknown);
    }
}

static void any_bytes_are_parsed_or_refused(void **state)
{
    static const char alphabet[] = "hsm:pkcs11=;&?/%0aZ\xc3\xa4 #tokenidpin-valueobject";
    unsigned seed = 7;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        AUTO_ADDRESS struct address address = { 0 };
        char text[48];
        size_t start = round % 3 == 0 ? 0 : round % 3 == 1 ? 4 : 7;

        for (size_t i = 0; i < sizeof text - 1; i++) {
            seed = seed * 1103515245 + 12345;
            text[i] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        memcpy(text, round % 3 == 1 ? "hsm:" : "pkcs11:", start);
        text[(seed >> 8) % sizeof text] = '\0';
        text[sizeof text - 1] = '\0';
        assert_true(address_parse(text, &address) <= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_are_named_or_not),
        cmocka_unit_test(objects_are_found_by_kind_label_and_id),
        cmocka_unit_test(a_pkcs11_uri_is_understood_whole),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(uris_that_make_no_sense_are_refused),
        cmocka_unit_test(a_very_long_address_is_refused_in_one_line),
        cmocka_unit_test(what_is_printed_is_parsed_again),
        cmocka_unit_test(every_label_survives),
        cmocka_unit_test(an_object_of_unknown_kind_has_no_address),
        cmocka_unit_test(only_the_object_meant_fits),
        cmocka_unit_test(only_the_token_meant_fits),
        cmocka_unit_test(any_bytes_are_parsed_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
