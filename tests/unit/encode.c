/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys and ECDSA signatures between plain numbers and DER, and the library context that does it. */
#include "encode.h"

#include "der.h"
#include "keys.h"

#include <hsmux/hsmux.h>
#include <pthread.h>
#include <sys/wait.h>

static const struct {
    const char *name;
    uint32_t type, bits, width;
} types[] = {
    { "RSA:2048", HX_RSA, 2048, 256 }, { "RSA:1031", HX_RSA, 1031, 129 }, { "EC:P-256", HX_P256, 256, 32 },
    { "EC:P-384", HX_P384, 384, 48 },  { "EC:P-521", HX_P521, 521, 66 },  { "ED25519", HX_ED25519, 256, 32 },
};

static void a_public_key_is_wrapped_as_openssl_wraps_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        EVP_PKEY *key = key_make(types[i].name);
        AUTO_BYTES struct hx_bytes spki = key_spki(key), public = key_public(key), made = { 0 }, back = { 0 };
        struct hx_object info = { .type = types[i].type, .rsa_e = types[i].type == HX_RSA ? 65537 : 0 };
        struct hx_object found = { .kind = HX_PUBLIC_KEY };

        assert_int_equal(encode_spki(&info, public.data, public.len, &made), 0);
        assert_int_equal(made.len, spki.len);
        assert_memory_equal(made.data, spki.data, spki.len);
        assert_int_equal(decode_spki(spki.data, spki.len, &found), 0);
        assert_int_equal(found.type, types[i].type);
        assert_int_equal(found.bits, types[i].bits);
        assert_int_equal(found.rsa_e, info.rsa_e);
        assert_int_equal(found.kind, HX_PUBLIC_KEY);
        assert_int_equal(key_width(found.type, found.bits), types[i].width);
        assert_int_equal(spki_parse(spki.data, spki.len, &found, &back), 0);
        assert_true(bytes_equal(back.data, back.len, public.data, public.len));
        EVP_PKEY_free(key);
    }
    assert_int_equal(key_width(HX_GENERIC, 256), 0);
    assert_int_equal(hash_size(HX_SHA384), 48);
    assert_int_equal(hash_size(0), 0);
    assert_int_equal(hash_size(99), 0);
}

static void a_modulus_may_have_leading_zeros_and_a_large_exponent(void **state)
{
    unsigned char modulus[130] = { 0, 0, [2] = 0xc3, [129] = 0x01 };
    struct hx_object info = { .type = HX_RSA, .bits = 1024, .rsa_e = 0xffffffffffffffff }, found = { 0 };
    AUTO_BYTES struct hx_bytes padded = { 0 }, bare = { 0 };

    (void)state;
    assert_int_equal(encode_spki(&info, modulus, sizeof modulus, &padded), 0);
    assert_int_equal(encode_spki(&info, modulus + 2, sizeof modulus - 2, &bare), 0);
    assert_true(bytes_equal(padded.data, padded.len, bare.data, bare.len));
    assert_int_equal(decode_spki(bare.data, bare.len, &found), 0);
    assert_true(found.rsa_e == info.rsa_e);
}

static void refused(const struct hx_object *info, const void *public, size_t len, const char *reason)
{
    struct hx_bytes ret = { 0 };

    assert_int_equal(encode_spki(info, public, len, &ret), HX_E_DEVICE);
    assert_non_null(strstr(hx_last_error(), reason));
    assert_null(ret.data);
}

