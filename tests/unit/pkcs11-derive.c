/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin's ECDH on SoftHSM: the same secret as libcrypto's, points that are refused, and a token on which
 * nothing is left. */
#include "pkcs11-fixture.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4

static void *token;
static const struct hx_alg ecdh = { .scheme = HX_ECDH };

static int make_tokens(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return fixture_stop();
}

static int make_keys(void **state)
{
    (void)state;
    token = open_and_login("edge");
    return generate(token, HX_P256, 0, "p256", NULL, HX_REPLACE) ||
           generate(token, HX_P384, 0, "p384", NULL, HX_REPLACE) ||
           generate(token, HX_P521, 0, "p521", NULL, HX_REPLACE);
}

static int drop_keys(void **state)
{
    (void)state;
    plugin->close(token);
    unsetenv("P11_COUNTER_FAIL");
    unsetenv("P11_COUNTER_WRAPPED");
    unsetenv("P11_COUNTER_SHORT");
    return 0;
}

/* A peer: its point, and the secret as libcrypto has it, from its private and the token's public key. */
struct peer {
    unsigned char point[133], secret[66];
    size_t point_len, secret_len;
};

static void make_peer(const char *label, const char *curve, struct peer *ret)
{
    EVP_PKEY *theirs = public_key(token, label), *mine = EVP_EC_gen(curve);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(mine, NULL);

    assert_int_equal(
        EVP_PKEY_get_octet_string_param(mine, OSSL_PKEY_PARAM_PUB_KEY, ret->point, sizeof ret->point, &ret->point_len),
        1);
    ret->secret_len = sizeof ret->secret;
    assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(ctx, theirs), 1);
    assert_int_equal(EVP_PKEY_derive(ctx, ret->secret, &ret->secret_len), 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(mine);
    EVP_PKEY_free(theirs);
}

static void derive_and_compare(void *key, const struct peer *peer)
{
    struct plugin_bytes out;

    plugin_bytes_init(&out);
    if (plugin->derive(key, &ecdh, peer->point, peer->point_len, &out.out))
        fail_msg("%s", host.reason);
    assert_int_equal(out.len, peer->secret_len);
    assert_memory_equal(out.data, peer->secret, out.len);
    plugin_bytes_free(&out);
}

static void every_curve_agrees_with_libcrypto_and_leaves_nothing_behind(void **state)
{
    static const char *const rows[][2] = { { "p256", "P-256" }, { "p384", "P-384" }, { "p521", "P-521" } };
    size_t objects = count_objects("edge");
    struct peer peer;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        void *key = load_by_label(token, HX_PRIVATE_KEY, rows[i][0]);

        for (int j = 0; j < 8; j++) { /* on P-521 every other secret begins with a zero */
            make_peer(rows[i][0], rows[i][1], &peer);
            forget_calls();
            derive_and_compare(key, &peer);
            assert_int_equal(calls(NULL), 3); /* derive, read, destroy */
        }
        plugin->unload(key);
    }
    assert_int_equal(count_objects("edge"), objects);
}

static void a_secret_keeps_its_leading_zeros(void **state)
{
    void *key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    struct peer peer;

    (void)state;
    do
        make_peer("p256", "P-256", &peer);
    while (peer.secret[0] != 0);
    derive_and_compare(key, &peer);
    setenv("P11_COUNTER_SHORT", "1", 1);
    derive_and_compare(key, &peer);
    plugin->unload(key);
}

static int derive(void *key, const unsigned char *point, size_t len)
{
    struct plugin_bytes out;
    int r;

    plugin_bytes_init(&out);
    r = plugin->derive(key, &ecdh, point, len, &out.out);
    assert_int_equal(out.len, 0);
    return r;
}

static void a_secret_of_no_bytes_is_none_of_zeros(void **state)
{
    void *key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    struct peer peer;

    (void)state;
    make_peer("p256", "P-256", &peer);
    setenv("P11_COUNTER_SHORT", "all", 1);
    assert_refused(derive(key, peer.point, peer.point_len), HX_E_DEVICE, "a secret of no bytes");
    plugin->unload(key);
}

