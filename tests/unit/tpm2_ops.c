/* SPDX-License-Identifier: Apache-2.0 */
/* What a TPM's RSA keys do, and keys made for one scheme, each result checked with libcrypto; and what they say that
 * they cannot do. */
#include "tpm2-kinds.h"

#include <tss2/tss2_esys.h>

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

/* By keys that are made for it, and by no others. */
static void oaep_is_undone_in_the_tpm_where_nobody_else_can(void **state)
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

            if (handles[k] != KEY(OAEP))
                expect(b, &key, b->plugin->decrypt, &alg, len, HX_E_UNSUPPORTED, "not left to the TPM");
            if (handles[k] != KEY(OAEP) || hashes[i] != HX_SHA256)
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

/* No TPM in software lacks one of our hashes: so this one says that it does. */
static bool lacks_sha512;
static unsigned refusals;

TSS2_RC __real_Esys_Sign(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_DIGEST *,
                         const TPMT_SIG_SCHEME *, const TPMT_TK_HASHCHECK *, TPMT_SIGNATURE **);
TSS2_RC __wrap_Esys_Sign(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_DIGEST *,
                         const TPMT_SIG_SCHEME *, const TPMT_TK_HASHCHECK *, TPMT_SIGNATURE **);

TSS2_RC __wrap_Esys_Sign(ESYS_CONTEXT *esys, ESYS_TR key, ESYS_TR session, ESYS_TR second, ESYS_TR third,
                         const TPM2B_DIGEST *digest, const TPMT_SIG_SCHEME *scheme, const TPMT_TK_HASHCHECK *ticket,
                         TPMT_SIGNATURE **ret)
{
    if (!lacks_sha512 || scheme->details.any.hashAlg != TPM2_ALG_SHA512)
        return __real_Esys_Sign(esys, key, session, second, third, digest, scheme, ticket, ret);
    refusals++;
    return TPM2_RC_HASH | TPM2_RC_P | TPM2_RC_2;
}

static void a_hash_that_the_tpm_lacks_is_padded_here(void **state)
{
    struct bench *b = bench_of(state);
    struct key key = load_key(b, HX_PRIVATE_KEY, KEY(RSA2)), signer = load_key(b, HX_PRIVATE_KEY, KEY(SIGNER));
    const struct hx_alg pkcs1 = { .scheme = HX_RSA_PKCS1, .hash = HX_SHA512 };
    const struct hx_alg pss = { .scheme = HX_RSA_PSS, .hash = HX_SHA512, .salt_len = 64 };

    lacks_sha512 = true;
    expect(b, &signer, b->plugin->sign, &pkcs1, 64, HX_E_UNSUPPORTED, "does not have this hash");
    expect(b, &key, b->plugin->sign, &pss, 64, HX_E_UNSUPPORTED, "does not have this hash");
    refusals = 0;
    check_rsa(b, &key, HX_RSA_PKCS1, HX_SHA512);
    check_rsa(b, &key, HX_RSA_PKCS1, HX_SHA512);
    assert_int_equal(refusals, 1);
    lacks_sha512 = false;
    unload(&key);
    unload(&signer);
}

static bool cancels;

TSS2_RC __real_Esys_SequenceUpdate(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_MAX_BUFFER *);
TSS2_RC __wrap_Esys_SequenceUpdate(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_MAX_BUFFER *);

TSS2_RC __wrap_Esys_SequenceUpdate(ESYS_CONTEXT *esys, ESYS_TR sequence, ESYS_TR session, ESYS_TR second, ESYS_TR third,
                                   const TPM2B_MAX_BUFFER *part)
{
    return cancels ? TPM2_RC_CANCELED : __real_Esys_SequenceUpdate(esys, sequence, session, second, third, part);
}

static void a_mac_that_is_cut_short_leaves_no_sequence_behind(void **state)
{
    struct bench *b = bench_of(state);
    const struct hx_alg alg = { .scheme = HX_HMAC, .hash = HX_SHA256 };
    struct key key = load_key(b, HX_SECRET_KEY, KEY(MAC256));
    unsigned char in[5000] = { 0 };
    struct plugin_bytes tag;

    cancels = true;
    assert_int_equal(operate(&key, b->plugin->sign, &alg, in, sizeof in, &tag), HX_E_BUSY);
    cancels = false;
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
    must(b, operate(&key, b->plugin->sign, &alg, in, sizeof in, &tag));
    plugin_bytes_free(&tag);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_keys_sign_digests_of_each_hash),
        cmocka_unit_test(another_salt_or_mask_is_left_to_the_core),
        cmocka_unit_test(input_without_a_hash_is_padded_here),
        cmocka_unit_test(a_digest_info_is_signed_by_keys_without_the_raw_operation),
        cmocka_unit_test(the_raw_operation_is_the_inverse_of_the_public_one),
        cmocka_unit_test(oaep_is_undone_in_the_tpm_where_nobody_else_can),
        cmocka_unit_test(a_hash_that_the_tpm_lacks_is_padded_here),
        cmocka_unit_test(a_mac_that_is_cut_short_leaves_no_sequence_behind),
        cmocka_unit_test(keys_made_for_one_scheme_keep_to_it),
    };

    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, start, stop) : 77;
}
