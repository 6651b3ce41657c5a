/* SPDX-License-Identifier: Apache-2.0 */
/* PSS on tokens that choose the salt by themselves, or that know no PSS: the core pads for them, and a signature has
 * the salt that was asked for, or there is none. */
#include "pss.h"

static void check_case(const struct token_case *token, uint32_t hash, size_t salt)
{
    struct hx_key *key = fresh_key(2048);
    struct hx_alg alg = pss(hash, salt);
    size_t made = made_by(token, salt, hash);
    bool pads = token->refused & NO_PSS || made != salt;

    fake->salt = token->salt;
    fake->refused_schemes = token->refused;
    expect_work(0, HX_RSA_PSS, 0, 0);
    if (pads && token->refused & NO_RAW) {
        expect_result(sign(key, &alg), HX_E_UNSUPPORTED);
        hx_key_close(key);
        return;
    }
    expect_result(sign(key, &alg), HX_OK);
    expect_work(pads ? 2 : 1, HX_RSA_PSS, token->refused & NO_PSS ? 0 : 1, pads);
    for (int i = 0; i < 5; i++) {
        expect_result(sign(key, &alg), HX_OK);
        expect_work(1, HX_RSA_PSS, !pads, pads);
    }
    hx_key_close(key);
}

static void a_signature_has_the_salt_that_was_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        for (uint32_t hash = HX_SHA256; hash <= HX_SHA384; hash++) {
            check_case(&tokens[i], hash, hash_size(hash));
            check_case(&tokens[i], hash, largest(2048, hash));
            check_case(&tokens[i], hash, 0);
            check_case(&tokens[i], hash, 20);
        }
}

static void a_token_that_cannot_is_refused_with_what_to_do(void **state)
{
    const char *instead =
        "nor can it do raw RSA, for hsmux to pad in its place: TLS 1.3 wants a P-256 key then, TLS 1.2 "
        "`SignatureAlgorithms = RSA+SHA256`";
    struct hx_alg alg = pss(HX_SHA256, 32);
    struct hx_key *key = fresh_key(2048);
    char wanted[512];

    (void)state;
    fake->salt = FAKE_SALT_MAX;
    fake->refused_schemes = NO_RAW;
    for (int i = 0; i < 2; i++) {
        expect_result(sign(key, &alg), HX_E_UNSUPPORTED);
        snprintf(wanted, sizeof wanted,
                 "token 'edge': 'hsm:edge/key/device': the token signed with a PSS salt of 222 bytes, where 32 were "
                 "asked for; %s",
                 instead);
        assert_string_equal(hx_last_error(), wanted);
    }
    fake->salt = FAKE_SALT_DIGEST;
    alg.salt_len = 20;
    expect_result(sign(key, &alg), HX_E_UNSUPPORTED);
    expect_said("a PSS salt of 32 bytes, where 20 were asked for; nor can it");
    fake->refused_schemes = NO_RAW | NO_PSS;
    expect_result(sign(key, &alg), HX_E_UNSUPPORTED);
    snprintf(wanted, sizeof wanted, "token 'edge': sign: not supported; %s", instead);
    assert_string_equal(hx_last_error(), wanted);
    hx_key_close(key);
}

/* A failure is no inability: it comes back as it is. */
static void what_fails_is_not_padded_for(void **state)
{
    struct hx_alg alg = pss(HX_SHA256, 32);
    struct hx_key *key = fresh_key(2048);

    (void)state;
    script(fake, FAKE_SIGN, HX_E_DEVICE, 1);
    expect_result(sign(key, &alg), HX_E_DEVICE);
    expect_work(1, HX_RSA_PSS, 0, 0);
    fake->wrong_signatures = 1;
    expect_result(sign(key, &alg), HX_E_DEVICE);
    expect_said("does not fit its public key");
    expect_work(1, HX_RSA_PSS, 1, 0);
    fake->salt = FAKE_SALT_MAX;
    fake->wrong_signatures = 1;
    expect_result(sign(key, &alg), HX_E_DEVICE);
    expect_said("does not fit its public key");
    expect_work(1, HX_RSA_PSS, 1, 0);
    fake->script[FAKE_SIGN] = (struct fake_script){ .result = HX_E_DEVICE, .skip = 1, .times = 1 };
    expect_result(sign(key, &alg), HX_E_DEVICE);
    assert_string_equal(hx_last_error(), "token 'edge': sign: device failure");
    hx_key_close(key);
}

