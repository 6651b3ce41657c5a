/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens in use: opened late, shared by all contexts, closed with their last user, no burden for each other. */
#include "twins.h"

static void a_reference_opens_nothing_until_it_signs(void **state)
{
    AUTO_BYTES struct hx_bytes der = { 0 };
    struct hx_key *key;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    reference_of("hsm:edge/key/device", &der);
    configure(EDGE);
    assert_int_equal(fake->open_handles, 0);
    forget_calls(fake);
    key = from_reference(&der);
    for (int i = 0; i < FAKE_CALLS; i++)
        assert_int_equal(fake->calls[i], 0);
    expect_result(sign_with(key, NULL), HX_OK);
    expect_result(sign_with(key, NULL), HX_OK);
    assert_int_equal(fake->calls[FAKE_OPEN], 1);
    assert_int_equal(fake->calls[FAKE_LOAD], 1);
    assert_int_equal(fake->calls[FAKE_SIGN], 2);
    hx_key_close(key);
}

static void a_reference_opens_at_once_where_the_token_says_so(void **state)
{
    AUTO_BYTES struct hx_bytes der = { 0 };
    struct hx_key *key = NULL;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    reference_of("hsm:edge/key/device", &der);
    configure(EDGE "open = load\n");
    forget_calls(fake);
    key = from_reference(&der);
    assert_int_equal(fake->calls[FAKE_OPEN], 1);
    assert_int_equal(fake->calls[FAKE_LOAD], 1);
    expect_result(sign_with(key, NULL), HX_OK);
    assert_int_equal(fake->calls[FAKE_LOAD], 1);
    hx_key_close(key);
    configure(EDGE "open = load\n");
    fake->token[0].absent = true;
    expect_result(hx_key_from_reference(ctx, der.data, der.len, &key), HX_E_NOT_FOUND);
    expect_said("token 'edge': open: token '");
}

static void two_contexts_share_one_token(void **state)
{
    struct hx *first;
    struct hx_key *a, *b;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    first = ctx;
    ctx = NULL;
    configure(EDGE);
    expect_result(hx_key_open(first, "hsm:edge/key/device", &a), HX_OK);
    b = open_key("hsm:edge/key/device");
    expect_result(sign_with(a, NULL), HX_OK);
    expect_result(sign_with(b, NULL), HX_OK);
    assert_int_equal(fake->calls[FAKE_OPEN], 1);
    hx_key_close(a);
    hx_free(first);
    assert_int_equal(fake->open_handles, 1);
    expect_result(sign_with(b, NULL), HX_OK);
    hx_key_close(b);
    assert_int_equal(fake->calls[FAKE_OPEN], 1);
}

static void other_options_are_another_token(void **state)
{
    (void)state;
    two_tokens();
    put_key(0, "device", 1);
    put_key(1, "device", 2);
    configure(EDGE OTHER);
    hx_key_close(open_key("hsm:edge/key/device"));
    hx_key_close(open_key("hsm:other/key/device"));
    assert_int_equal(fake->calls[FAKE_OPEN], 2);
}

static void a_token_closes_with_its_last_user(void **state)
{
    struct hx_key *a, *b;

    (void)state;
    put_key(0, "device", 1);
    put_key(0, "spare", 2);
    configure(EDGE);
    a = open_key("hsm:edge/key/device");
    b = hx_key_retain(a);
    hx_free(ctx);
    ctx = NULL;
    assert_int_equal(fake->open_handles, 1);
    hx_key_close(a);
    expect_result(sign_with(b, NULL), HX_OK);
    assert_int_equal(fake->loaded_objects, 1);
    hx_key_close(b);
    assert_int_equal(fake->loaded_objects, 0);
    assert_int_equal(fake->open_handles, 0);
    assert_int_equal(fake->calls[FAKE_CLOSE], 1);
}

static void a_key_goes_before_its_token(void **state)
{
    struct hx_key *a, *b;

    (void)state;
    put_key(0, "device", 1);
    put_key(0, "spare", 2);
    configure(EDGE);
    a = open_key("hsm:edge/key/device");
    b = open_key("hsm:edge/key/spare");
    hx_key_close(a);
    assert_int_equal(fake->loaded_objects, 1);
    fake->lose(0);
    expect_result(sign_with(b, NULL), HX_OK);
    assert_int_equal(fake->loaded_objects, 1);
    hx_key_close(b);
}

struct signer {
    struct hx_key *key;
    unsigned times;
    int result;
};

static void *sign_many(void *arg)
{
    struct signer *signer = arg;

    for (unsigned i = 0; i < signer->times && !signer->result; i++)
        signer->result = sign_with(signer->key, NULL);
    return NULL;
}

