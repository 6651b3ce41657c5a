/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: opened by every form of address, bound to their references, alive as long as somebody holds them. */
#include "scene.h"

static struct hx_key *open_key(const char *address)
{
    struct hx_key *key = NULL;

    expect_result(hx_key_open(ctx, address, &key), HX_OK);
    return key;
}

static void expect_key(const char *address, const char *own)
{
    struct hx_key *key = open_key(address);

    assert_string_equal(hx_key_address(key), own);
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
}

static void expect_no_key(const char *address, int result, const char *reason)
{
    struct hx_key *key = NULL;

    expect_result(hx_key_open(ctx, address, &key), result);
    expect_said(reason);
    assert_null(key);
}

static void a_key_is_opened_by_every_form_of_address(void **state)
{
    (void)state;
    two_tokens();
    configure(EDGE OTHER "[credential]\nkey = hsm:edge/key/one\n[credential web]\nkey = hsm:other/key?id=02\n");
    put_key(0, "one", 1);
    put_key(1, "two", 2);
    expect_key("hsm:", "hsm:edge/key/one");
    expect_key("hsm:web", "hsm:other/key/two?id=02");
    expect_key("hsm:edge/key/one", "hsm:edge/key/one");
    expect_key("hsm:edge/key/one?id=01", "hsm:edge/key/one?id=01");
    expect_key("hsm:edge/key?id=01", "hsm:edge/key/one?id=01");
    expect_key("hsm:edge/key", "hsm:edge/key/one");
    expect_key("pkcs11:token=second", "hsm:other/key/two");
    expect_key("pkcs11:object=two;type=private", "hsm:other/key/two");
    expect_key("pkcs11:serial=F0002;id=%02?pin-value=x", "hsm:other/key/two?id=02");
}

static void what_is_no_key_is_not_opened(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    put_cert(0, "one", 1, FAKE_VALID, 0);
    expect_no_key("hsm:edge/cert/one", HX_E_INVALID, "a cert is no key to sign with");
    expect_no_key("hsm:edge/key/two", HX_E_NOT_FOUND, "no object 'hsm:edge/key/two' on token 'edge'");
    expect_no_key("hsm:edge/key/one?id=02", HX_E_NOT_FOUND, "no object");
    expect_no_key("hsm:none", HX_E_NOT_FOUND, "no [credential none]");
    expect_no_key("", HX_E_INVALID, "neither 'hsm:' nor 'pkcs11:'");
}

static void a_label_that_two_keys_share_opens_neither(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "same", 1);
    put_key(0, "same", 2);
    expect_no_key("hsm:edge/key/same", HX_E_AMBIGUOUS, "hsm:edge/key/same?id=01, hsm:edge/key/same?id=02");
    expect_key("hsm:edge/key/same?id=02", "hsm:edge/key/same?id=02");
}

static void a_key_tells_what_it_is(void **state)
{
    struct fake_object rsa = { .kind = HX_PRIVATE_KEY, .type = HX_RSA, .label = "rsa" };
    struct hx_object info;
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    put(0, &rsa);
    put_key(0, "ec", 1)->flags = HX_IN_HARDWARE;
    key = open_key("hsm:edge/key/ec");
    expect_result(hx_key_info(key, &info), HX_OK);
    assert_int_equal(info.kind, HX_PRIVATE_KEY);
    assert_int_equal(info.type, HX_P256);
    assert_int_equal(info.bits, 256);
    assert_int_equal(info.usage, HX_SIGN_DIGEST);
    assert_int_equal(info.flags, HX_IN_HARDWARE);
    assert_string_equal(info.label, "ec");
    assert_memory_equal(info.id.data, "\x01", 1);
    hx_key_close(key);
    key = open_key("hsm:edge/key/rsa");
    expect_result(hx_key_info(key, &info), HX_OK);
    assert_int_equal(info.type, HX_RSA);
    assert_int_equal(info.bits, 2048);
    assert_int_equal(info.rsa_e, 65537);
    hx_key_close(key);
}

static void a_secret_key_is_opened_but_has_no_reference(void **state)
{
    struct fake_object secret = { .kind = HX_SECRET_KEY, .type = HX_GENERIC, .label = "mac", .value_len = 16 };
    struct hx_alg alg = { .scheme = HX_HMAC, .hash = HX_SHA256 };
    struct hx_bytes out;
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    put(0, &secret);
    key = open_key("hsm:edge/secret/mac");
    expect_result(hx_sign(key, &alg, "message", 7, &out), HX_OK);
    assert_int_equal(out.len, 32);
    hx_bytes_free(&out);
    assert_int_equal(hx_key_public(key, &out), HX_E_UNSUPPORTED);
    assert_int_equal(hx_key_reference(key, &out), HX_E_UNSUPPORTED);
    expect_said("is no private key");
    hx_key_close(key);
}

static void a_key_outlives_its_context_and_each_of_its_holders(void **state)
{
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    key = open_key("hsm:edge/key/one");
    hx_free(ctx);
    ctx = NULL;
    expect_result(sign_with(key, NULL), HX_OK);
    assert_ptr_equal(hx_key_retain(key), key);
    hx_key_close(key);
    fake->lose(0);
    expect_result(sign_with(key, NULL), HX_OK);
    assert_int_equal(fake->open_handles, 1);
    hx_key_close(key);
    hx_key_close(NULL);
    assert_int_equal(fake->open_handles, 0);
}

static void a_failure_leaves_the_result_untouched(void **state)
{
    unsigned char mine[] = "mine";
    struct hx_bytes out = { mine, 4 };
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    put_key(0, "silent", 1)->public_unreadable = true;
    key = open_key("hsm:edge/key/silent");
    assert_int_equal(hx_key_public(key, &out), HX_E_UNSUPPORTED);
    assert_int_equal(hx_key_reference(key, &out), HX_E_UNSUPPORTED);
    fake->script[FAKE_SIGN] = (struct fake_script){ .result = HX_E_DEVICE, .times = 1 };
    assert_int_equal(hx_sign(key, &(struct hx_alg){ .scheme = HX_ECDSA, .hash = HX_SHA256 }, place, 32, &out),
                     HX_E_DEVICE);
    assert_int_equal(hx_read(ctx, "hsm:edge/data/none", HX_VALUE, &out), HX_E_NOT_FOUND);
    assert_string_equal((char *)out.data, "mine");
    assert_int_equal(out.len, 4);
    hx_key_close(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_key_is_opened_by_every_form_of_address),
        SCENE_TEST(what_is_no_key_is_not_opened),
        SCENE_TEST(a_label_that_two_keys_share_opens_neither),
        SCENE_TEST(a_key_tells_what_it_is),
        SCENE_TEST(a_secret_key_is_opened_but_has_no_reference),
        SCENE_TEST(a_key_outlives_its_context_and_each_of_its_holders),
        SCENE_TEST(a_failure_leaves_the_result_untouched),
    };

    return cmocka_run_group_tests(tests, scene_build, scene_strike);
}