static void the_first_that_the_core_padded_is_verified_too(void **state)
{
    struct hx_alg alg = pss(HX_SHA256, 32);
    struct hx_key *key = fresh_key(2048);
    struct hx_bytes sig = { 0 };
    EVP_PKEY *public = public_of(key);

    (void)state;
    fake->refused_schemes = NO_PSS;
    for (int i = 0; i < 2; i++) {
        fake->wrong_signatures = 1;
        expect_result(sign(key, &alg), HX_E_DEVICE);
        expect_said("'hsm:edge/key/device': the token's signature does not fit its public key");
    }
    expect_result(sign(key, &alg), HX_OK);
    fake->wrong_signatures = 1;
    expect_result(hx_sign(key, &alg, digest, 32, &sig), HX_OK);
    assert_false(is_good(public, &alg, &sig));
    EVP_PKEY_free(public);
    hx_bytes_free(&sig);
    hx_key_close(key);
}

static void each_kind_keeps_its_own_way(void **state)
{
    struct hx_key *key = fresh_key(2048);
    struct hx_alg right = pss(HX_SHA256, 32), wrong = pss(HX_SHA256, 20), other = pss(HX_SHA384, 48);
    struct hx_alg masked = pss(HX_SHA256, 0);

    (void)state;
    masked.mgf_hash = HX_SHA512;
    fake->salt = FAKE_SALT_DIGEST;
    expect_result(sign(key, &wrong), HX_OK);
    expect_result(sign(key, &masked), HX_OK);
    expect_work(4, HX_RSA_PSS, 2, 2);
    for (int i = 0; i < 3; i++) {
        expect_result(sign(key, &right), HX_OK);
        expect_result(sign(key, &other), HX_OK);
        expect_work(2, HX_RSA_PSS, 2, 0);
        expect_result(sign(key, &wrong), HX_OK);
        expect_result(sign(key, &masked), HX_OK);
        expect_work(2, HX_RSA_PSS, 0, 2);
    }
    hx_key_close(key);
}

/* There is room for the kinds that one key is ever used for; beyond it signatures only cost more. */
static void more_kinds_than_are_remembered_are_right_as_well(void **state)
{
    struct hx_key *key = fresh_key(2048);

    (void)state;
    fake->salt = FAKE_SALT_MAX;
    for (int round = 0; round < 2; round++)
        for (size_t salt = 0; salt < 20; salt++) {
            struct hx_alg alg = pss(HX_SHA256, salt);

            expect_result(sign(key, &alg), HX_OK);
        }
    hx_key_close(key);
}

/* RFC 8017 §9.1.1: what is padded has a bit less than the modulus, so a byte less where that has 8k + 1 bits. */
static void a_modulus_may_have_any_length(void **state)
{
    static const uint32_t lengths[] = { 1024, 1025, 1026, 1031, 2047, 3072 };

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct hx_key *key = fresh_key(lengths[i]);
        size_t salts[] = { 32, 0, largest(lengths[i], HX_SHA256), largest(lengths[i], HX_SHA256) + 1, 0xffffffff };

        for (int pads = 0; pads < 2; pads++) {
            fake->refused_schemes = pads ? NO_PSS : 0;
            fake->cut_zeroes = true; /* of 1025 bits every second number has them */
            fake->lose(0);
            for (int j = 0; j < 16; j++) {
                struct hx_alg alg = pss(HX_SHA256, salts[j % 3]);

                expect_result(sign(key, &alg), HX_OK);
            }
            expect_work(pads ? 16 + 3 + 1 : 16 + 1, HX_RSA_PSS, pads ? 0 : 16, pads ? 16 : 0);
        }
        for (int j = 3; j < 5; j++) {
            struct hx_alg alg = pss(HX_SHA256, salts[j]);

            expect_result(sign(key, &alg), HX_E_INVALID);
            expect_said("is too long for a key of ");
        }
        hx_key_close(key);
    }
}