static void a_module_that_wants_points_wrapped_is_asked_twice_only_once(void **state)
{
    void *key = load_by_label(token, HX_PRIVATE_KEY, "p521");
    struct peer peer;

    (void)state;
    make_peer("p521", "P-521", &peer);
    setenv("P11_COUNTER_WRAPPED", "1", 1);
    forget_calls();
    derive_and_compare(key, &peer);
    assert_int_equal(calls("C_DeriveKey"), 2);
    derive_and_compare(key, &peer);
    assert_int_equal(calls("C_DeriveKey"), 3);
    setenv("P11_COUNTER_FAIL", "C_DeriveKey:1:0x71", 1); /* and back again */
    unsetenv("P11_COUNTER_WRAPPED");
    derive_and_compare(key, &peer);
    derive_and_compare(key, &peer);
    assert_int_equal(calls("C_DeriveKey"), 6);
    plugin->unload(key);
}

static void points_that_are_not_on_the_curve_never_reach_the_module(void **state)
{
    void *key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    struct peer peer, other;

    (void)state;
    make_peer("p256", "P-256", &peer);
    make_peer("p384", "P-384", &other);
    forget_calls();
    assert_refused(derive(key, other.point, other.point_len), HX_E_INVALID, "97 bytes");
    assert_refused(derive(key, other.point, 65), HX_E_INVALID, "no point on the curve");
    assert_refused(derive(key, peer.point, 64), HX_E_INVALID, "64 bytes");
    assert_refused(derive(key, peer.point, 0), HX_E_INVALID, "0 bytes");
    assert_refused(derive(key, (const unsigned char *)"", 1), HX_E_INVALID, "1 bytes"); /* infinity */
    peer.point[64] ^= 1;
    assert_refused(derive(key, peer.point, 65), HX_E_INVALID, "no point on the curve of key 'p256'");
    peer.point[64] ^= 1;
    peer.point[0] = peer.point[64] & 1 ? 7 : 6; /* hybrid */
    assert_refused(derive(key, peer.point, 65), HX_E_INVALID, "no point on the curve");
    peer.point[0] = 4;
    memset(peer.point + 1, 0xff, 64); /* coordinates above the field's prime */
    assert_refused(derive(key, peer.point, 65), HX_E_INVALID, "no point on the curve");
    assert_int_equal(calls(NULL), 0);
    plugin->unload(key);
}

static void a_failure_leaves_nothing_behind(void **state)
{
    static const struct {
        const char *rule, *text;
        int result;
    } rows[] = {
        { "C_GetAttributeValue:1:0x11", "CKR_ATTRIBUTE_SENSITIVE", HX_E_UNSUPPORTED },
        { "C_GetAttributeValue:1:0x150", "CKR_BUFFER_TOO_SMALL", HX_E_DEVICE },
        { "C_GetAttributeValue:1:0x5,C_DestroyObject:1:0x5", "C_GetAttributeValue on 'edge'", HX_E_DEVICE },
        { "C_DeriveKey:0:0x71", "CKR_MECHANISM_PARAM_INVALID", HX_E_UNSUPPORTED },
        { "C_DeriveKey:0:0x70", "C_DeriveKey on 'edge': CKR_MECHANISM_INVALID", HX_E_UNSUPPORTED },
        { "C_DeriveKey:0:0x7", "CKR_ARGUMENTS_BAD", HX_E_UNSUPPORTED },
        { "C_DeriveKey:1:0x71,C_DeriveKey:2:0x101", "CKR_USER_NOT_LOGGED_IN", HX_E_LOGIN },
    };
    size_t objects = count_objects("edge");
    struct peer peer;

    (void)state;
    make_peer("p256", "P-256", &peer);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *key = load_by_label(token, HX_PRIVATE_KEY, "p256");

        setenv("P11_COUNTER_FAIL", rows[i].rule, 1);
        assert_refused(derive(key, peer.point, peer.point_len), rows[i].result, rows[i].text);
        unsetenv("P11_COUNTER_FAIL");
        login(token, TEST_PIN); /* it ended if the failure cost the only session */
        assert_int_equal(count_objects("edge"), objects);
        plugin->unload(key);
    }
}

