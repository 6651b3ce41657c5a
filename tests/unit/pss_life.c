/* SPDX-License-Identifier: Apache-2.0 */
/* What the core learnt of a token's PSS, when the token is another one the next time, in many threads, in a child. */
#include "pss.h"

#include <sys/wait.h>

enum { THREADS = 8 };

/* Each time the token comes back as another one that has the same key. */
static void the_token_is_swapped_behind_our_back(void **state)
{
    struct hx_alg alg = pss(HX_SHA256, 32);

    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        for (size_t j = 0; j < sizeof tokens / sizeof *tokens; j++) {
            const struct token_case *at[] = { &tokens[i], &tokens[j] };
            struct hx_key *key = fresh_key(2048);

            for (int k = 0; k < 2; k++) {
                bool able = !(at[k]->refused & NO_RAW) || made_by(at[k], 32, HX_SHA256) == 32;

                fake->salt = at[k]->salt;
                fake->refused_schemes = at[k]->refused;
                if (k)
                    fake->lose(0);
                for (int l = 0; l < 2; l++)
                    expect_result(sign(key, &alg), able ? HX_OK : HX_E_UNSUPPORTED);
            }
            hx_key_close(key);
        }
}

struct signer {
    struct hx_key *key;
    EVP_PKEY *public;
    struct hx_alg alg;
    unsigned good;
};

static void *sign_some(void *arg)
{
    struct signer *signer = arg;

    for (int i = 0; i < 6; i++) {
        struct hx_bytes sig = { 0 };

        if (!hx_sign(signer->key, &signer->alg, digest, 32, &sig) && is_good(signer->public, &signer->alg, &sig))
            signer->good++;
        hx_bytes_free(&sig);
    }
    return NULL;
}

static void threads_sign_while_tokens_are_swapped(void **state)
{
    struct fake_object object = { .kind = HX_PRIVATE_KEY, .type = HX_RSA, .bits = 1024, .label = "device", .key = 1 };
    EVP_PKEY *public;
    struct hx_key *key;

    (void)state;
    assert_true(swift->add(0, &object) >= 0);
    configure(SWIFT);
    key = open_key("hsm:swift/key/device");
    public = public_of(key);
    for (int round = 0; round < 20; round++) {
        struct signer signer[THREADS];
        pthread_t thread[THREADS];

        swift->salt = tokens[round % 3].salt;
        swift->refused_schemes = round % 4 == 3 ? NO_PSS : 0;
        swift->lose(0);
        for (size_t i = 0; i < THREADS; i++) {
            signer[i] = (struct signer){ key, public, pss(HX_SHA256, i % 2 ? 32 : 7), 0 };
            assert_int_equal(pthread_create(&thread[i], NULL, sign_some, &signer[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(thread[i], NULL);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(signer[i].good, 6);
    }
    EVP_PKEY_free(public);
    hx_key_close(key);
}

static void a_child_goes_on_as_its_parent_did(void **state)
{
    struct hx_alg alg = pss(HX_SHA256, 32);
    struct hx_key *key = fresh_key(2048);
    EVP_PKEY *public = public_of(key);
    int status;
    pid_t pid;

    (void)state;
    fake->salt = FAKE_SALT_MAX;
    expect_result(sign(key, &alg), HX_OK);
    expect_work(2, HX_RSA_PSS, 1, 1);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        struct signer signer = { key, public, alg, 0 };

        sign_some(&signer);
        hx_key_close(key);
        hx_free(ctx);
        _exit(signer.good == 6 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    expect_work(6, HX_RSA_PSS, 0, 6);
    expect_result(sign(key, &alg), HX_OK);
    expect_work(1, HX_RSA_PSS, 0, 1);
    EVP_PKEY_free(public);
    hx_key_close(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RSA_TEST(the_token_is_swapped_behind_our_back),
        RSA_TEST(threads_sign_while_tokens_are_swapped),
        RSA_TEST(a_child_goes_on_as_its_parent_did),
    };

    return cmocka_run_group_tests(tests, rsa_build, rsa_strike);
}
