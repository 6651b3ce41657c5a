/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL provider: key agreement, compared with the default provider's on the other side. */
#include "provider-agree.h"

#include <pthread.h>
#include <sys/wait.h>

enum { THREADS = 8, ROUNDS = 20 };

static void both_sides_come_to_one_secret(void **state)
{
    (void)state;
    for (int i = 0; i < CURVES; i = next_curve(i)) {
        EVP_PKEY *token = open_key(curves[i]), *other = software_key(kinds[curves[i]].group);
        EVP_PKEY *ours_public = imported(other), *theirs_public = public_half(other);
        struct secret secret = agree(other, twins[curves[i]]);
        struct secret by_library = agree(token, theirs_public), by_import = agree(token, ours_public);

        assert_int_equal(secret.len, (EVP_PKEY_get_bits(token) + 7) / 8);
        assert_same(&by_library, &secret);
        assert_same(&by_import, &secret);
        EVP_PKEY_free(ours_public);
        EVP_PKEY_free(theirs_public);
        EVP_PKEY_free(other);
        EVP_PKEY_free(token);
    }
}

static void a_compressed_point_is_as_good(void **state)
{
    (void)state;
    for (int i = 0; i < CURVES; i = next_curve(i)) {
        EVP_PKEY *token = open_key(curves[i]), *other = software_key(kinds[curves[i]].group), *peer;
        struct secret secret = agree(other, twins[curves[i]]), got;

        assert_int_equal(EVP_PKEY_set_utf8_string_param(other, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                                        OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED),
                         1);
        peer = public_half(other);
        got = agree(token, peer);
        assert_same(&got, &secret);
        EVP_PKEY_free(peer);
        peer = imported(other);
        got = agree(token, peer);
        assert_same(&got, &secret);
        EVP_PKEY_free(peer);
        EVP_PKEY_free(other);
        EVP_PKEY_free(token);
    }
}

/* CMS makes the sender's key so: the curve of the recipient's, and the point of the message. */
static void a_peer_may_take_the_curve_from_the_key_itself(void **state)
{
    (void)state;
    for (int i = 0; i < CURVES; i = next_curve(i)) {
        EVP_PKEY *token = open_key(curves[i]), *other = software_key(kinds[curves[i]].group), *peer = EVP_PKEY_new();
        struct secret secret = agree(other, twins[curves[i]]), got;
        unsigned char *point = NULL;
        size_t len = EVP_PKEY_get1_encoded_public_key(other, &point);

        assert_int_equal(EVP_PKEY_copy_parameters(peer, token), 1);
        assert_int_equal(EVP_PKEY_parameters_eq(peer, token), 1);
        assert_int_equal(EVP_PKEY_parameters_eq(peer, other), 1);
        assert_int_not_equal(EVP_PKEY_eq(peer, other), 1);
        ERR_clear_error();
        assert_int_not_equal(EVP_PKEY_set1_encoded_public_key(peer, point, len - 1), 1);
        queue_says("no point of the curve");
        assert_int_equal(EVP_PKEY_set1_encoded_public_key(peer, point, len), 1);
        assert_int_equal(EVP_PKEY_eq(peer, other), 1);
        got = agree(token, peer);
        assert_same(&got, &secret);
        assert_int_not_equal(EVP_PKEY_set1_encoded_public_key(peer, point, len), 1);
        queue_says("does not change");
        assert_int_not_equal(EVP_PKEY_set1_encoded_public_key(token, point, len), 1);
        queue_says("does not change");
        OPENSSL_free(point);
        EVP_PKEY_free(peer);
        EVP_PKEY_free(other);
        EVP_PKEY_free(token);
    }
}

static void a_peer_that_waits_for_its_point_is_copied(void **state)
{
    EVP_PKEY *token = open_key(P256), *other = software_key("P-256"), *peer = EVP_PKEY_new(), *copy;
    unsigned char *point = NULL, *none = NULL;
    size_t len = EVP_PKEY_get1_encoded_public_key(other, &point);

    (void)state;
    assert_int_equal(EVP_PKEY_copy_parameters(peer, token), 1);
    copy = EVP_PKEY_dup(peer);
    assert_non_null(copy);
    assert_int_equal(EVP_PKEY_set1_encoded_public_key(copy, point, len), 1);
    assert_int_equal(EVP_PKEY_eq(copy, other), 1);
    assert_int_equal(EVP_PKEY_get1_encoded_public_key(peer, &none), 0);
    ERR_clear_error();
    assert_int_equal(EVP_PKEY_set1_encoded_public_key(peer, point, len), 1);
    OPENSSL_free(point);
    EVP_PKEY_free(copy);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(other);
    EVP_PKEY_free(token);
}

static void a_key_of_a_token_is_a_peer(void **state)
{
    EVP_PKEY *token = open_key(P256), *again = open_key(P256);
    struct secret expected = agree(twins[P256], twins[P256]), got = agree(token, again);

    (void)state;
    assert_same(&got, &expected);
    EVP_PKEY_free(token);
    EVP_PKEY_free(again);
}