static void a_secret_that_cannot_be_destroyed_goes_with_its_session(void **state)
{
    void *key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    size_t objects = count_objects("edge");
    struct peer peer;

    (void)state;
    make_peer("p256", "P-256", &peer);
    forget_calls();
    setenv("P11_COUNTER_FAIL", "C_DestroyObject:1:0x5", 1);
    derive_and_compare(key, &peer);
    assert_int_equal(calls("C_CloseSession"), 1);
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(login(token, TEST_PIN), 0);
    assert_int_equal(count_objects("edge"), objects);
    plugin->unload(key);
    key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    setenv("P11_COUNTER_FAIL", "C_DestroyObject:1:0xb3", 1);
    assert_refused(derive(key, peer.point, peer.point_len), HX_E_LOST, "CKR_SESSION_HANDLE_INVALID");
    unsetenv("P11_COUNTER_FAIL");
    close_all_sessions();
    plugin->unload(key);
}

static void only_keys_made_for_it_derive(void **state)
{
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .usage = HX_SIGN_DIGEST, .label = "signs" };
    struct hx_alg odd = { .scheme = HX_ECDH, .spare = { 1 } }, other = { .scheme = HX_ECDSA };
    struct plugin_objects listed = list(token, HX_PRIVATE_KEY, "p256");
    struct plugin_bytes out;
    struct peer peer;
    void *key;

    (void)state;
    assert_int_equal(listed.object[0].usage, HX_SIGN_DIGEST | HX_DERIVE);
    key = load(token, &listed.object[0]);
    plugin_objects_free(&listed);
    plugin_bytes_init(&out);
    assert_refused(plugin->derive(key, &odd, "", 0, &out.out), HX_E_UNSUPPORTED, "unknown parameters");
    assert_refused(plugin->derive(key, &other, "", 0, &out.out), HX_E_UNSUPPORTED, "no such scheme");
    plugin->unload(key);
    assert_int_equal(plugin->generate(token, &spec, &out.out), 0);
    plugin_bytes_free(&out);
    make_peer("signs", "P-256", &peer);
    key = load_by_label(token, HX_PRIVATE_KEY, "signs");
    assert_refused(derive(key, peer.point, peer.point_len), HX_E_UNSUPPORTED, "NOT_PERMITTED");
    plugin->unload(key);
}

static void *shared_key;
static struct peer shared_peer;
static atomic_uint failures;

static int put_as_expected(struct hx_out *out, const void *data, size_t len)
{
    (void)out;
    return len == shared_peer.secret_len && !memcmp(data, shared_peer.secret, len) ? 0 : HX_E_DEVICE;
}

static void *derive_many(void *arg)
{
    struct hx_out out = { .put = put_as_expected };

    for (int i = 0; i < 25; i++)
        failures += plugin->derive(shared_key, &ecdh, shared_peer.point, shared_peer.point_len, &out) != 0;
    return arg;
}

static void threads_derive_from_one_key(void **state)
{
    size_t objects = count_objects("edge");
    pthread_t threads[THREADS];

    (void)state;
    make_peer("p256", "P-256", &shared_peer);
    shared_key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, derive_many, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
    assert_int_equal(count_objects("edge"), objects);
    plugin->unload(shared_key);
}

int pkcs11_derive_tests(void)
{
#define with_keys(test) cmocka_unit_test_setup_teardown(test, make_keys, drop_keys)
    const struct CMUnitTest tests[] = {
        with_keys(every_curve_agrees_with_libcrypto_and_leaves_nothing_behind),
        with_keys(a_secret_keeps_its_leading_zeros),
        with_keys(a_secret_of_no_bytes_is_none_of_zeros),
        with_keys(a_module_that_wants_points_wrapped_is_asked_twice_only_once),
        with_keys(points_that_are_not_on_the_curve_never_reach_the_module),
        with_keys(a_failure_leaves_nothing_behind),
        with_keys(a_secret_that_cannot_be_destroyed_goes_with_its_session),
        with_keys(only_keys_made_for_it_derive),
        with_keys(threads_derive_from_one_key),
    };

    return cmocka_run_group_tests_name("agreement", tests, make_tokens, stop);
}
