/* SPDX-License-Identifier: Apache-2.0 */
/* What a TPM's keys on curves and its HMAC keys do, each result checked with libcrypto. */
#include "tpm2-kinds.h"

#include <openssl/hmac.h>

#define LONG_HASH KEY(99)

/* The core has cut what is longer than the curve's order; digests of 20 bytes are SHA-1's. */
static void curves_sign_digests_of_any_length(void **state)
{
    struct bench *b = bench_of(state);
    static const size_t lens[] = { 20, 31, 32, 33, 47, 48 };
    const TPM2_HANDLE handles[] = { KEY(P256), KEY(ECDSA), KEY(P384) };
    const struct hx_alg alg = { .scheme = HX_ECDSA };

    for (size_t k = 0; k < 3; k++) {
        struct key key = load_key(b, HX_PRIVATE_KEY, handles[k]);

        for (size_t i = 0; i < 6 && lens[i] <= key.info.bits / 8; i++)
            for (size_t zeroes = 0; zeroes < 20; zeroes += 5) {
                unsigned char digest[48] = { 0 };
                struct plugin_bytes sig;

                RAND_bytes(digest + zeroes, (int)(lens[i] - zeroes));
                must(b, operate(&key, b->plugin->sign, &alg, digest, lens[i], &sig));
                assert_int_equal(sig.len, key.info.bits / 4);
                assert_true(verifies_ecdsa(&key, digest, lens[i], &sig));
                plugin_bytes_free(&sig);
            }
        unload(&key);
    }
}

/* libcrypto verifies with the whole digest, of which the core sends the left part. */
static void a_small_curve_signs_the_left_part_of_a_long_digest(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, KEY(P256));

    for (size_t i = 2; i < 4; i++) {
        const struct hx_alg alg = { .scheme = HX_ECDSA, .hash = hashes[i] };
        unsigned char digest[64];
        size_t len = make_digest(hashes[i], i, digest);
        struct plugin_bytes sig;

        must(b, operate(&key, b->plugin->sign, &alg, digest, 32, &sig));
        assert_true(verifies_ecdsa(&key, digest, len, &sig));
        plugin_bytes_free(&sig);
    }
    unload(&key);
}

/* The TPM takes the left part of the hash that the key is made for, so that is where the digest has to be. */
static void a_key_for_a_hash_longer_than_its_curve_signs(void **state)
{
    struct bench *b = bench_of(state);
    static const size_t lens[] = { 32, 31, 20 };
    const struct hx_alg alg = { .scheme = HX_ECDSA };
    struct key key;

    tpm_fixture_run(&b->tpm,
                    "tpm2_createprimary -Q -C o -G ecc -c primary && tpm2_create -Q -C primary -G ecc256:ecdsa-sha512 "
                    "-u public -r private && tpm2_flushcontext -t && tpm2_load -Q -C primary -u public -r private "
                    "-c key && tpm2_evictcontrol -Q -c key 0x%08x && tpm2_flushcontext -t",
                    LONG_HASH);
    key = load_key(b, HX_PRIVATE_KEY, LONG_HASH);
    assert_int_equal(key.info.hash, HX_SHA512);
    for (size_t i = 0; i < 3; i++) {
        unsigned char digest[32];
        struct plugin_bytes sig;

        RAND_bytes(digest, sizeof digest);
        must(b, operate(&key, b->plugin->sign, &alg, digest, lens[i], &sig));
        assert_true(verifies_ecdsa(&key, digest, lens[i], &sig));
        plugin_bytes_free(&sig);
    }
    unload(&key);
}

/* A key that was brought in, for libcrypto to know it too. */
static void a_mac_of_any_length_is_right(void **state)
{
    struct bench *b = bench_of(state);
    static const size_t lens[] = { 0, 1, 1023, 1024, 1025, 2048, 65536, 1048576 };
    struct key key;
    unsigned char *in = malloc(1048576);

    RAND_bytes(in, 1048576);
    tpm_fixture_run(&b->tpm,
                    "printf teapot >secret && tpm2_createprimary -Q -c p.ctx && tpm2_flushcontext -Q -t && "
                    "tpm2_import -Q -C p.ctx -G hmac -i secret -u k.pub -r k.priv && tpm2_flushcontext -Q -t && "
                    "tpm2_load -Q -C p.ctx -u k.pub -r k.priv -c k.ctx && tpm2_flushcontext -Q -t && "
                    "tpm2_evictcontrol -Q -c k.ctx 0x81010180 && tpm2_flushcontext -Q -t");
    key = load_key(b, HX_SECRET_KEY, 0x81010180);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        const struct hx_alg alg = { .scheme = HX_HMAC, .hash = HX_SHA256 };
        long before = tpm_fixture_commands(&b->tpm, 0);
        unsigned char tag[64];
        unsigned tag_len;
        struct plugin_bytes out;

        must(b, operate(&key, b->plugin->sign, &alg, in, lens[i], &out));
        assert_non_null(HMAC(EVP_sha256(), "teapot", 6, in, lens[i], tag, &tag_len));
        assert_int_equal(out.len, tag_len);
        assert_memory_equal(out.data, tag, tag_len);
        if (lens[i] <= 1024 && i)
            assert_int_equal(tpm_fixture_commands(&b->tpm, 0) - before, 1);
        plugin_bytes_free(&out);
    }
    unload(&key);
    free(in);
}

