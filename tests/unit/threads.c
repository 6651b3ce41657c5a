/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads at once on tokens that go away under them; meant for the thread sanitizer too. */
#include "twins.h"

#define THREADS 8

static atomic_bool stop;
static atomic_uint done, lost;
static struct hx_key *shared[2];
static struct hx_bytes reference;

/* A token that is lost twice during one call is the caller's to see. */
static bool went_well(int result)
{
    if (result == HX_E_LOST)
        lost++;
    else if (!result)
        done++;
    if (result && result != HX_E_LOST)
        print_error("%d: %s\n", result, hx_last_error());
    return !result || result == HX_E_LOST;
}

static bool open_sign_close(const char *address)
{
    struct hx_key *key = NULL;
    int result = hx_key_open(ctx, address, &key);

    if (!result)
        result = sign_with(key, NULL);
    hx_key_close(key);
    return went_well(result);
}

static bool use_reference(void)
{
    struct hx_key *key = NULL;
    int result = hx_key_from_reference(ctx, reference.data, reference.len, &key);

    if (!result)
        result = sign_with(key, NULL);
    hx_key_close(key);
    return went_well(result);
}

static bool use_own_context(void)
{
    struct hx_key *key = NULL;
    struct hx *mine = NULL;
    int result = hx_new(conf_path, &mine);

    if (!result)
        result = hx_key_open(mine, "hsm:swift/key/device", &key);
    hx_free(mine);
    if (!result)
        result = sign_with(key, NULL);
    hx_key_close(key);
    return went_well(result);
}

static void *work(void *arg)
{
    for (unsigned i = *(unsigned *)arg; !stop; i++) {
        bool good = i % 4 == 0   ? open_sign_close(i % 8 ? "hsm:edge/key/device" : "hsm:swift/key/device")
                    : i % 4 == 1 ? use_reference()
                    : i % 4 == 2 ? use_own_context()
                                 : went_well(sign_with(shared[i / 4 % 2], NULL));

        if (!good)
            return arg;
    }
    return NULL;
}

static void prepare(void)
{
    strcpy(swift->token[0].pin, "1234");
    swift->token[0].flags = HX_TOKEN_LOGIN;
    put_key(0, "device", 1);
    swift->token[0].object[add_key(swift, "device", HX_P256, 1)].locked = true;
    configure(EDGE SWIFT "pin = 1234\n");
    reference_of("hsm:swift/key/device", &reference);
    shared[0] = open_key("hsm:edge/key/device");
    shared[1] = open_key("hsm:swift/key/device");
    done = lost = 0;
    stop = false;
}

/* For this long, with the tokens lost every so often; 0: never. */
static void run_threads(long ms, long every)
{
    pthread_t thread[THREADS];
    unsigned number[THREADS];
    int64_t end = now_ms() + ms;
    void *bad;

    prepare();
    for (unsigned i = 0; i < THREADS; i++) {
        number[i] = i;
        assert_int_equal(pthread_create(&thread[i], NULL, work, &number[i]), 0);
    }
    for (int i = 0; now_ms() < end; i++) {
        nap_ms(every ? every : ms);
        if (every)
            (i % 2 ? fake : swift)->lose(0);
    }
    stop = true;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], &bad);
        assert_null(bad);
    }
    assert_true(done >= THREADS);
    assert_true(lost <= done);
    for (int i = 0; i < 2; i++) {
        expect_result(sign_with(shared[i], NULL), HX_OK);
        hx_key_close(shared[i]);
    }
    hx_bytes_free(&reference);
}

static void threads_open_sign_and_close(void **state)
{
    (void)state;
    run_threads(1500, 0);
    assert_int_equal(lost, 0);
    assert_int_equal(fake->calls[FAKE_OPEN], 1);
    assert_int_equal(swift->calls[FAKE_OPEN], 1);
    assert_int_equal(swift->calls[FAKE_LOGIN], 1);
}

static void threads_go_on_when_tokens_are_lost(void **state)
{
    (void)state;
    run_threads(3000, 150);
    assert_true(fake->calls[FAKE_OPEN] > 2);
    assert_true(swift->calls[FAKE_OPEN] > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWINS_TEST(threads_open_sign_and_close),
        TWINS_TEST(threads_go_on_when_tokens_are_lost),
    };

    return cmocka_run_group_tests(tests, twins_build, scene_strike);
}
