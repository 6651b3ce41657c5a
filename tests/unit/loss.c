/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that go away, come back, are busy: what the core mends by itself, and what it must not repeat. */
#include "twins.h"

#include "object.h"

#define PIN_EDGE EDGE "pin = 1234\n"

/* What an operation needs; each runs on objects that want a login. */
struct bench {
    struct hx_key *ec, *rsa;
    struct hx_bytes cipher, point;
};

static int ignore(void *arg, const char *address, const struct hx_object *object)
{
    (void)arg, (void)address, (void)object;
    return 0;
}

static int do_list(struct bench *bench)
{
    (void)bench;
    return hx_each(ctx, "hsm:edge/", ignore, NULL);
}

static int do_load(struct bench *bench)
{
    struct hx_key *key = NULL;
    int result = hx_key_open(ctx, "hsm:edge/key/ec", &key);

    (void)bench;
    hx_key_close(key);
    return result;
}

static int do_read(struct bench *bench)
{
    struct hx_bytes data = { 0 };
    int result = hx_read(ctx, "hsm:edge/data/note", HX_VALUE, &data);

    (void)bench;
    if (!result)
        assert_string_equal((char *)data.data, "text");
    hx_bytes_free(&data);
    return result;
}

static int do_sign(struct bench *bench)
{
    return sign_with(bench->ec, NULL);
}

static int do_decrypt(struct bench *bench)
{
    const struct hx_alg alg = { .scheme = HX_RSA_OAEP, .hash = HX_SHA256 };
    struct hx_bytes plain = { 0 };
    int result = hx_decrypt(bench->rsa, &alg, bench->cipher.data, bench->cipher.len, &plain);

    if (!result)
        assert_string_equal((char *)plain.data, "secret");
    hx_bytes_free(&plain);
    return result;
}

static int do_derive(struct bench *bench)
{
    const struct hx_alg alg = { .scheme = HX_ECDH };
    struct hx_bytes shared = { 0 };
    int result = hx_derive(bench->ec, &alg, bench->point.data, bench->point.len, &shared);

    if (!result)
        assert_int_equal(shared.len, 32);
    hx_bytes_free(&shared);
    return result;
}

static int do_random(struct bench *bench)
{
    unsigned char buffer[16];

    (void)bench;
    return hx_random(ctx, "edge", buffer, sizeof buffer);
}

static const struct {
    enum fake_call call;
    int (*run)(struct bench *);
    bool logs_in; /* the operation wants to be logged in */
} repeated[] = {
    { FAKE_LIST, do_list, false },     { FAKE_LOAD, do_load, true },       { FAKE_READ, do_read, true },
    { FAKE_SIGN, do_sign, true },      { FAKE_DECRYPT, do_decrypt, true }, { FAKE_DERIVE, do_derive, true },
    { FAKE_RANDOM, do_random, false },
};

static void encrypt(struct hx_key *key, struct hx_bytes *ret)
{
    struct hx_bytes spki = { 0 };
    const unsigned char *p;
    unsigned char out[512];
    size_t len = sizeof out;
    EVP_PKEY_CTX *context;
    EVP_PKEY *public;

    expect_result(hx_key_public(key, &spki), HX_OK);
    p = spki.data;
    assert_non_null(public = d2i_PUBKEY(NULL, &p, (long)spki.len));
    context = EVP_PKEY_CTX_new(public, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, out, &len, (const unsigned char *)"secret", 6), 1);
    assert_int_equal(bytes_append(ret, out, len), HX_OK);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(public);
    hx_bytes_free(&spki);
}

static void set_up(struct bench *bench)
{
    struct fake_object note = { .kind = HX_DATA, .label = "note", .locked = true, .value = "text", .value_len = 4 };

    strcpy(fake->token[0].pin, "1234");
    fake->token[0].flags = HX_TOKEN_LOGIN;
    fake->token[0].object[add_key(fake, "ec", HX_P256, 1)].locked = true;
    fake->token[0].object[add_key(fake, "rsa", HX_RSA, 1)].locked = true;
    put(0, &note);
    configure(PIN_EDGE);
    bench->ec = open_key("hsm:edge/key/ec");
    bench->rsa = open_key("hsm:edge/key/rsa");
    encrypt(bench->rsa, &bench->cipher);
    expect_result(hx_read(ctx, "hsm:edge/key/ec", HX_PUBLIC, &bench->point), HX_OK);
}

