/* SPDX-License-Identifier: Apache-2.0 */
/* What a TPM's keys do, each result checked with libcrypto; and what they say that they cannot do. */
#include "tpm2-bench.h"

#include <openssl/hmac.h>

enum { RSA2, RSA3, P256, P384, SIGNER, DECRYPTER, PKCS1, PSS, ECDSA, ECDSA384, OAEP, RESTRICTED, MAC1, MAC256, MAC384 };

static const struct tpm_fixture_key keys[] = {
    { KEY(RSA2), TPM2_ALG_RSA, 2048, 0, 0, NULL },
    { KEY(P256), TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0, 0, NULL },
    { KEY(P384), TPM2_ALG_ECC, TPM2_ECC_NIST_P384, 0, 0, NULL },
    { KEY(SIGNER), TPM2_ALG_RSA, 2048, SIGN | NODA, 0, NULL },
    { KEY(DECRYPTER), TPM2_ALG_RSA, 2048, DECRYPT | NODA, 0, NULL },
    { KEY(PKCS1), TPM2_ALG_RSA, 2048, SIGN | NODA, TPM2_ALG_RSASSA, NULL },
    { KEY(PSS), TPM2_ALG_RSA, 2048, SIGN | NODA, TPM2_ALG_RSAPSS, NULL },
    { KEY(ECDSA), TPM2_ALG_ECC, TPM2_ECC_NIST_P256, SIGN | NODA, TPM2_ALG_ECDSA, NULL },
    { KEY(ECDSA384), TPM2_ALG_ECC, TPM2_ECC_NIST_P384, SIGN | NODA, TPM2_ALG_ECDSA, NULL },
    { KEY(OAEP), TPM2_ALG_RSA, 2048, DECRYPT | NODA, TPM2_ALG_OAEP, NULL },
    { KEY(RESTRICTED), TPM2_ALG_ECC, TPM2_ECC_NIST_P256, SIGN | NODA | TPMA_OBJECT_RESTRICTED, 0, NULL },
    { KEY(MAC1), TPM2_ALG_KEYEDHASH, TPM2_ALG_SHA1, 0, 0, NULL },
    { KEY(MAC256), TPM2_ALG_KEYEDHASH, TPM2_ALG_SHA256, 0, 0, NULL },
    { KEY(MAC384), TPM2_ALG_KEYEDHASH, TPM2_ALG_SHA384, 0, 0, NULL },
};
static const struct tpm_fixture_key rsa3 = { KEY(RSA3), TPM2_ALG_RSA, 3072, 0, 0, NULL };

static bool has_rsa3; /* libtpms has, from 0.10 or so on */

static int start(void **state)
{
    int result = bench_start(state);
    struct bench *b = *state;

    if (result || !b->tpm.pid)
        return result;
    tpm_fixture_make(&b->tpm, keys, sizeof keys / sizeof *keys);
    has_rsa3 = !system("tpm2_testparms rsa3072 2>/dev/null");
    if (has_rsa3)
        tpm_fixture_make(&b->tpm, &rsa3, 1);
    bench_open(b);
    return 0;
}

static int stop(void **state)
{
    struct bench *b = *state;

    if (b->tpm.pid) {
        bench_close(b);
        assert_int_equal(tpm_fixture_left(&b->tpm), 0);
    }
    return bench_stop(state);
}

static const uint32_t hashes[] = { HX_SHA1, HX_SHA256, HX_SHA384, HX_SHA512 };

/* Some digest of that hash; a few of them begin with zeroes. */
static size_t make_digest(uint32_t hash, size_t zeroes, unsigned char ret[64])
{
    size_t len = (size_t)EVP_MD_get_size(md_of(hash));

    RAND_bytes(ret, (int)len);
    memset(ret, 0, zeroes);
    return len;
}

static void check_rsa(struct bench *b, struct key *key, uint32_t scheme, uint32_t hash)
{
    for (size_t zeroes = 0; zeroes < 3; zeroes++) {
        unsigned char digest[64];
        size_t len = make_digest(hash, zeroes, digest);
        const struct hx_alg alg = { .scheme = scheme,
                                    .hash = hash,
                                    .salt_len = scheme == HX_RSA_PSS ? (uint32_t)len : 0 };
        struct plugin_bytes sig;

        must(b, operate(key, b->plugin->sign, &alg, digest, len, &sig));
        assert_int_equal(sig.len, key->info.bits / 8);
        assert_true(verifies(key, scheme == HX_RSA_PSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING, hash, digest, len,
                             sig.data, sig.len));
        plugin_bytes_free(&sig);
    }
}