static void a_public_key_that_is_none_is_the_tokens_fault(void **state)
{
    unsigned char modulus[128] = { 0xc3, [127] = 0x01 };
    struct hx_object rsa = { .type = HX_RSA, .rsa_e = 65537 }, ed = { .type = HX_ED25519 };
    struct hx_object ec = { .type = HX_P256 }, other = { .type = HX_GENERIC };
    EVP_PKEY *key = key_make("EC:P-256");
    AUTO_BYTES struct hx_bytes point = key_public(key), none = { 0 };

    (void)state;
    refused(&ec, NULL, 0, "empty");
    refused(&ec, point.data, point.len - 1, "65 bytes");
    refused(&ec, point.data + 1, point.len - 1, "65 bytes");
    point.data[0] = 6;
    refused(&ec, point.data, point.len, "04 || X || Y");
    point.data[0] = 4;
    for (size_t bit = 8; bit < 8 * point.len; bit++) {
        point.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (encode_spki(&ec, point.data, point.len, &none) != HX_E_DEVICE)
            fail_msg("bit %zu of a point may be flipped", bit);
        point.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    ec.type = HX_P384;
    refused(&ec, point.data, point.len, "97 bytes");
    refused(&ed, point.data, 33, "32 bytes and not 33");
    modulus[127] = 2;
    refused(&rsa, modulus, sizeof modulus, "not an odd number");
    modulus[127] = 1;
    refused(&rsa, modulus, 40, "not an odd number");
    rsa.bits = 2048;
    refused(&rsa, modulus, sizeof modulus, "1024 bits and not 2048");
    rsa.bits = 0;
    rsa.rsa_e = 0;
    refused(&rsa, modulus, sizeof modulus, "exponent");
    rsa.rsa_e = 1;
    refused(&rsa, modulus, sizeof modulus, "exponent");
    assert_int_equal(encode_spki(&other, modulus, 32, &none), HX_E_UNSUPPORTED);
    assert_null(none.data);
    EVP_PKEY_free(key);
}

static void keys_that_no_token_has_are_named_in_the_refusal(void **state)
{
    static const char *const foreign[][2] = {
        { "EC:secp256k1", "secp256k1" },
        { "X25519", "X25519" },
        { "ED448", "ED448" },
        { "RSA-PSS:1024", "rsassaPss" },
    };
    struct hx_object found = { .type = 77 };
    EVP_PKEY *explicit = key_make("EC:P-256");
    struct hx_bytes spki;

    (void)state;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        EVP_PKEY *key = key_make(foreign[i][0]);

        spki = key_spki(key);
        assert_int_equal(decode_spki(spki.data, spki.len, &found), HX_E_UNSUPPORTED);
        assert_non_null(strstr(hx_last_error(), foreign[i][1]));
        hx_bytes_free(&spki);
        EVP_PKEY_free(key);
    }
    assert_int_equal(EVP_PKEY_set_utf8_string_param(explicit, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"), 1);
    spki = key_spki(explicit);
    assert_true(spki.len > 150);
    assert_int_equal(decode_spki(spki.data, spki.len, &found), HX_E_UNSUPPORTED);
    assert_non_null(strstr(hx_last_error(), "not named"));
    assert_int_equal(found.type, 77);
    hx_bytes_free(&spki);
    EVP_PKEY_free(explicit);
}

static void a_compressed_point_is_the_same_key(void **state)
{
    EVP_PKEY *key = key_make("EC:P-256");
    AUTO_BYTES struct hx_bytes plain = key_spki(key), compressed = { 0 }, normal = { 0 };

    (void)state;
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"), 1);
    compressed = key_spki(key);
    assert_true(compressed.len < plain.len);
    assert_int_equal(spki_normal(compressed.data, compressed.len, &normal), 0);
    assert_true(bytes_equal(normal.data, normal.len, plain.data, plain.len));
    EVP_PKEY_free(key);
}

static void a_damaged_public_key_is_refused_or_another(void **state)
{
    (void)state;
    for (size_t i = 1; i < sizeof types / sizeof *types; i++) {
        EVP_PKEY *key = key_make(types[i].name);
        AUTO_BYTES struct hx_bytes spki = key_spki(key), longer = key_spki(key);
        struct hx_object found = { 0 };

        for (size_t len = 0; len < spki.len; len++) {
            AUTO_FREE void *cut = malloc(len + 1); /* a block of its own, for the address sanitizer */

            memcpy(cut, spki.data, len);
            assert_int_equal(decode_spki(cut, len, &found), HX_E_INVALID);
        }
        for (size_t bit = 0; bit < 8 * spki.len; bit++) {
            spki.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
            decode_spki(spki.data, spki.len, &found);
            spki.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        assert_int_equal(bytes_append(&longer, "", 1), 0);
        assert_int_equal(decode_spki(longer.data, longer.len, &found), HX_E_INVALID);
        EVP_PKEY_free(key);
    }
}

static void an_ecdsa_signature_is_two_positive_integers(void **state)
{
    static const unsigned char small[] = { 0x30, 0x07, 0x02, 0x01, 0x01, 0x02, 0x02, 0x00, 0x80 };
    unsigned char rs[132] = { 0 };
    AUTO_BYTES struct hx_bytes ret = { 0 }, high = { 0 }, none = { 0 };

    (void)state;
    rs[31] = 1;
    rs[63] = 0x80;
    assert_int_equal(encode_ecdsa(rs, 64, &ret), 0);
    assert_int_equal(ret.len, sizeof small);
    assert_memory_equal(ret.data, small, sizeof small);
    memset(rs, 0xff, sizeof rs);
    assert_int_equal(encode_ecdsa(rs, sizeof rs, &high), 0);
    assert_int_equal(high.len, 3 + 2 * (2 + 67));
    assert_memory_equal(high.data, "\x30\x81\x8a\x02\x43\x00\xff", 7);
    assert_int_equal(encode_ecdsa(rs, 63, &none), HX_E_DEVICE);
    assert_int_equal(encode_ecdsa(rs, 0, &none), HX_E_DEVICE);
    assert_int_equal(encode_ecdsa(rs, 134, &none), HX_E_DEVICE);
    memset(rs, 0, 32);
    assert_int_equal(encode_ecdsa(rs, 64, &none), HX_E_DEVICE);
    assert_null(none.data);
}

static void the_programs_error_queue_is_left_alone(void **state)
{
    struct hx_object found = { 0 };
    struct hx_bytes ret = { 0 };

    (void)state;
    ERR_clear_error();
    assert_int_equal(decode_spki("\x30\x05garbage", 9, &found), HX_E_INVALID);
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_USER, 42);
    assert_int_equal(decode_spki("\x30\x05garbage", 9, &found), HX_E_INVALID);
    assert_int_equal(decode_reference("junk", 4, &ret, &ret), HX_E_INVALID);
    assert_int_equal(cert_to_pem("junk", 4, &ret), HX_E_INVALID);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), 42);
    assert_int_equal(ERR_peek_error(), ERR_peek_last_error());
    ERR_clear_error();
}

