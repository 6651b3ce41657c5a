/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to sign that OpenSSL offers, and to verify: whatever the default provider does with a software key, ours
 * does with the token's, and refuses what that refuses. */
#include "provider-rows.h"

static const char *const digests[] = { "SHA1",       "SHA224",    "SHA256",   "SHA384",      "SHA512",   "SHA512-224",
                                       "SHA512-256", "SHA3-224",  "SHA3-256", "SHA3-384",    "SHA3-512", "MD5",
                                       "MD5-SHA1",   "RIPEMD160", "SM3",      "BLAKE2B-512", "SHAKE128", "nonsense" };
enum { DIGESTS = sizeof(digests) / sizeof(*digests), SIG_MAX = 512 };

static unsigned char filler[1024];

static size_t digest_size(const char *name)
{
    EVP_MD *md = EVP_MD_fetch(plain, name, NULL);
    int size = md ? EVP_MD_get_size(md) : 32;

    EVP_MD_free(md);
    ERR_clear_error();
    return (size_t)size;
}

/* The key signs if its twin does, and what it signs is good in the eyes of all three; else it says why not.  Returns
 * whether it signed. */
static bool signs_as_twin(const struct subject *subject, const struct way *way, const struct way *expected,
                          size_t in_len)
{
    unsigned char sig[SIG_MAX], twin_sig[SIG_MAX];
    size_t len = sizeof(sig), twin_len = sizeof(sig);
    int twin_signs = sign_hash(subject->twin, way, filler, in_len, twin_sig, &twin_len);

    ERR_clear_error();
    if (sign_hash(subject->key, way, filler, in_len, sig, &len) != twin_signs) {
        ERR_print_errors_fp(stderr);
        fail_msg("digest %s, %zu bytes, padding %d, salt %s: %s", way->digest, in_len, way->padding, way->salt,
                 twin_signs ? "does not sign" : "signs but should not");
    }
    if (!twin_signs) {
        assert_reason();
        return false;
    }
    assert_int_equal(ERR_peek_error(), 0);
    if (!verify_hash(plain, subject->public, expected, filler, in_len, sig, len) ||
        !verify_hash(libctx, subject->key, expected, filler, in_len, sig, len) ||
        !verify_hash(libctx, subject->key, expected, filler, in_len, twin_sig, twin_len))
        fail_msg("digest %s, %zu bytes, padding %d, salt %s: not a good signature", way->digest, in_len, way->padding,
                 way->salt);
    sig[len / 2] ^= 1;
    assert_false(verify_hash(libctx, subject->key, expected, filler, in_len, sig, len));
    ERR_clear_error();
    return true;
}

static void each_digest_is_signed(void **state)
{
    int signed_ones = 0;

    for (size_t i = 0; i < DIGESTS; i++) {
        struct way way = { .digest = digests[i] };

        signed_ones += signs_as_twin(*state, &way, &way, digest_size(digests[i]));
    }
    assert_true(signed_ones >= 12);
}

/* No digest that a TPM signs is longer than 64 bytes, and P-521 would take 66. */
static void assert_too_long(const struct subject *subject, const struct way *way, size_t in_len)
{
    unsigned char sig[SIG_MAX];
    size_t len = sizeof(sig);

    assert_false(sign_hash(subject->key, way, filler, in_len, sig, &len));
    assert_reason();
}

static void bytes_without_a_digest_are_signed(void **state)
{
    static const size_t sizes[] = { 1, 20, 32, 36, 48, 64, 65, 66, 67, 100, 200, 245, 246, 300, 373, 374, 512 };
    static const struct way way = { 0 };
    const struct subject *subject = *state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        if (is_tpm() && subject->kind == P521 && sizes[i] > 64)
            assert_too_long(subject, &way, sizes[i]);
        else
            signs_as_twin(subject, &way, &way, sizes[i]);
}

static void a_digest_of_another_length_is_refused(void **state)
{
    for (size_t i = 0; i < 7; i++) {
        struct way way = { .digest = digests[i] };

        assert_false(signs_as_twin(*state, &way, &way, digest_size(digests[i]) - 1));
        assert_false(signs_as_twin(*state, &way, &way, digest_size(digests[i]) + 1));
        assert_false(signs_as_twin(*state, &way, &way, 0));
    }
}