static void rsa_keys_sign_digests_of_each_hash(void **state)
{
    struct bench *b = bench_of(state);
    const TPM2_HANDLE handles[] = { KEY(RSA2), KEY(SIGNER), KEY(RSA3) };

    for (size_t k = 0; k < (has_rsa3 ? 3 : 2); k++) {
        struct key key = load_key(b, HX_PRIVATE_KEY, handles[k]);

        for (size_t i = 0; i < 4; i++) {
            check_rsa(b, &key, HX_RSA_PKCS1, hashes[i]);
            check_rsa(b, &key, HX_RSA_PSS, hashes[i]);
        }
        unload(&key);
    }
}

static void expect(struct bench *b, const struct key *key, hx_op *op, const struct hx_alg *alg, size_t len, int result,
                   const char *why)
{
    unsigned char in[512] = { 0, 1 };
    struct plugin_bytes out;

    plugin_host_clear(&b->host);
    assert_int_equal(operate(key, op, alg, in, len, &out), result);
    if (!plugin_host_said(&b->host, why))
        fail_msg("'%s', not '%s'", b->host.reason, why);
    assert_int_equal(out.len, 0);
    plugin_bytes_free(&out);
}

static void another_salt_or_mask_is_left_to_the_core(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, KEY(RSA2));
    const struct hx_alg salt = { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 20 };
    const struct hx_alg mask = { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 32, .mgf_hash = HX_SHA1 };
    const struct hx_alg same = { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 32, .mgf_hash = HX_SHA256 };
    unsigned char digest[64];
    struct plugin_bytes sig;

    expect(b, &key, b->plugin->sign, &salt, 32, HX_E_UNSUPPORTED, "a salt as long as the digest");
    expect(b, &key, b->plugin->sign, &mask, 32, HX_E_UNSUPPORTED, "one hash");
    make_digest(HX_SHA256, 0, digest);
    must(b, operate(&key, b->plugin->sign, &same, digest, 32, &sig));
    assert_true(verifies(&key, RSA_PKCS1_PSS_PADDING, HX_SHA256, digest, 32, sig.data, sig.len));
    plugin_bytes_free(&sig);
    unload(&key);
}

static void recover(const struct key *key, int padding, const struct plugin_bytes *sig, unsigned char *ret,
                    size_t *ret_len)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->public, NULL);

    assert_int_equal(EVP_PKEY_verify_recover_init(context), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, padding) > 0);
    *ret_len = 512;
    assert_int_equal(EVP_PKEY_verify_recover(context, ret, ret_len, sig->data, sig->len), 1);
    EVP_PKEY_CTX_free(context);
}

/* The 36 bytes are what TLS 1.1 signs. */
static void input_without_a_hash_is_padded_here(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, KEY(RSA2)), signer = load_key(b, HX_PRIVATE_KEY, KEY(SIGNER));
    const struct hx_alg alg = { .scheme = HX_RSA_PKCS1 };
    unsigned char in[300], out[512];
    struct plugin_bytes sig;
    size_t lens[] = { 0, 1, 36, 245 }, len;

    RAND_bytes(in, sizeof in);
    for (size_t i = 0; i < 4; i++) {
        must(b, operate(&key, b->plugin->sign, &alg, in, lens[i], &sig));
        recover(&key, RSA_PKCS1_PADDING, &sig, out, &len);
        assert_int_equal(len, lens[i]);
        assert_memory_equal(out, in, len);
        plugin_bytes_free(&sig);
    }
    expect(b, &key, b->plugin->sign, &alg, 246, HX_E_INVALID, "too many");
    expect(b, &signer, b->plugin->sign, &alg, 36, HX_E_UNSUPPORTED, "lacks the attribute 'decrypt'");
    unload(&key);
    unload(&signer);
}