static void *get_context(void *ret)
{
    *(void **)ret = encode_libctx();
    return NULL;
}

/* All threads of a process see one context. */
static bool threads_agree(void)
{
    pthread_t threads[8];
    void *seen[8];
    bool agree = true;

    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, get_context, &seen[i]);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 8; i++)
        agree = agree && seen[i] && seen[i] == encode_libctx();
    return agree;
}

static bool child_has_its_own(const void *inherited, int generations)
{
    int status = -1;
    pid_t child = fork();

    if (!child) {
        bool good = threads_agree() && encode_libctx() != inherited && encode_libctx() == encode_libctx();

        if (good && generations > 1)
            good = child_has_its_own(encode_libctx(), generations - 1);
        _exit(good ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void a_forked_child_makes_its_own_context(void **state)
{
    void *before = encode_libctx();

    (void)state;
    assert_non_null(before);
    assert_true(threads_agree());
    assert_true(child_has_its_own(before, 3));
    assert_ptr_equal(encode_libctx(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_key_is_wrapped_as_openssl_wraps_it),
        cmocka_unit_test(a_modulus_may_have_leading_zeros_and_a_large_exponent),
        cmocka_unit_test(a_public_key_that_is_none_is_the_tokens_fault),
        cmocka_unit_test(keys_that_no_token_has_are_named_in_the_refusal),
        cmocka_unit_test(a_compressed_point_is_the_same_key),
        cmocka_unit_test(a_damaged_public_key_is_refused_or_another),
        cmocka_unit_test(an_ecdsa_signature_is_two_positive_integers),
        cmocka_unit_test(the_programs_error_queue_is_left_alone),
        cmocka_unit_test(a_forked_child_makes_its_own_context),
    };

    return cmocka_run_group_tests(tests, keys_setup, keys_teardown);
}
