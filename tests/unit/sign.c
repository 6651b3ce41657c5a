/* SPDX-License-Identifier: Apache-2.0 */
/* Private operations: what is asked is checked, digests are cut, and the first signature of each kind is verified. */
#include "twins.h"

#include <openssl/ecdsa.h>

static unsigned char digest[64] = "any digest is as good as another one, if only it is long enough";

static const struct hx_alg ecdsa = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
static const struct hx_alg pkcs1 = { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256 };

static int sign(struct hx_key *key, const struct hx_alg *alg, size_t len, struct hx_bytes *ret)
{
    struct hx_bytes sig = { 0 };
    int result = hx_sign(key, alg, digest, len, &sig);

    if (result)
        assert_null(sig.data);
    if (!result && ret)
        bytes_move(ret, &sig);
    hx_bytes_free(&sig);
    return result;
}

/* Does the signature fit, seen by libcrypto alone? */
static bool fits(struct hx_key *key, const struct hx_alg *alg, size_t len, const struct hx_bytes *sig)
{
    struct hx_bytes spki = { 0 };
    int result;

    expect_result(hx_key_public(key, &spki), HX_OK);
    result = encode_verify(spki.data, spki.len, alg, digest, len, sig->data, sig->len);
    hx_bytes_free(&spki);
    return !result;
}

static struct hx_key *one_key(uint32_t type)
{
    add_key(fake, "device", type, 1);
    configure(EDGE);
    return open_key("hsm:edge/key/device");
}

static void a_wrong_first_signature_never_leaves(void **state)
{
    static const struct {
        uint32_t type;
        struct hx_alg alg;
        size_t len;
    } kinds[] = {
        { HX_P256, { .scheme = HX_ECDSA, .hash = HX_SHA256 }, 32 },
        { HX_P384, { .scheme = HX_ECDSA, .hash = HX_SHA384 }, 48 },
        { HX_P521, { .scheme = HX_ECDSA, .hash = HX_SHA512 }, 64 },
        { HX_RSA, { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256 }, 32 },
        { HX_RSA, { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 32 }, 32 },
        { HX_ED25519, { .scheme = HX_EDDSA }, 64 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct hx_bytes sig = { 0 };
        struct hx_key *key;

        fake->reset();
        key = one_key(kinds[i].type);
        fake->wrong_signatures = 3;
        for (int j = 0; j < 3; j++) {
            expect_result(sign(key, &kinds[i].alg, kinds[i].len, NULL), HX_E_DEVICE);
            expect_said("does not fit its public key");
        }
        expect_result(sign(key, &kinds[i].alg, kinds[i].len, &sig), HX_OK);
        assert_true(fits(key, &kinds[i].alg, kinds[i].len, &sig));
        hx_bytes_free(&sig);
        hx_key_close(key);
        hx_free(ctx);
        ctx = NULL;
    }
}

/* That only the first is verified shows in this: a wrong second one goes unseen. */
static void only_the_first_signature_is_verified(void **state)
{
    struct hx_bytes sig = { 0 };
    struct hx_key *key = one_key(HX_P256);

    (void)state;
    expect_result(sign(key, &ecdsa, 32, NULL), HX_OK);
    fake->wrong_signatures = 1;
    expect_result(sign(key, &ecdsa, 32, &sig), HX_OK);
    assert_false(fits(key, &ecdsa, 32, &sig));
    hx_bytes_free(&sig);
    hx_key_close(key);
}

/* The public key cannot be compared, so the signature has to tell, each time that the key is looked up anew. */
static void another_key_after_a_loss_is_found_out(void **state)
{
    struct fake_object *object, bare = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .key = 1, .label = "device" };
    struct hx_key *key;

    (void)state;
    object = put(0, &bare);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    object->public_unreadable = true;
    fake->lose(0);
    expect_result(sign(key, &ecdsa, 32, NULL), HX_OK);
    object->key = put_key(0, "other", 2)->key;
    fake->lose(0);
    expect_result(sign(key, &ecdsa, 32, NULL), HX_E_DEVICE);
    expect_said("does not fit its public key");
    object->key = 1;
    expect_result(sign(key, &ecdsa, 32, NULL), HX_OK);
    hx_key_close(key);
}

static void each_kind_of_signature_has_its_first(void **state)
{
    static const struct hx_alg kinds[] = {
        { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256 },
        { .scheme = HX_RSA_PKCS1, .hash = HX_SHA512 },
        { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 32 },
        { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 20 },
        { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .mgf_hash = HX_SHA512, .salt_len = 20 },
        { .scheme = HX_RSA_PSS, .hash = HX_SHA512, .salt_len = 20 },
    };
    struct hx_key *key = one_key(HX_RSA), *other;

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fake->wrong_signatures = 1;
        expect_result(sign(key, &kinds[i], hash_size(kinds[i].hash), NULL), HX_E_DEVICE);
        expect_result(sign(key, &kinds[i], hash_size(kinds[i].hash), NULL), HX_OK);
    }
    other = open_key("hsm:edge/key/device");
    fake->wrong_signatures = 1;
    expect_result(sign(other, &pkcs1, 32, NULL), HX_E_DEVICE);
    hx_key_close(other);
    hx_key_close(key);
}

static void a_digest_must_have_its_hashs_length(void **state)
{
    struct hx_alg pss = { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 32 };
    struct hx_key *key = one_key(HX_RSA), *ec;

    (void)state;
    add_key(fake, "ec", HX_P256, 1);
    ec = open_key("hsm:edge/key/ec");
    forget_calls(fake);
    for (size_t len = 31; len <= 33; len += 2) {
        expect_result(sign(key, &pkcs1, len, NULL), HX_E_INVALID);
        expect_result(sign(key, &pss, len, NULL), HX_E_INVALID);
        expect_result(sign(ec, &ecdsa, len, NULL), HX_E_INVALID);
        expect_said(len == 31 ? "the digest has 31 bytes, not 32" : "the digest has 33 bytes, not 32");
    }
    assert_int_equal(fake->calls[FAKE_SIGN], 0);
    hx_key_close(ec);
    hx_key_close(key);
}