/* A key that only signs does what it is asked to, since the TPM makes the same DigestInfo. */
static void a_digest_info_is_signed_by_keys_without_the_raw_operation(void **state)
{
    static const unsigned char head[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                          0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, KEY(SIGNER));
    const struct hx_alg alg = { .scheme = HX_RSA_PKCS1 };
    unsigned char in[sizeof head + 64];
    struct plugin_bytes sig;

    memcpy(in, head, sizeof head);
    make_digest(HX_SHA256, 0, in + sizeof head);
    must(b, operate(&key, b->plugin->sign, &alg, in, sizeof head + 32, &sig));
    assert_true(verifies(&key, RSA_PKCS1_PADDING, HX_SHA256, in + sizeof head, 32, sig.data, sig.len));
    plugin_bytes_free(&sig);
    unload(&key);
}

static void the_raw_operation_is_the_inverse_of_the_public_one(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, KEY(RSA2)), signer = load_key(b, HX_PRIVATE_KEY, KEY(SIGNER)),
               fixed = load_key(b, HX_PRIVATE_KEY, KEY(OAEP));
    const struct hx_alg alg = { .scheme = HX_RSA_RAW };
    unsigned char in[256] = { 0 }, out[512];
    struct plugin_bytes sig;
    size_t len;

    for (size_t zeroes = 1; zeroes < 256; zeroes += 51) {
        memset(in, 0, sizeof in);
        RAND_bytes(in + zeroes, (int)(sizeof in - zeroes));
        must(b, operate(&key, b->plugin->sign, &alg, in, sizeof in, &sig));
        recover(&key, RSA_NO_PADDING, &sig, out, &len);
        assert_int_equal(len, sizeof in);
        assert_memory_equal(out, in, len);
        plugin_bytes_free(&sig);
    }
    expect(b, &key, b->plugin->sign, &alg, 255, HX_E_INVALID, "255 bytes, where the key takes 256");
    expect(b, &signer, b->plugin->decrypt, &alg, 256, HX_E_UNSUPPORTED, "lacks the attribute 'decrypt'");
    expect(b, &fixed, b->plugin->decrypt, &alg, 256, HX_E_UNSUPPORTED, "another scheme alone");
    memset(in, 0xff, sizeof in);
    assert_int_equal(operate(&key, b->plugin->decrypt, &alg, in, sizeof in, &sig), HX_E_INVALID);
    unload(&key);
    unload(&signer);
    unload(&fixed);
}

static size_t encrypt(const struct key *key, uint32_t hash, uint32_t mgf, unsigned char ret[512])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->public, NULL);
    size_t len = 512;

    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(context, md_of(hash)) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_mgf1_md(context, md_of(mgf)) > 0);
    assert_int_equal(EVP_PKEY_encrypt(context, ret, &len, (const unsigned char *)"secret", 6), 1);
    EVP_PKEY_CTX_free(context);
    return len;
}

static void oaep_is_undone_in_the_tpm_where_it_can_be(void **state)
{
    struct bench *b = bench_of(state);
    const TPM2_HANDLE handles[] = { KEY(RSA2), KEY(DECRYPTER), KEY(OAEP) };
    unsigned char cipher[512];

    for (size_t k = 0; k < 3; k++) {
        struct key key = load_key(b, HX_PRIVATE_KEY, handles[k]);

        for (size_t i = 0; i < 4; i++) {
            const struct hx_alg alg = { .scheme = HX_RSA_OAEP, .hash = hashes[i] };
            const struct hx_alg mask = { .scheme = HX_RSA_OAEP, .hash = hashes[i], .mgf_hash = hashes[(i + 1) % 4] };
            const struct hx_alg label = { .scheme = HX_RSA_OAEP, .hash = hashes[i], .param = { "label", 5 } };
            size_t len = encrypt(&key, hashes[i], hashes[i], cipher);
            struct plugin_bytes plain;

            if (handles[k] == KEY(OAEP) && hashes[i] != HX_SHA256)
                continue; /* the core knows */
            must(b, operate(&key, b->plugin->decrypt, &alg, cipher, len, &plain));
            assert_int_equal(plain.len, 6);
            assert_memory_equal(plain.data, "secret", 6);
            plugin_bytes_free(&plain);
            expect(b, &key, b->plugin->decrypt, &mask, len, HX_E_UNSUPPORTED, "no label, and one hash");
            expect(b, &key, b->plugin->decrypt, &label, len, HX_E_UNSUPPORTED, "no label, and one hash");
            expect(b, &key, b->plugin->decrypt, &alg, len, HX_E_INVALID, "nothing for this key");
        }
        unload(&key);
    }
}

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

