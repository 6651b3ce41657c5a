/* SPDX-License-Identifier: Apache-2.0 */
/* Copies at every stage of every operation, the originals freed first; threads that share a key or have their own; keys
 * freed by another thread than their maker; several library contexts at once. */
#include "provider-rows.h"

#include <pthread.h>

enum { SIG_MAX = 512, THREADS = 8, ROUNDS = 5 };

static const struct way sha256 = { .digest = "SHA256" };
static const unsigned char hash[32] = "a digest";

static void assert_good(const struct subject *subject, const char *text, const unsigned char *sig, size_t len)
{
    const struct way way = { .digest = kinds[subject->kind].digest };

    assert_true(verify_message(plain, subject->public, &way, text, strlen(text), sig, len));
}

static void a_duplicate_outlives_its_original(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY *key = open_key(subject->kind);

    for (int i = 0; i < 3; i++) {
        EVP_PKEY *copy = EVP_PKEY_dup(key);

        assert_non_null(copy);
        EVP_PKEY_free(key);
        key = copy;
        assert_ptr_equal(EVP_PKEY_get0_provider(key), ours);
        assert_signs(key, subject->kind);
    }
    EVP_PKEY_free(key);
}

/* Where a signature's context may be copied. */
enum stage { FRESH, BEGUN, HALF, DONE, STAGES };

static EVP_MD_CTX *copy_and_free(EVP_MD_CTX *ctx)
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();

    assert_int_equal(EVP_MD_CTX_copy_ex(copy, ctx), 1);
    EVP_MD_CTX_free(ctx);
    return copy;
}

/* At each stage the context is replaced by a copy of it, and a second copy goes its own way. */
static void a_signers_copy_goes_on(void **state)
{
    const struct subject *subject = *state;
    const char *digest = kinds[subject->kind].digest;

    for (int stage = BEGUN; stage < STAGES; stage++) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new(), *second = NULL;
        EVP_PKEY *key = open_key(subject->kind);
        unsigned char sig[SIG_MAX];
        size_t len = sizeof(sig);

        assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, digest, libctx, NULL, key, NULL), 1);
        EVP_PKEY_free(key);
        for (int at = BEGUN; at <= stage; at++) {
            if (at == HALF)
                assert_int_equal(EVP_DigestSignUpdate(ctx, "begin ", 6), 1);
            if (at == DONE)
                assert_int_equal(EVP_DigestSignFinal(ctx, sig, &len), 1);
            ctx = copy_and_free(ctx);
        }
        second = EVP_MD_CTX_new();
        assert_int_equal(EVP_MD_CTX_copy_ex(second, ctx), 1);
        for (int i = 0; i < 2; i++) {
            EVP_MD_CTX *one = i ? second : ctx;

            if (stage < HALF)
                assert_int_equal(EVP_DigestSignUpdate(one, "begin ", 6), 1);
            if (stage < DONE)
                assert_int_equal(EVP_DigestSignUpdate(one, i ? "there" : "here", i ? 5 : 4), 1);
            len = sizeof(sig);
            assert_int_equal(EVP_DigestSignFinal(one, sig, &len), 1);
            EVP_MD_CTX_free(one);
            assert_good(subject, stage == DONE ? "begin " : i ? "begin there" : "begin here", sig, len);
        }
    }
}

static void a_verifiers_copy_goes_on(void **state)
{
    const struct subject *subject = *state;
    const char *digest = kinds[subject->kind].digest;
    unsigned char sig[SIG_MAX];
    size_t len = sizeof(sig);

    assert_true(sign(subject->key, subject->kind, sig, &len));
    for (int stage = BEGUN; stage <= HALF; stage++) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new(), *second;
        EVP_PKEY *key = open_key(subject->kind);

        assert_int_equal(EVP_DigestVerifyInit_ex(ctx, NULL, digest, libctx, NULL, key, NULL), 1);
        EVP_PKEY_free(key);
        if (stage == HALF)
            assert_int_equal(EVP_DigestVerifyUpdate(ctx, message, 5), 1);
        second = EVP_MD_CTX_new();
        assert_int_equal(EVP_MD_CTX_copy_ex(second, ctx), 1);
        EVP_MD_CTX_free(ctx);
        ctx = copy_and_free(second);
        assert_int_equal(
            EVP_DigestVerifyUpdate(ctx, message + (stage == HALF ? 5 : 0), sizeof(message) - (stage == HALF ? 5 : 0)),
            1);
        assert_int_equal(EVP_DigestVerifyFinal(ctx, sig, len), 1);
        EVP_MD_CTX_free(ctx);
    }
}

/* Ed25519 has one stage only. */
static void a_whole_messages_signer_is_copied(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY *key = open_key(subject->kind);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new(), *second = EVP_MD_CTX_new();
    unsigned char sig[SIG_MAX];

    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, NULL, libctx, NULL, key, NULL), 1);
    EVP_PKEY_free(key);
    assert_int_equal(EVP_MD_CTX_copy_ex(second, ctx), 1);
    for (int i = 0; i < 2; i++) {
        EVP_MD_CTX *one = i ? second : ctx;
        size_t len = sizeof(sig);

        assert_int_equal(EVP_DigestSign(one, sig, &len, (const unsigned char *)"text", 4), 1);
        EVP_MD_CTX_free(one);
        assert_good(subject, "text", sig, len);
    }
}

