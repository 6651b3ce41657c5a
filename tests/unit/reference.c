/* SPDX-License-Identifier: Apache-2.0 */
/* The key reference: what is written is read back, and nothing else is read. */
#include "der.h"
#include "encode.h"
#include "keys.h"

#include <hsmux/hsmux.h>

/* The DER inside a PEM that must be a key reference. */
static struct hx_bytes unwrap(const struct hx_bytes *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    char *label = NULL, *header = NULL;
    unsigned char *der = NULL;
    struct hx_bytes ret = { 0 };
    long len;

    assert_int_equal(PEM_read_bio(bio, &label, &header, &der, &len), 1);
    assert_string_equal(label, "HSMUX KEY REFERENCE");
    assert_string_equal(header, "");
    assert_int_equal(bytes_append(&ret, der, (size_t)len), 0);
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    return ret;
}

static struct hx_bytes reference(const char *address, const struct hx_bytes *spki)
{
    AUTO_BYTES struct hx_bytes pem = { 0 };

    assert_int_equal(encode_reference(address, spki->data, spki->len, &pem), 0);
    return unwrap(&pem);
}

static void a_reference_holds_an_address_and_a_public_key(void **state)
{
    static const char *const types[] = { "RSA:2048", "EC:P-256", "EC:P-384", "EC:P-521", "ED25519" };
    static const char address[] = "hsm:edge/key/device%20key";

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        EVP_PKEY *key = key_make(types[i]);
        AUTO_BYTES struct hx_bytes spki = key_spki(key), der = reference(address, &spki);
        AUTO_BYTES struct hx_bytes found = { 0 }, found_spki = { 0 };

        assert_int_equal(decode_reference(der.data, der.len, &found, &found_spki), 0);
        assert_string_equal(found.data, address);
        assert_int_equal(found.len, sizeof address - 1);
        assert_true(bytes_equal(found_spki.data, found_spki.len, spki.data, spki.len));
        EVP_PKEY_free(key);
    }
}

static void the_fleets_reference_holds_no_public_key(void **state)
{
    static const unsigned char expected[] = { 0x30, 9, 2, 1, 1, 12, 4, 'h', 's', 'm', ':' };
    AUTO_BYTES struct hx_bytes none = { 0 }, der = reference("hsm:", &none), address = { 0 }, spki = { 0 };

    (void)state;
    assert_int_equal(der.len, sizeof expected);
    assert_memory_equal(der.data, expected, sizeof expected);
    assert_int_equal(decode_reference(der.data, der.len, &address, &spki), 0);
    assert_string_equal(address.data, "hsm:");
    assert_null(spki.data);
}

static void what_could_not_be_read_is_not_written(void **state)
{
    static const char *const addresses[] = { "",      "hsm",      "HSM:",     "pkcs11:token=x",
                                             " hsm:", "hsm:a\nb", "hsm:\x7f", "hsm:\xff" };
    EVP_PKEY *foreign = key_make("EC:secp256k1");
    AUTO_BYTES struct hx_bytes spki = key_spki(foreign);
    struct hx_bytes pem = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        assert_int_equal(encode_reference(addresses[i], NULL, 0, &pem), HX_E_INVALID);
    assert_int_equal(encode_reference("hsm:", spki.data, spki.len, &pem), HX_E_UNSUPPORTED);
    assert_int_equal(encode_reference("hsm:", "junk", 4, &pem), HX_E_INVALID);
    assert_null(pem.data);
    EVP_PKEY_free(foreign);
}

/* The original is neither misread nor read from other bytes than its own. */
static void damage(const struct hx_bytes *der, const struct hx_bytes *address, const struct hx_bytes *spki)
{
    for (size_t bit = 0; bit < 8 * der->len; bit++) {
        AUTO_BYTES struct hx_bytes found = { 0 }, found_spki = { 0 };
        int result;

        der->data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        result = decode_reference(der->data, der->len, &found, &found_spki);
        der->data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (result)
            assert_true(!found.data && !found_spki.data);
        else if (bytes_equal(found.data, found.len, address->data, address->len) &&
                 bytes_equal(found_spki.data, found_spki.len, spki->data, spki->len))
            fail_msg("bit %zu may be flipped unnoticed", bit);
        else if (strncmp((char *)found.data, "hsm:", 4) != 0)
            fail_msg("bit %zu makes an address that is none of ours", bit);
    }
}

static void no_bit_of_a_reference_may_be_flipped_unnoticed(void **state)
{
    static const char *const types[] = { "RSA:2048", "EC:P-256", "EC:P-384", "ED25519" };
    AUTO_BYTES struct hx_bytes address = { 0 }, none = { 0 }, bare = { 0 };

    (void)state;
    assert_int_equal(bytes_text(&address, "hsm:soft/key/device"), 0);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        EVP_PKEY *key = key_make(types[i]);
        AUTO_BYTES struct hx_bytes spki = key_spki(key), der = reference((char *)address.data, &spki);

        damage(&der, &address, &spki);
        EVP_PKEY_free(key);
    }
    bare = reference((char *)address.data, &none);
    damage(&bare, &address, &none);
}