static void tear_down(struct bench *bench)
{
    hx_key_close(bench->ec);
    hx_key_close(bench->rsa);
    hx_bytes_free(&bench->cipher);
    hx_bytes_free(&bench->point);
}

static void each_operation_outlives_one_loss(void **state)
{
    struct bench bench = { 0 };

    (void)state;
    set_up(&bench);
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
        unsigned lists;

        expect_result(repeated[i].run(&bench), HX_OK);
        forget_calls(fake);
        expect_result(repeated[i].run(&bench), HX_OK);
        lists = fake->calls[FAKE_LIST];
        forget_calls(fake);
        script(fake, repeated[i].call, HX_E_LOST, 1);
        expect_result(repeated[i].run(&bench), HX_OK);
        assert_int_equal(fake->calls[FAKE_CLOSE], 1);
        assert_int_equal(fake->calls[FAKE_OPEN], 1);
        assert_int_equal(fake->calls[FAKE_LOGIN], repeated[i].logs_in);
        /* What is known by its ref is not looked for again. */
        assert_int_equal(fake->calls[FAKE_LIST], repeated[i].call == FAKE_LIST ? lists + 1 : lists);
    }
    tear_down(&bench);
}

static void each_operation_outlives_a_real_loss(void **state)
{
    struct bench bench = { 0 };

    (void)state;
    set_up(&bench);
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
        fake->lose(0);
        forget_calls(fake);
        expect_result(repeated[i].run(&bench), HX_OK);
        assert_int_equal(fake->calls[FAKE_CLOSE], 1);
        assert_int_equal(fake->calls[FAKE_OPEN], 1);
    }
    tear_down(&bench);
}

static void a_token_that_is_lost_at_once_again_is_an_error(void **state)
{
    struct hx_key *key;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    script(fake, FAKE_SIGN, HX_E_LOST, 2);
    expect_result(sign_with(key, NULL), HX_E_LOST);
    expect_said("token 'edge': sign: token lost");
    assert_int_equal(fake->calls[FAKE_OPEN], 2);
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
}

static void a_token_that_is_gone_for_good_is_one_error_until_it_is_back(void **state)
{
    struct hx_key *key;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    strcpy(fake->token[0].label, "edge-stick");
    fake->token[0].absent = true;
    fake->lose(0);
    for (int i = 0; i < 2; i++) {
        expect_result(sign_with(key, NULL), HX_E_NOT_FOUND);
        assert_string_equal(hx_last_error(), "token 'edge': sign: open: token 'edge-stick' is absent");
    }
    assert_int_equal(fake->open_handles, 0);
    fake->token[0].absent = false;
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
}

struct asker {
    struct hx_key *key;
    atomic_uint failures;
    int64_t until;
};

static void *ask(void *arg)
{
    struct asker *asker = arg;

    while (now_ms() < asker->until)
        if (sign_with(asker->key, NULL) == HX_E_NOT_FOUND && strstr(hx_last_error(), "is absent"))
            asker->failures++;
        else
            return asker;
    return NULL;
}

static void many_threads_do_not_besiege_an_absent_token(void **state)
{
    struct asker asker = { 0 };
    pthread_t thread[16];
    void *bad;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    asker.key = open_key("hsm:edge/key/device");
    fake->token[0].absent = true;
    fake->lose(0);
    forget_calls(fake);
    asker.until = now_ms() + 1000;
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, ask, &asker), 0);
    for (int i = 0; i < 16; i++) {
        pthread_join(thread[i], &bad);
        assert_null(bad);
    }
    assert_true(asker.failures >= 16);
    assert_in_range(fake->calls[FAKE_OPEN], 2, 13);
    fake->token[0].absent = false;
    expect_result(sign_with(asker.key, NULL), HX_OK);
    hx_key_close(asker.key);
}