static void what_a_key_cannot_do_never_reaches_the_token(void **state)
{
    static const struct hx_alg wrong[] = {
        { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256 },
        { .scheme = HX_RSA_PSS, .hash = HX_SHA256, .salt_len = 32 },
        { .scheme = HX_EDDSA },
        { .scheme = HX_HMAC, .hash = HX_SHA256 },
        { .scheme = HX_ECDH },
        { .scheme = 0 },
        { .scheme = 99, .hash = HX_SHA256 },
        { .scheme = HX_ECDSA, .hash = 99 },
        { .scheme = HX_ECDSA, .hash = HX_SHA256, .spare = { 0, 0, 0, 1 } },
        { .scheme = HX_ECDSA, .hash = HX_SHA256, .param = { "a context", 9 } },
    };
    struct hx_key *key = one_key(HX_P256);

    (void)state;
    forget_calls(fake);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_result(sign(key, &wrong[i], 32, NULL), HX_E_UNSUPPORTED);
    assert_int_equal(fake->calls[FAKE_SIGN], 0);
    hx_key_close(key);
}

/* Not only the first, which is verified. */
static void a_result_of_another_length_never_leaves(void **state)
{
    struct fake_object secret = { .kind = HX_SECRET_KEY, .type = HX_GENERIC, .label = "mac", .value_len = 16 };
    const struct hx_alg hmac = { .scheme = HX_HMAC, .hash = HX_SHA256 }, ecdh = { .scheme = HX_ECDH };
    const struct hx_alg eddsa = { .scheme = HX_EDDSA };
    struct hx_key *ec = one_key(HX_P256), *ed, *mac;
    struct hx_bytes spki = { 0 }, shared = { 0 };

    (void)state;
    add_key(fake, "ed", HX_ED25519, 1);
    put(0, &secret);
    ed = open_key("hsm:edge/key/ed");
    mac = open_key("hsm:edge/secret/mac");
    expect_result(hx_key_public(ec, &spki), HX_OK); /* it ends with the point */
    for (int twice = 0; twice < 2; twice++) {
        expect_result(sign(mac, &hmac, 32, NULL), HX_OK);
        expect_result(sign(ed, &eddsa, 32, NULL), HX_OK);
        expect_result(hx_derive(ec, &ecdh, spki.data + spki.len - 65, 65, &shared), HX_OK);
        assert_int_equal(shared.len, 32);
        hx_bytes_free(&shared);
    }
    fake->long_results = true;
    expect_result(sign(mac, &hmac, 32, NULL), HX_E_DEVICE);
    expect_said("its result has 33 bytes, not 32");
    expect_result(sign(ed, &eddsa, 32, NULL), HX_E_DEVICE);
    expect_said("its result has 65 bytes, not 64");
    expect_result(hx_derive(ec, &ecdh, spki.data + spki.len - 65, 65, &shared), HX_E_DEVICE);
    expect_said("its result has 33 bytes, not 32");
    assert_null(shared.data);
    hx_bytes_free(&spki);
    hx_key_close(mac);
    hx_key_close(ed);
    hx_key_close(ec);
}

/* FIPS 186-4 §6.4: of a digest that is wider than the curve, the leftmost bits are signed. */
static void a_long_digest_is_cut_to_the_curve(void **state)
{
    static const struct {
        uint32_t type, hash;
        size_t len;
    } cases[] = {
        { HX_P256, HX_SHA384, 48 }, { HX_P256, HX_SHA512, 64 }, { HX_P384, HX_SHA512, 64 },
        { HX_P256, HX_SHA1, 20 },   { HX_P521, HX_SHA512, 64 }, { HX_P256, 0, 64 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hx_alg alg = { .scheme = HX_ECDSA, .hash = cases[i].hash };
        struct hx_bytes sig = { 0 }, spki = { 0 };
        struct hx_key *key;
        const unsigned char *p;
        EVP_PKEY_CTX *context;
        EVP_PKEY *public;

        fake->reset();
        key = one_key(cases[i].type);
        expect_result(sign(key, &alg, cases[i].len, &sig), HX_OK);
        expect_result(hx_key_public(key, &spki), HX_OK);
        p = spki.data;
        assert_non_null(public = d2i_PUBKEY(NULL, &p, (long)spki.len));
        context = EVP_PKEY_CTX_new(public, NULL);
        assert_int_equal(EVP_PKEY_verify_init(context), 1);
        assert_int_equal(EVP_PKEY_verify(context, sig.data, sig.len, digest, cases[i].len), 1);
        EVP_PKEY_CTX_free(context);
        EVP_PKEY_free(public);
        hx_bytes_free(&spki);
        hx_bytes_free(&sig);
        hx_key_close(key);
        hx_free(ctx);
        ctx = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWINS_TEST(a_wrong_first_signature_never_leaves),    TWINS_TEST(only_the_first_signature_is_verified),
        TWINS_TEST(another_key_after_a_loss_is_found_out),   TWINS_TEST(each_kind_of_signature_has_its_first),
        TWINS_TEST(a_digest_must_have_its_hashs_length),     TWINS_TEST(what_a_key_cannot_do_never_reaches_the_token),
        TWINS_TEST(a_result_of_another_length_never_leaves), TWINS_TEST(a_long_digest_is_cut_to_the_curve),
    };

    return cmocka_run_group_tests(tests, twins_build, scene_strike);
}