static void a_cut_or_lengthened_reference_is_refused(void **state)
{
    EVP_PKEY *key = key_make("EC:P-256");
    AUTO_BYTES struct hx_bytes spki = key_spki(key), der = reference("hsm:soft/key/a", &spki);
    struct hx_bytes found = { 0 }, found_spki = { 0 };

    (void)state;
    for (size_t len = 0; len < der.len; len++) {
        AUTO_FREE void *cut = malloc(len + 1);

        memcpy(cut, der.data, len);
        assert_int_equal(decode_reference(cut, len, &found, &found_spki), HX_E_INVALID);
    }
    assert_int_equal(decode_reference(NULL, 0, &found, &found_spki), HX_E_INVALID);
    assert_int_equal(bytes_append(&der, "", 1), 0);
    assert_int_equal(decode_reference(der.data, der.len, &found, &found_spki), HX_E_INVALID);
    assert_null(found.data);
    assert_null(found_spki.data);
    EVP_PKEY_free(key);
}

static void only_strict_der_of_version_1_is_read(void **state)
{
    static const struct {
        const char *what, *der;
        size_t len;
        int result;
    } wrong[] = {
        { "version 2", "\x30\x09\x02\x01\x02\x0c\x04hsm:", 11, HX_E_UNSUPPORTED },
        { "version -255", "\x30\x0a\x02\x02\xff\x01\x0c\x04hsm:", 12, HX_E_UNSUPPORTED },
        { "padded version", "\x30\x0a\x02\x02\x00\x01\x0c\x04hsm:", 12, HX_E_INVALID },
        { "long length", "\x30\x81\x09\x02\x01\x01\x0c\x04hsm:", 12, HX_E_INVALID },
        { "indefinite length", "\x30\x80\x02\x01\x01\x0c\x04hsm:\x00\x00", 13, HX_E_INVALID },
        { "address in pieces", "\x30\x0d\x02\x01\x01\x2c\x08\x0c\x02hs\x0c\x02m:", 15, HX_E_INVALID },
        { "IA5String", "\x30\x09\x02\x01\x01\x16\x04hsm:", 11, HX_E_INVALID },
        { "no address", "\x30\x03\x02\x01\x01", 5, HX_E_INVALID },
        { "empty address", "\x30\x05\x02\x01\x01\x0c\x00", 7, HX_E_INVALID },
        { "NUL", "\x30\x0b\x02\x01\x01\x0c\x06hsm:\x00x", 13, HX_E_INVALID },
        { "NUL at the end", "\x30\x0a\x02\x01\x01\x0c\x05hsm:\x00", 12, HX_E_INVALID },
        { "not UTF-8", "\x30\x0a\x02\x01\x01\x0c\x05hsm:\xff", 12, HX_E_INVALID },
        { "an empty key", "\x30\x0b\x02\x01\x01\x0c\x04hsm:\x30\x00", 13, HX_E_INVALID },
        { "a fourth member", "\x30\x0b\x02\x01\x01\x0c\x04hsm:\x05\x00", 13, HX_E_INVALID },
        { "another scheme", "\x30\x09\x02\x01\x01\x0c\x04xsm:", 11, HX_E_INVALID },
    };
    struct hx_bytes address = { 0 }, spki = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int result = decode_reference(wrong[i].der, wrong[i].len, &address, &spki);

        if (result != wrong[i].result)
            fail_msg("%s: %d (%s)", wrong[i].what, result, hx_last_error());
    }
    assert_null(address.data);
    assert_null(spki.data);
}

static void a_public_key_in_another_encoding_is_refused(void **state)
{
    EVP_PKEY *key = key_make("EC:P-256");
    AUTO_BYTES struct hx_bytes compressed = { 0 }, pem = { 0 };

    (void)state;
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"), 1);
    compressed = key_spki(key);
    assert_int_equal(encode_reference("hsm:", compressed.data, compressed.len, &pem), HX_E_INVALID);
    assert_non_null(strstr(hx_last_error(), "usual encoding"));
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_holds_an_address_and_a_public_key),
        cmocka_unit_test(the_fleets_reference_holds_no_public_key),
        cmocka_unit_test(what_could_not_be_read_is_not_written),
        cmocka_unit_test(no_bit_of_a_reference_may_be_flipped_unnoticed),
        cmocka_unit_test(a_cut_or_lengthened_reference_is_refused),
        cmocka_unit_test(only_strict_der_of_version_1_is_read),
        cmocka_unit_test(a_public_key_in_another_encoding_is_refused),
    };

    return cmocka_run_group_tests(tests, keys_setup, keys_teardown);
}