/* A software key agrees with what the store gives to those who ask for a public key. */
static void a_software_key_agrees_with_a_token(void **state)
{
    EVP_PKEY *other = software_key("P-256"), *token = open_key(P256), *half;
    OSSL_STORE_INFO *info = fetch("hsm:soft/key/p256", OSSL_STORE_INFO_PUBKEY);
    struct secret expected = agree(other, twins[P256]), got;

    (void)state;
    assert_non_null(info);
    got = agree(other, OSSL_STORE_INFO_get0_PUBKEY(info));
    assert_same(&got, &expected);
    OSSL_STORE_INFO_free(info);
    half = public_half(token);
    got = agree(other, half);
    assert_same(&got, &expected);
    EVP_PKEY_free(half);
    half = imported(token);
    got = agree(other, half);
    assert_same(&got, &expected);
    EVP_PKEY_free(half);
    EVP_PKEY_free(token);
    EVP_PKEY_free(other);
}

static void a_small_room_is_filled_as_the_default_provider_fills_it(void **state)
{
    EVP_PKEY *keys[2] = { open_key(P256), twins[P256] }, *other = software_key("P-256"), *peer = public_half(other);
    unsigned char room[2][33];

    (void)state;
    memset(room, 0xa5, sizeof(room));
    for (int i = 0; i < 2; i++) {
        EVP_PKEY_CTX *ctx = begin(keys[i]);
        size_t len = 20;

        assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
        assert_int_equal(EVP_PKEY_derive(ctx, room[i], &len), 1);
        assert_int_equal(len, 20);
        EVP_PKEY_CTX_free(ctx);
    }
    assert_memory_equal(room[0], room[1], sizeof(room[0]));
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(other);
}

static void a_key_of_another_curve_is_refused(void **state)
{
    static const char *const others[] = { "P-384", "secp256k1", "brainpoolP256r1" };
    EVP_PKEY *token = open_key(P256);

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        EVP_PKEY *other = software_key(others[i]), *peer = public_half(other);
        EVP_PKEY_CTX *ctx = begin(token);

        assert_int_not_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
        queue_says("not on that of 'hsm:soft/key/p256'");
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(peer);
        EVP_PKEY_free(other);
    }
    EVP_PKEY_free(token);
}

static void a_public_key_alone_agrees_on_nothing(void **state)
{
    EVP_PKEY *public = imported(twins[P256]);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, public, "provider=hsmux");

    (void)state;
    assert_int_not_equal(EVP_PKEY_derive_init(ctx), 1);
    queue_says("a public key cannot agree on a secret");
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(public);
}

struct work {
    EVP_PKEY *own, *peer;
    struct secret expected;
    int good;
};

static void *agree_often(void *arg)
{
    struct work *work = arg;

    for (int i = 0; i < ROUNDS; i++) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, work->own, NULL);
        unsigned char bytes[SECRET_MAX];
        size_t len = sizeof(bytes);

        work->good += EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, work->peer) == 1 &&
                      EVP_PKEY_derive(ctx, bytes, &len) == 1 && len == work->expected.len &&
                      !memcmp(bytes, work->expected.bytes, len);
        EVP_PKEY_CTX_free(ctx);
    }
    return NULL;
}

static void eight_threads_share_a_key(void **state)
{
    EVP_PKEY *token = open_key(P256), *other = software_key("P-256"), *peer = public_half(other);
    struct secret expected = agree(other, twins[P256]);
    struct work work[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        work[i] = (struct work){ token, peer, expected, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, agree_often, &work[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(work[i].good, ROUNDS);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(other);
    EVP_PKEY_free(token);
}

static void a_child_agrees_with_what_it_inherited(void **state)
{
    EVP_PKEY *token = open_key(P256), *other = software_key("P-256"), *peer = public_half(other);
    struct work work = { token, peer, agree(other, twins[P256]), 0 };
    int status;
    pid_t child;

    (void)state;
    agree(token, peer);
    child = fork();
    if (!child) {
        agree_often(&work);
        _exit(work.good == ROUNDS ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(other);
    EVP_PKEY_free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_come_to_one_secret),
        cmocka_unit_test(a_compressed_point_is_as_good),
        cmocka_unit_test(a_peer_may_take_the_curve_from_the_key_itself),
        cmocka_unit_test(a_peer_that_waits_for_its_point_is_copied),
        cmocka_unit_test(a_key_of_a_token_is_a_peer),
        cmocka_unit_test(a_software_key_agrees_with_a_token),
        cmocka_unit_test(a_small_room_is_filled_as_the_default_provider_fills_it),
        cmocka_unit_test(a_key_of_another_curve_is_refused),
        cmocka_unit_test(a_public_key_alone_agrees_on_nothing),
        cmocka_unit_test(eight_threads_share_a_key),
        cmocka_unit_test(a_child_agrees_with_what_it_inherited),
    };

    return can_run() ? cmocka_run_group_tests(tests, set_up_all, tear_down) : 77;
}