static void a_busy_token_is_waited_for(void **state)
{
    static const enum fake_call calls[] = { FAKE_OPEN, FAKE_LOGIN, FAKE_LIST, FAKE_LOAD, FAKE_SIGN };
    int at;

    (void)state;
    strcpy(fake->token[0].pin, "1234");
    fake->token[0].flags = HX_TOKEN_LOGIN;
    at = add_key(fake, "ec", HX_P256, 1);
    fake->token[0].object[at].locked = true;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct hx_key *key;

        configure(PIN_EDGE);
        forget_calls(fake);
        script(fake, calls[i], HX_E_BUSY, 4);
        key = open_key("hsm:edge/key/ec");
        expect_result(sign_with(key, NULL), HX_OK);
        assert_true(fake->calls[calls[i]] >= 5);
        hx_key_close(key);
    }
}

static void a_token_that_is_busy_for_ever_is_an_error_in_the_end(void **state)
{
    struct hx_key *key;
    int64_t start;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    script(fake, FAKE_SIGN, HX_E_BUSY, FAKE_ALWAYS);
    start = now_ms();
    expect_result(sign_with(key, NULL), HX_E_BUSY);
    assert_in_range(now_ms() - start, 1700, 2600);
    expect_said("token 'edge': sign: token busy");
    assert_in_range(fake->calls[FAKE_SIGN], 8, 40);
    script(fake, FAKE_SIGN, HX_OK, 0);
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
}

/* Whether it was done before the token went, nobody knows. */
static void what_changes_a_token_is_not_repeated(void **state)
{
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .label = "new" };
    struct hx_spec data = { .kind = HX_DATA, .label = "note" };
    const struct hx_buf part = { "text", 4 };

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    script(fake, FAKE_GENERATE, HX_E_LOST, 1);
    expect_result(hx_generate(ctx, "edge", &spec, NULL), HX_E_LOST);
    expect_said("look whether it was done");
    assert_int_equal(fake->calls[FAKE_GENERATE], 1);
    script(fake, FAKE_IMPORT, HX_E_LOST, 1);
    expect_result(hx_import(ctx, "edge", &data, &part, 1, NULL), HX_E_LOST);
    assert_int_equal(fake->calls[FAKE_IMPORT], 1);
    script(fake, FAKE_REMOVE, HX_E_LOST, 1);
    expect_result(hx_remove(ctx, "hsm:edge/key/device"), HX_E_LOST);
    assert_int_equal(fake->calls[FAKE_REMOVE], 1);
    expect_result(hx_generate(ctx, "edge", &spec, NULL), HX_OK);
    expect_result(hx_remove(ctx, "hsm:edge/key/device"), HX_OK);
}

static void a_busy_token_is_changed_once_it_is_free(void **state)
{
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .label = "new" };

    (void)state;
    configure(EDGE);
    script(fake, FAKE_GENERATE, HX_E_BUSY, 3);
    expect_result(hx_generate(ctx, "edge", &spec, NULL), HX_OK);
    assert_int_equal(fake->calls[FAKE_GENERATE], 4);
}

/* What a plugin returns beside the known results is a failure of the device, not a success. */
static void an_unknown_result_is_a_failure(void **state)
{
    struct hx_key *key;

    (void)state;
    put_key(0, "device", 1);
    configure(EDGE);
    key = open_key("hsm:edge/key/device");
    script(fake, FAKE_SIGN, 1, 1);
    expect_result(sign_with(key, NULL), HX_E_DEVICE);
    script(fake, FAKE_SIGN, -77, 1);
    expect_result(sign_with(key, NULL), HX_E_DEVICE);
    hx_key_close(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWINS_TEST(each_operation_outlives_one_loss),
        TWINS_TEST(each_operation_outlives_a_real_loss),
        TWINS_TEST(a_token_that_is_lost_at_once_again_is_an_error),
        TWINS_TEST(a_token_that_is_gone_for_good_is_one_error_until_it_is_back),
        TWINS_TEST(many_threads_do_not_besiege_an_absent_token),
        TWINS_TEST(a_busy_token_is_waited_for),
        TWINS_TEST(a_token_that_is_busy_for_ever_is_an_error_in_the_end),
        TWINS_TEST(what_changes_a_token_is_not_repeated),
        TWINS_TEST(a_busy_token_is_changed_once_it_is_free),
        TWINS_TEST(an_unknown_result_is_a_failure),
    };

    return cmocka_run_group_tests(tests, twins_build, scene_strike);
}