/* What the signature's salt is then, in bytes: the verifier is told the very number. */
static void pss_salts_are_as_long_as_asked(void **state)
{
    static const char *const salts[] = {
        "digest", "max", "auto", "0", "1", "20", "-1", "-2", "-3", "100", "400", "-5"
    };
    static const char *const hashes[] = { "SHA1", "SHA256", "SHA384", "SHA512" };
    const struct subject *subject = *state;
    int bytes = EVP_PKEY_get_size(subject->key);
    const struct way nonsense = { "SHA256", RSA_PKCS1_PSS_PADDING, "x", NULL };
    char number[16];

    assert_false(sign_hash(subject->key, &nonsense, filler, 32, NULL, &(size_t){ 0 }));
    assert_reason();
    for (size_t h = 0; h < 4; h++) {
        for (size_t i = 0; i < sizeof(salts) / sizeof(*salts); i++) {
            struct way way = { hashes[h], RSA_PKCS1_PSS_PADDING, salts[i], NULL }, expected = way;
            int size = (int)digest_size(hashes[h]), salt = bytes - size - 2;

            if (!strcmp(salts[i], "digest") || !strcmp(salts[i], "-1"))
                salt = size;
            else if (atoi(salts[i]) > 0 || !strcmp(salts[i], "0"))
                salt = atoi(salts[i]);
            snprintf(number, sizeof(number), "%d", salt);
            expected.salt = number;
            signs_as_twin(subject, &way, &expected, (size_t)size);
        }
    }
}

static void pss_masks_with_the_digest_asked(void **state)
{
    static const char *const hashes[] = { "SHA1", "SHA256", "SHA384", "SHA512" };

    for (size_t h = 0; h < 4; h++) {
        for (size_t m = 0; m < 4; m++) {
            struct way way = { hashes[h], RSA_PKCS1_PSS_PADDING, "digest", hashes[m] };
            unsigned char sig[SIG_MAX];
            size_t len = sizeof(sig);

            if (h == m || !is_softhsm()) {
                assert_true(signs_as_twin(*state, &way, &way, digest_size(hashes[h])));
                continue;
            }
            /* SoftHSM masks with the digest itself only. */
            if (sign_hash(((const struct subject *)*state)->key, &way, filler, digest_size(hashes[h]), sig, &len))
                assert_true(verify_hash(plain, ((const struct subject *)*state)->public, &way, filler,
                                        digest_size(hashes[h]), sig, len));
            else
                assert_reason();
        }
    }
}

static void other_paddings_are_refused(void **state)
{
    static const int paddings[] = { RSA_NO_PADDING, RSA_PKCS1_OAEP_PADDING, RSA_X931_PADDING,
                                    RSA_PKCS1_WITH_TLS_PADDING, 77 };
    const struct subject *subject = *state;
    unsigned char sig[SIG_MAX];

    for (size_t i = 0; i < sizeof(paddings) / sizeof(*paddings); i++) {
        struct way way = { .padding = paddings[i] };
        size_t len = sizeof(sig);

        assert_false(sign_hash(subject->key, &way, filler, (size_t)EVP_PKEY_get_size(subject->key), sig, &len));
        assert_reason();
    }
}

static void room_is_asked_for_and_checked(void **state)
{
    const struct subject *subject = *state;
    const struct way way = { .digest = "SHA256" };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, subject->key, NULL);
    unsigned char sig[SIG_MAX];
    size_t len = 0;

    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    assert_true(set_way(ctx, &way, true));
    assert_int_equal(EVP_PKEY_sign(ctx, NULL, &len, filler, 32), 1);
    assert_int_equal(len, EVP_PKEY_get_size(subject->twin));
    len = 16;
    assert_int_not_equal(EVP_PKEY_sign(ctx, sig, &len, filler, 32), 1);
    assert_reason();
    len = (size_t)EVP_PKEY_get_size(subject->twin);
    assert_int_equal(EVP_PKEY_sign(ctx, sig, &len, filler, 32), 1);
    assert_true(verify_hash(plain, subject->public, &way, filler, 32, sig, len));
    EVP_PKEY_CTX_free(ctx);
}