/* The context itself takes over the copy's place. */
static EVP_PKEY_CTX *dup_and_free(EVP_PKEY_CTX *ctx)
{
    EVP_PKEY_CTX *copy = EVP_PKEY_CTX_dup(ctx);

    assert_non_null(copy);
    EVP_PKEY_CTX_free(ctx);
    return copy;
}

static EVP_PKEY_CTX *context_of(const struct subject *subject)
{
    EVP_PKEY *key = open_key(subject->kind);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);

    EVP_PKEY_free(key);
    return dup_and_free(ctx);
}

static void each_signing_context_is_copied(void **state)
{
    const struct subject *subject = *state;
    const struct way pss = { "SHA256", RSA_PKCS1_PSS_PADDING, "20", NULL };
    const struct way *way = type_of(subject->kind) == RSA_KEYS ? &pss : &sha256;
    EVP_PKEY_CTX *ctx = context_of(subject), *second;
    unsigned char sig[SIG_MAX];
    size_t len = sizeof(sig);

    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    ctx = dup_and_free(ctx);
    assert_true(set_way(ctx, way, true));
    ctx = dup_and_free(ctx);
    assert_int_equal(EVP_PKEY_sign(ctx, sig, &len, hash, 32), 1);
    second = EVP_PKEY_CTX_dup(ctx);
    for (int i = 0; i < 2; i++) {
        len = sizeof(sig);
        assert_int_equal(EVP_PKEY_sign(i ? second : ctx, sig, &len, hash, 32), 1);
        EVP_PKEY_CTX_free(i ? second : ctx);
        assert_true(verify_hash(plain, subject->public, way, hash, 32, sig, len));
    }
}

static void each_verifying_context_is_copied(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = context_of(subject);
    unsigned char sig[SIG_MAX], out[SIG_MAX];
    size_t len = sizeof(sig), out_len = sizeof(out);

    assert_true(sign_hash(subject->key, &sha256, hash, 32, sig, &len));
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    ctx = dup_and_free(ctx);
    assert_true(set_way(ctx, &sha256, true));
    ctx = dup_and_free(ctx);
    assert_int_equal(EVP_PKEY_verify(ctx, sig, len, hash, 32), 1);
    ctx = dup_and_free(ctx);
    assert_int_equal(EVP_PKEY_verify(ctx, sig, len, hash, 32), 1);
    if (type_of(subject->kind) == RSA_KEYS) {
        assert_int_equal(EVP_PKEY_verify_recover_init(ctx), 1);
        ctx = dup_and_free(ctx);
        assert_true(set_way(ctx, &sha256, true));
        ctx = dup_and_free(ctx);
        assert_int_equal(EVP_PKEY_verify_recover(ctx, out, &out_len, sig, len), 1);
        assert_memory_equal(out, hash, 32);
    }
    EVP_PKEY_CTX_free(ctx);
}

static EVP_PKEY_CTX *set_oaep(EVP_PKEY_CTX *ctx)
{
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    ctx = dup_and_free(ctx);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, "SHA256", NULL), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, "SHA256", NULL), 1);
    assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_strdup("label"), 5), 1);
    return dup_and_free(ctx);
}

static void each_decrypting_context_is_copied(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = context_of(subject), *second;
    unsigned char secret[SIG_MAX], out[SIG_MAX];
    size_t len = sizeof(secret), out_len;

    assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
    ctx = set_oaep(dup_and_free(ctx));
    assert_int_equal(EVP_PKEY_encrypt(ctx, secret, &len, hash, 32), 1);
    assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
    ctx = set_oaep(dup_and_free(ctx));
    out_len = sizeof(out);
    assert_int_equal(EVP_PKEY_decrypt(ctx, out, &out_len, secret, len), 1);
    second = EVP_PKEY_CTX_dup(ctx);
    for (int i = 0; i < 2; i++) {
        out_len = sizeof(out);
        assert_int_equal(EVP_PKEY_decrypt(i ? second : ctx, out, &out_len, secret, len), 1);
        EVP_PKEY_CTX_free(i ? second : ctx);
        assert_int_equal(out_len, 32);
        assert_memory_equal(out, hash, 32);
    }
}