static void a_mac_key_has_its_own_hash(void **state)
{
    struct bench *b = bench_of(state);

    for (size_t i = 0; i < 3; i++) {
        struct key key = load_key(b, HX_SECRET_KEY, KEY(MAC1 + i));
        const struct hx_alg alg = { .scheme = HX_HMAC, .hash = hashes[i] };
        const struct hx_alg other = { .scheme = HX_HMAC, .hash = HX_SHA512 };
        struct plugin_bytes short_tag, again;

        must(b, operate(&key, b->plugin->sign, &alg, "text", 4, &short_tag));
        must(b, operate(&key, b->plugin->sign, &alg, "text", 4, &again));
        assert_int_equal(short_tag.len, EVP_MD_get_size(md_of(hashes[i])));
        assert_memory_equal(short_tag.data, again.data, again.len);
        expect(b, &key, b->plugin->sign, &other, 4, HX_E_UNSUPPORTED, "another hash");
        plugin_bytes_free(&short_tag);
        plugin_bytes_free(&again);
        unload(&key);
    }
}

static void agree(struct bench *b, struct key *key, const char *group)
{
    const struct hx_alg alg = { .scheme = HX_ECDH };
    EVP_PKEY *peer = EVP_EC_gen(group);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(peer, NULL);
    unsigned char point[200], secret[66];
    size_t point_len, len = sizeof secret;
    struct plugin_bytes out;

    assert_int_equal(EVP_PKEY_get_octet_string_param(peer, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &point_len),
                     1);
    assert_int_equal(EVP_PKEY_derive_init(context), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(context, key->public), 1);
    assert_int_equal(EVP_PKEY_derive(context, secret, &len), 1);
    must(b, operate(key, b->plugin->derive, &alg, point, point_len, &out));
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, secret, len);
    plugin_bytes_free(&out);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
}

/* Of 600 secrets two or three begin with a zero, which the TPM may leave out. */
static void both_sides_agree_on_a_secret(void **state)
{
    struct bench *b = bench_of(state);
    struct key p256 = load_key(b, HX_PRIVATE_KEY, KEY(P256)), p384 = load_key(b, HX_PRIVATE_KEY, KEY(P384)),
               signer = load_key(b, HX_PRIVATE_KEY, KEY(ECDSA));
    const struct hx_alg alg = { .scheme = HX_ECDH };

    for (size_t i = 0; i < 600; i++)
        agree(b, &p256, "P-256");
    for (size_t i = 0; i < 20; i++)
        agree(b, &p384, "P-384");
    expect(b, &signer, b->plugin->derive, &alg, 65, HX_E_UNSUPPORTED, "lacks the attribute 'decrypt'");
    unload(&p256);
    unload(&p384);
    unload(&signer);
}

static void a_point_off_the_curve_is_refused(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, KEY(P256));
    const struct hx_alg alg = { .scheme = HX_ECDH };
    unsigned char point[65] = { 4, 1, 2, 3 };
    struct plugin_bytes out;
    size_t len;

    assert_int_equal(operate(&key, b->plugin->derive, &alg, point, sizeof point, &out), HX_E_INVALID);
    assert_true(plugin_host_said(&b->host, "not one of the key's curve"));
    assert_int_equal(operate(&key, b->plugin->derive, &alg, point, 64, &out), HX_E_INVALID);
    assert_int_equal(EVP_PKEY_get_octet_string_param(key.public, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len),
                     1);
    point[0] = 6; /* a form that is not the plain one */
    assert_int_equal(operate(&key, b->plugin->derive, &alg, point, sizeof point, &out), HX_E_INVALID);
    point[0] = 4;
    memset(point + 1, 0xff, 64);
    assert_int_equal(operate(&key, b->plugin->derive, &alg, point, sizeof point, &out), HX_E_INVALID);
    assert_int_equal(out.len, 0);
    agree(b, &key, "P-256");
    unload(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_sign_digests_of_any_length),
        cmocka_unit_test(a_small_curve_signs_the_left_part_of_a_long_digest),
        cmocka_unit_test(a_key_for_a_hash_longer_than_its_curve_signs),
        cmocka_unit_test(a_mac_of_any_length_is_right),
        cmocka_unit_test(a_mac_key_has_its_own_hash),
        cmocka_unit_test(both_sides_agree_on_a_secret),
        cmocka_unit_test(a_point_off_the_curve_is_refused),
    };

    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, start, stop) : 77;
}