static void a_signature_is_recovered(void **state)
{
    const struct subject *subject = *state;

    for (size_t i = 0; i < 8; i++) {
        struct way way = { .digest = i < 7 ? digests[i] : NULL };
        size_t size = way.digest ? digest_size(way.digest) : 33, len = SIG_MAX, out_len = SIG_MAX;
        unsigned char sig[SIG_MAX], out[SIG_MAX];
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, subject->key, NULL);

        assert_true(sign_hash(subject->key, &way, filler, size, sig, &len));
        assert_int_equal(EVP_PKEY_verify_recover_init(ctx), 1);
        assert_true(set_way(ctx, &way, true));
        assert_int_equal(EVP_PKEY_verify_recover(ctx, NULL, &out_len, sig, len), 1);
        assert_in_range(out_len, size, SIG_MAX);
        assert_int_equal(EVP_PKEY_verify_recover(ctx, out, &out_len, sig, len), 1);
        assert_int_equal(out_len, size);
        assert_memory_equal(out, filler, size);
        sig[7] ^= 1;
        out_len = SIG_MAX;
        assert_int_not_equal(EVP_PKEY_verify_recover(ctx, out, &out_len, sig, len), 1);
        assert_reason();
        EVP_PKEY_CTX_free(ctx);
    }
}

static void there_is_nothing_to_recover(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, subject->key, NULL);
    unsigned char out[SIG_MAX];
    size_t len = sizeof(out);

    assert_true(EVP_PKEY_verify_recover_init(ctx) != 1 || EVP_PKEY_verify_recover(ctx, out, &len, filler, 64) != 1);
    assert_reason();
    EVP_PKEY_CTX_free(ctx);
}

/* In pieces; 0 bytes a piece: in one go. */
static int sign_message(EVP_PKEY *key, const struct way *way, size_t in_len, size_t piece, unsigned char *sig,
                        size_t *len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;
    int ok = EVP_DigestSignInit_ex(ctx, &pctx, way->digest, libctx, NULL, key, NULL) == 1 && set_way(pctx, way, false);

    if (ok && !piece)
        ok = EVP_DigestSign(ctx, sig, len, filler, in_len) == 1;
    for (size_t at = 0; ok && piece && at < in_len; at += piece)
        ok = EVP_DigestSignUpdate(ctx, filler + at, in_len - at < piece ? in_len - at : piece) == 1;
    if (ok && piece)
        ok = EVP_DigestSignFinal(ctx, sig, len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static void messages_are_hashed_and_signed(void **state)
{
    static const size_t sizes[] = { 0, 1, 63, 64, 65, 1000 }, pieces[] = { 0, 1, 64, 1000 };
    const struct subject *subject = *state;
    unsigned char sig[SIG_MAX];

    for (size_t i = 0; i < DIGESTS; i++) {
        struct way way = { .digest = digests[i] };
        size_t len = sizeof(sig), in_len = sizes[i % 6], piece = pieces[i % 4];
        int twin_signs = sign_message(subject->twin, &way, in_len, piece, sig, &len);

        ERR_clear_error();
        len = sizeof(sig);
        if (sign_message(subject->key, &way, in_len, piece, sig, &len) != twin_signs)
            fail_msg("digest %s, %zu bytes in pieces of %zu: twin says %d", way.digest, in_len, piece, twin_signs);
        if (!twin_signs) {
            assert_reason();
            continue;
        }
        assert_true(verify_message(plain, subject->public, &way, filler, in_len, sig, len));
        assert_true(verify_message(libctx, subject->key, &way, filler, in_len, sig, len));
        assert_false(verify_message(libctx, subject->key, &way, filler, in_len + 1, sig, len));
        ERR_clear_error();
    }
}

static void a_message_has_a_default_digest(void **state)
{
    const struct subject *subject = *state;
    static const struct way way = { 0 }, expected = { .digest = "SHA256" };
    unsigned char sig[SIG_MAX];
    size_t len = sizeof(sig);

    assert_true(sign_message(subject->key, &way, 100, 0, sig, &len));
    assert_true(verify_message(plain, subject->public, &expected, filler, 100, sig, len));
}

static void messages_are_signed_with_pss(void **state)
{
    const struct subject *subject = *state;
    unsigned char sig[SIG_MAX];

    for (size_t piece = 0; piece < 2; piece++) {
        static const struct way way = { "SHA384", RSA_PKCS1_PSS_PADDING, "32", NULL };
        size_t len = sizeof(sig);

        assert_true(sign_message(subject->key, &way, 100, piece, sig, &len));
        assert_true(verify_message(plain, subject->public, &way, filler, 100, sig, len));
        assert_true(verify_message(libctx, subject->key, &way, filler, 100, sig, len));
    }
}

/* EVP_DigestSignFinal() may be called again, for one signature more. */
static void a_message_is_finished_twice(void **state)
{
    const struct subject *subject = *state;
    static const struct way way = { .digest = "SHA256" };
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char sig[SIG_MAX];
    size_t len;

    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", libctx, NULL, subject->key, NULL), 1);
    assert_int_equal(EVP_DigestSignUpdate(ctx, filler, 10), 1);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(EVP_DigestSignFinal(ctx, NULL, &len), 1);
        len = sizeof(sig);
        assert_int_equal(EVP_DigestSignFinal(ctx, sig, &len), 1);
        assert_true(verify_message(plain, subject->public, &way, filler, 10, sig, len));
    }
    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, NULL, libctx, NULL, NULL, NULL), 1);
    len = sizeof(sig);
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, filler, 20), 1);
    assert_true(verify_message(plain, subject->public, &way, filler, 20, sig, len));
    EVP_MD_CTX_free(ctx);
}