static void each_deriving_context_is_copied(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY *peer = subjects[subject->kind].public;
    EVP_PKEY_CTX *ctx = context_of(subject), *twin_ctx = EVP_PKEY_CTX_new_from_pkey(libctx, subject->twin, NULL);
    EVP_PKEY_CTX *second;
    unsigned char secret[80], expected[80];
    size_t len = sizeof(secret), expected_len = sizeof(expected);

    assert_int_equal(EVP_PKEY_derive_init(twin_ctx), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(twin_ctx, peer), 1);
    assert_int_equal(EVP_PKEY_derive(twin_ctx, expected, &expected_len), 1);
    assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
    ctx = dup_and_free(ctx);
    assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
    ctx = dup_and_free(ctx);
    assert_int_equal(EVP_PKEY_derive(ctx, secret, &len), 1);
    second = EVP_PKEY_CTX_dup(ctx);
    for (int i = 0; i < 2; i++) {
        len = sizeof(secret);
        assert_int_equal(EVP_PKEY_derive(i ? second : ctx, secret, &len), 1);
        EVP_PKEY_CTX_free(i ? second : ctx);
        assert_int_equal(len, expected_len);
        assert_memory_equal(secret, expected, len);
    }
    EVP_PKEY_CTX_free(twin_ctx);
}

/* OpenSSL does not copy these: it says so, and the original goes on. */
static void a_key_generation_is_not_copied(void **state)
{
    const struct subject *subject = *state;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, kinds[subject->kind].type, "provider=hsmux");
    EVP_PKEY *key = NULL;
    char label[32];

    snprintf(label, sizeof(label), "stage-%s", kinds[subject->kind].label);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_null(EVP_PKEY_CTX_dup(ctx));
    ERR_clear_error();
    assert_int_equal(EVP_PKEY_CTX_ctrl_str(ctx, "hsm-label", label), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

struct worker {
    pthread_t thread;
    int kind, good;
    EVP_PKEY *shared; /* NULL: the worker opens its own */
};

/* No assertion: cmocka's jump out of it only in the main thread. */
static bool works(EVP_PKEY *key, int kind)
{
    unsigned char sig[SIG_MAX];
    size_t len = sizeof(sig);
    EVP_PKEY *copy = EVP_PKEY_dup(key);
    bool good = copy && sign(key, kind, sig, &len) && verify(subjects[kind].twin, kind, sig, len) &&
                verify(copy, kind, sig, len) && EVP_PKEY_eq(copy, subjects[kind].twin) == 1;

    EVP_PKEY_free(copy);
    return good;
}

static void *work(void *arg)
{
    struct worker *worker = arg;

    for (int i = 0; i < ROUNDS; i++) {
        EVP_PKEY *key = worker->shared ? worker->shared : open_key(worker->kind);

        worker->good += works(key, worker->kind);
        if (worker->shared)
            continue;
        EVP_PKEY_free(key);
        worker->kind = other_kind(worker->kind);
    }
    if (worker->shared)
        EVP_PKEY_free(worker->shared);
    return NULL;
}

/* Each thread frees its hold on the key, which the main thread made and let go of. */
static void run_threads(int kind, bool shared)
{
    struct worker workers[THREADS];
    EVP_PKEY *key = open_key(kind);

    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .kind = kind, .shared = shared ? key : NULL };
        if (shared)
            EVP_PKEY_up_ref(key);
        else
            kind = other_kind(kind);
    }
    EVP_PKEY_free(key);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].good, ROUNDS);
}

static void threads_share_a_key(void **state)
{
    run_threads(((const struct subject *)*state)->kind, true);
}

static void threads_have_their_own_keys(void **state)
{
    run_threads(((const struct subject *)*state)->kind, false);
}

static void *make(void *kind)
{
    return open_key(*(int *)kind);
}

static void *give_back(void *key)
{
    EVP_PKEY_free(key);
    return NULL;
}

static void a_key_goes_from_thread_to_thread(void **state)
{
    int kind = ((const struct subject *)*state)->kind;
    pthread_t thread;
    void *key;

    assert_int_equal(pthread_create(&thread, NULL, make, &kind), 0);
    assert_int_equal(pthread_join(thread, &key), 0);
    assert_signs(key, kind);
    assert_int_equal(pthread_create(&thread, NULL, give_back, key), 0);
    pthread_join(thread, NULL);
}

int main(void)
{
    static const struct row rows[] = {
        { "EVP_PKEY_dup", a_duplicate_outlives_its_original, ALL_TYPES },
        { "copies of a signer", a_signers_copy_goes_on, HASHING },
        { "copies of a verifier", a_verifiers_copy_goes_on, HASHING },
        { "copies of a whole message's signer", a_whole_messages_signer_is_copied, ED_KEYS },
        { "EVP_PKEY_CTX_dup, sign", each_signing_context_is_copied, HASHING },
        { "EVP_PKEY_CTX_dup, verify", each_verifying_context_is_copied, HASHING },
        { "EVP_PKEY_CTX_dup, encrypt and decrypt", each_decrypting_context_is_copied, RSA_KEYS },
        { "EVP_PKEY_CTX_dup, derive", each_deriving_context_is_copied, EC_KEYS },
        { "EVP_PKEY_CTX_dup, keygen", a_key_generation_is_not_copied, EC_KEYS | ED_KEYS },
        { "threads with one key", threads_share_a_key, ALL_TYPES },
        { "threads with their own keys", threads_have_their_own_keys, RSA_KEYS },
        { "made here, freed there", a_key_goes_from_thread_to_thread, ALL_TYPES },
    };

    return run_rows(rows, sizeof(rows) / sizeof(*rows));
}