static void a_result_wider_than_the_modulus_is_none(void **state)
{
    struct hx_alg alg = pss(HX_SHA256, 32), pkcs1 = { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256 };
    struct hx_key *key = fresh_key(2048);

    (void)state;
    fake->long_results = true;
    expect_result(sign(key, &alg), HX_E_DEVICE);
    expect_result(hx_sign(key, &pkcs1, digest, 32, NULL), HX_E_DEVICE);
    fake->refused_schemes = NO_PSS;
    expect_result(sign(key, &alg), HX_E_DEVICE);
    assert_string_equal(hx_last_error(),
                        "token 'edge': sign: the token's result has 257 bytes, where the modulus has 256");
    hx_key_close(key);
}

/* Its salt cannot be looked at, so the token's word is taken for it; what the token refuses, the core pads. */
static void a_key_without_a_public_key_signs_all_the_same(void **state)
{
    struct hx_alg alg = pss(HX_SHA256, 32);
    struct hx_key *key, *twin = fresh_key(2048);
    EVP_PKEY *public = public_of(twin);

    (void)state;
    put_rsa("mute", 2048)->public_unreadable = true;
    key = open_key("hsm:edge/key/mute");
    expect_work(0, HX_RSA_PSS, 0, 0);
    expect_result(sign_for(key, &alg, public), HX_OK);
    expect_work(1, HX_RSA_PSS, 1, 0);
    fake->refused_schemes = NO_PSS;
    expect_result(sign_for(key, &alg, public), HX_OK);
    expect_work(2, HX_RSA_PSS, 0, 1);
    fake->refused_schemes = NO_PSS | NO_RAW;
    expect_result(sign_for(key, &alg, public), HX_E_UNSUPPORTED);
    expect_said("nor can it do raw RSA");
    EVP_PKEY_free(public);
    hx_key_close(twin);
    hx_key_close(key);
}

/* Such a key of a TPM proves itself by PSS alone, with the salt that the TPM likes; its raw use is no way out. */
static void a_key_made_for_pss_alone_is_known_by_its_certificate(void **state)
{
    struct fake_object cert = { .kind = HX_CERTIFICATE, .type = HX_RSA, .bits = 2048, .key = 1, .label = "device" };
    struct hx_alg alg = pss(HX_SHA384, 48), longest = pss(HX_SHA384, largest(2048, HX_SHA384));
    struct fake_object *object;
    struct hx_key *key;

    (void)state;
    hx_key_close(fresh_key(2048));
    object = &fake->token[0].object[0];
    object->public_unreadable = true;
    object->scheme = HX_RSA_PSS;
    object->hash = HX_SHA384;
    fake->salt = FAKE_SALT_MAX;
    put(0, &cert);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    expect_result(sign(key, &longest), HX_OK);
    expect_result(sign(key, &alg), HX_E_UNSUPPORTED);
    expect_said("a PSS salt of 206 bytes, where 48 were asked for; nor can it do raw RSA");
    assert_int_equal(fake->done[HX_RSA_RAW], 0);
    hx_key_close(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RSA_TEST(a_signature_has_the_salt_that_was_asked_for),
        RSA_TEST(a_token_that_cannot_is_refused_with_what_to_do),
        RSA_TEST(what_fails_is_not_padded_for),
        RSA_TEST(the_first_that_the_core_padded_is_verified_too),
        RSA_TEST(each_kind_keeps_its_own_way),
        RSA_TEST(more_kinds_than_are_remembered_are_right_as_well),
        RSA_TEST(a_modulus_may_have_any_length),
        RSA_TEST(a_result_wider_than_the_modulus_is_none),
        RSA_TEST(a_key_without_a_public_key_signs_all_the_same),
        RSA_TEST(a_key_made_for_pss_alone_is_known_by_its_certificate),
    };

    return cmocka_run_group_tests(tests, rsa_build, rsa_strike);
}