static void whole_messages_are_signed(void **state)
{
    static const size_t sizes[] = { 0, 1, 64, 1000 };
    static const struct way way = { 0 };
    const struct subject *subject = *state;
    unsigned char sig[SIG_MAX];

    for (size_t i = 0; i < 4; i++) {
        size_t len = sizeof(sig);

        assert_true(sign_message(subject->key, &way, sizes[i], 0, sig, &len));
        assert_int_equal(len, 64);
        assert_true(verify_message(plain, subject->public, &way, filler, sizes[i], sig, len));
        assert_true(verify_message(libctx, subject->key, &way, filler, sizes[i], sig, len));
        sig[10] ^= 1;
        assert_false(verify_message(libctx, subject->key, &way, filler, sizes[i], sig, len));
        ERR_clear_error();
    }
}

static void digests_and_pieces_are_refused(void **state)
{
    const struct subject *subject = *state;
    const struct way none = { 0 }, digest = { .digest = "SHA512" };
    unsigned char sig[SIG_MAX];
    size_t len = sizeof(sig);

    assert_false(sign_message(subject->key, &digest, 10, 0, sig, &len));
    assert_reason();
    assert_false(sign_message(subject->key, &none, 10, 1, sig, &len));
    assert_reason();
    assert_false(sign_hash(subject->key, &none, filler, 32, sig, &len));
    assert_reason();
    assert_false(verify_hash(libctx, subject->key, &none, filler, 32, sig, 64));
    assert_reason();
}

int main(void)
{
    static const struct row rows[] = {
        { "sign each digest", each_digest_is_signed, HASHING },
        { "sign without a digest", bytes_without_a_digest_are_signed, HASHING },
        { "sign a digest of another length", a_digest_of_another_length_is_refused, HASHING },
        { "pss salts", pss_salts_are_as_long_as_asked, RSA_KEYS },
        { "pss masks", pss_masks_with_the_digest_asked, RSA_KEYS },
        { "other paddings", other_paddings_are_refused, RSA_KEYS },
        { "size of a signature", room_is_asked_for_and_checked, HASHING },
        { "verify_recover", a_signature_is_recovered, RSA_KEYS },
        { "no verify_recover", there_is_nothing_to_recover, EC_KEYS | ED_KEYS },
        { "DigestSign", messages_are_hashed_and_signed, HASHING },
        { "DigestSign with the default digest", a_message_has_a_default_digest, HASHING },
        { "DigestSign with pss", messages_are_signed_with_pss, RSA_KEYS },
        { "DigestSignFinal twice", a_message_is_finished_twice, HASHING },
        { "DigestSign of a whole message", whole_messages_are_signed, ED_KEYS },
        { "digests and pieces", digests_and_pieces_are_refused, ED_KEYS },
    };

    for (size_t i = 0; i < sizeof(filler); i++)
        filler[i] = (unsigned char)(i * 7 + 1);
    return run_rows(rows, sizeof(rows) / sizeof(*rows));
}