static void a_slow_token_holds_up_only_itself(void **state)
{
    struct signer slow = { .times = 1 };
    struct hx_key *quick;
    pthread_t thread;
    int64_t start;

    (void)state;
    put_key(0, "device", 1);
    add_key(swift, "device", HX_P256, 1);
    configure(EDGE SWIFT);
    slow.key = open_key("hsm:edge/key/device");
    quick = open_key("hsm:swift/key/device");
    slow_down(fake, FAKE_SIGN, 1500);
    assert_int_equal(pthread_create(&thread, NULL, sign_many, &slow), 0);
    while (!fake->calls[FAKE_SIGN])
        nap_ms(1);
    start = now_ms();
    for (int i = 0; i < 5; i++)
        expect_result(sign_with(quick, NULL), HX_OK);
    hx_key_close(quick);
    hx_key_close(open_key("hsm:swift/key/device"));
    assert_true(now_ms() - start < 1000);
    pthread_join(thread, NULL);
    assert_int_equal(slow.result, HX_OK);
    hx_key_close(slow.key);
}

/* How long four threads take for two signatures of 100 ms each. */
static int64_t four_at_once(struct fake_control *control, const char *address)
{
    struct signer signer[4];
    pthread_t thread[4];
    int64_t start;

    slow_down(control, FAKE_SIGN, 100);
    for (int i = 0; i < 4; i++)
        signer[i] = (struct signer){ .key = open_key(address), .times = 2 };
    start = now_ms();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, sign_many, &signer[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(signer[i].result, HX_OK);
    }
    start = now_ms() - start;
    for (int i = 0; i < 4; i++)
        hx_key_close(signer[i].key);
    return start;
}

static void a_thread_safe_plugin_gets_calls_at_once(void **state)
{
    (void)state;
    add_key(swift, "device", HX_P256, 1);
    configure(SWIFT);
    assert_true(four_at_once(swift, "hsm:swift/key/device") < 700);
}

static void any_other_plugin_gets_one_call_at_a_time(void **state)
{
    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    /* The fake plugin notes calls that overlap. */
    assert_true(four_at_once(fake, "hsm:edge/key/device") >= 800);
}

static void a_reference_to_another_key_is_refused(void **state)
{
    AUTO_BYTES struct hx_bytes der = { 0 };
    struct fake_object *object = put_key(0, "device", 1);
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    reference_of("hsm:edge/key/device", &der);
    configure(EDGE);
    object->key = 2;
    key = from_reference(&der);
    forget_calls(fake);
    expect_result(sign_with(key, NULL), HX_E_INVALID);
    expect_said("not the key that the reference was made for");
    assert_int_equal(fake->calls[FAKE_SIGN], 0);
    assert_int_equal(fake->loaded_objects, 0);
    object->key = 1;
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
}

static void a_reference_that_fits_two_objects_is_refused(void **state)
{
    AUTO_BYTES struct hx_bytes der = { 0 };
    struct fake_object *twin;
    struct hx_key *key;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    reference_of("hsm:edge/key/device", &der);
    twin = put_key(0, "device", 2);
    key = from_reference(&der);
    expect_result(sign_with(key, NULL), HX_E_AMBIGUOUS);
    expect_said("more than one object");
    assert_int_equal(fake->calls[FAKE_SIGN], 0);
    twin->uid = 0;
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
}

static void a_reference_to_nothing_says_so(void **state)
{
    AUTO_BYTES struct hx_bytes der = { 0 };
    struct fake_object *object = put_key(0, "device", 1);
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    reference_of("hsm:edge/key/device", &der);
    object->uid = 0;
    key = from_reference(&der);
    expect_result(sign_with(key, NULL), HX_E_NOT_FOUND);
    expect_said("token 'edge': sign: no object 'hsm:edge/key/device'");
    hx_key_close(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWINS_TEST(a_reference_opens_nothing_until_it_signs),
        TWINS_TEST(a_reference_opens_at_once_where_the_token_says_so),
        TWINS_TEST(two_contexts_share_one_token),
        TWINS_TEST(other_options_are_another_token),
        TWINS_TEST(a_token_closes_with_its_last_user),
        TWINS_TEST(a_key_goes_before_its_token),
        TWINS_TEST(a_slow_token_holds_up_only_itself),
        TWINS_TEST(a_thread_safe_plugin_gets_calls_at_once),
        TWINS_TEST(any_other_plugin_gets_one_call_at_a_time),
        TWINS_TEST(a_reference_to_another_key_is_refused),
        TWINS_TEST(a_reference_that_fits_two_objects_is_refused),
        TWINS_TEST(a_reference_to_nothing_says_so),
    };

    return cmocka_run_group_tests(tests, twins_build, scene_strike);
}