static void keys_made_for_one_scheme_keep_to_it(void **state)
{
    struct bench *b = bench_of(state);
    struct key pkcs1 = load_key(b, HX_PRIVATE_KEY, KEY(PKCS1)), pss = load_key(b, HX_PRIVATE_KEY, KEY(PSS)),
               ecdsa = load_key(b, HX_PRIVATE_KEY, KEY(ECDSA384)), bound = load_key(b, HX_PRIVATE_KEY, KEY(RESTRICTED));
    const struct hx_alg as_pss = { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 32 };
    const struct hx_alg as_pkcs1 = { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256 };
    const struct hx_alg as_ecdsa = { .scheme = HX_ECDSA };
    unsigned char digest[64];
    struct plugin_bytes sig;

    check_rsa(b, &pkcs1, HX_RSA_PKCS1, HX_SHA256);
    check_rsa(b, &pss, HX_RSA_PSS, HX_SHA256);
    expect(b, &pkcs1, b->plugin->sign, &as_pss, 32, HX_E_UNSUPPORTED, "another scheme alone");
    expect(b, &pss, b->plugin->sign, &as_pkcs1, 32, HX_E_UNSUPPORTED, "another scheme alone");
    expect(b, &pss, b->plugin->sign, &as_ecdsa, 32, HX_E_UNSUPPORTED, "another type");
    assert_int_equal(ecdsa.info.hash, HX_SHA256); /* P-384 with SHA-256 */
    make_digest(HX_SHA256, 0, digest);
    must(b, operate(&ecdsa, b->plugin->sign, &as_ecdsa, digest, 32, &sig));
    assert_true(verifies_ecdsa(&ecdsa, digest, 32, &sig));
    plugin_bytes_free(&sig);
    expect(b, &ecdsa, b->plugin->sign, &as_ecdsa, 48, HX_E_INVALID, "48 bytes, where the key takes 32");
    assert_true(bound.info.flags & HX_RESTRICTED);
    expect(b, &bound, b->plugin->sign, &as_ecdsa, 32, HX_E_UNSUPPORTED, "restricted");
    unload(&pkcs1);
    unload(&pss);
    unload(&ecdsa);
    unload(&bound);
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

    assert_int_equal(operate(&key, b->plugin->derive, &alg, point, sizeof point, &out), HX_E_INVALID);
    assert_true(plugin_host_said(&b->host, "not one of the key's curve"));
    assert_int_equal(operate(&key, b->plugin->derive, &alg, point, 64, &out), HX_E_INVALID);
    memset(point + 1, 0xff, 64);
    assert_int_equal(operate(&key, b->plugin->derive, &alg, point, sizeof point, &out), HX_E_INVALID);
    assert_int_equal(out.len, 0);
    agree(b, &key, "P-256");
    unload(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_keys_sign_digests_of_each_hash),
        cmocka_unit_test(another_salt_or_mask_is_left_to_the_core),
        cmocka_unit_test(input_without_a_hash_is_padded_here),
        cmocka_unit_test(a_digest_info_is_signed_by_keys_without_the_raw_operation),
        cmocka_unit_test(the_raw_operation_is_the_inverse_of_the_public_one),
        cmocka_unit_test(oaep_is_undone_in_the_tpm_where_it_can_be),
        cmocka_unit_test(curves_sign_digests_of_any_length),
        cmocka_unit_test(a_small_curve_signs_the_left_part_of_a_long_digest),
        cmocka_unit_test(keys_made_for_one_scheme_keep_to_it),
        cmocka_unit_test(a_mac_of_any_length_is_right),
        cmocka_unit_test(a_mac_key_has_its_own_hash),
        cmocka_unit_test(both_sides_agree_on_a_secret),
        cmocka_unit_test(a_point_off_the_curve_is_refused),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
