/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL provider: HMAC with a secret of the token, compared with the default provider's HMAC. */
#include "provider-keys.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sys/wait.h>

/* Not shorter than any tag, or SoftHSM refuses it. */
static const unsigned char secret[64] = "sixty-four bytes of a secret";
static const char address[] = "hsm:soft/secret/mac";
static const char *const digests[] = { "SHA1", "SHA256", "SHA384", "SHA512" };

enum { THREADS = 8, ROUNDS = 20 };

struct tag {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    size_t len;
};

static int set_up_secret(void **state)
{
    const struct hx_spec spec = { .kind = HX_SECRET_KEY, .type = HX_GENERIC, .label = "mac" };
    const struct hx_buf part = { secret, sizeof(secret) };
    hx *context;

    if (set_up(state))
        return -1;
    assert_int_equal(hx_new(NULL, &context), 0);
    if (hx_import(context, "soft", &spec, &part, 1, NULL) != 0)
        fail_msg("%s", hx_last_error());
    hx_free(context);
    return 0;
}

static OSSL_PARAM text_param(const char *name, const char *value)
{
    return OSSL_PARAM_construct_utf8_string(name, (char *)(uintptr_t)value, 0);
}

static EVP_MAC_CTX *new_mac(const char *name)
{
    EVP_MAC *mac = EVP_MAC_fetch(libctx, name, NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);

    assert_non_null(ctx);
    EVP_MAC_free(mac);
    return ctx;
}

/* digest NULL: the preset. */
static EVP_MAC_CTX *begin(const char *digest)
{
    OSSL_PARAM params[] = { text_param("address", address), text_param("digest", digest ? digest : "SHA256"),
                            OSSL_PARAM_construct_end() };
    EVP_MAC_CTX *ctx = new_mac("HSMUX-HMAC");

    if (!digest)
        params[1] = OSSL_PARAM_construct_end();
    if (EVP_MAC_init(ctx, NULL, 0, params) != 1) {
        ERR_print_errors_fp(stderr);
        fail_msg("no HMAC with '%s'", address);
    }
    return ctx;
}

static struct tag finish(EVP_MAC_CTX *ctx)
{
    struct tag tag;

    if (EVP_MAC_final(ctx, tag.bytes, &tag.len, sizeof(tag.bytes)) != 1) {
        ERR_print_errors_fp(stderr);
        fail_msg("no tag");
    }
    return tag;
}

static struct tag expected(const char *digest, const void *data, size_t len)
{
    struct tag tag;

    assert_non_null(EVP_Q_mac(libctx, "HMAC", NULL, digest, NULL, secret, sizeof(secret), data, len, tag.bytes,
                              sizeof(tag.bytes), &tag.len));
    return tag;
}

static void assert_same(const struct tag *one, const struct tag *other)
{
    assert_int_equal(one->len, other->len);
    assert_memory_equal(one->bytes, other->bytes, one->len);
    assert_int_equal(ERR_peek_error(), 0);
}

static void a_tag_is_that_of_the_default_provider(void **state)
{
    static const size_t lengths[] = { 0, 1, 63, 64, 1023, 1024, 1025, 100000 };
    unsigned char *data = calloc(1, 100000);

    (void)state;
    for (size_t i = 0; i < 100000; i++)
        data[i] = (unsigned char)(i * i >> 3);
    for (size_t i = 0; i < sizeof(digests) / sizeof(*digests); i++) {
        for (size_t j = 0; j < sizeof(lengths) / sizeof(*lengths); j++) {
            struct tag want = expected(digests[i], data, lengths[j]), got;
            EVP_MAC_CTX *ctx = begin(digests[i]);

            assert_int_equal(EVP_MAC_update(ctx, data, lengths[j] / 3), 1);
            assert_int_equal(EVP_MAC_update(ctx, data + lengths[j] / 3, lengths[j] - lengths[j] / 3), 1);
            got = finish(ctx);
            assert_same(&got, &want);
            EVP_MAC_CTX_free(ctx);
        }
    }
    free(data);
}

static void a_context_serves_again(void **state)
{
    struct tag want = expected("SHA256", "one", 3), got;
    EVP_MAC_CTX *ctx = begin(NULL);

    (void)state;
    assert_int_equal(EVP_MAC_update(ctx, (const unsigned char *)"other", 5), 1);
    finish(ctx);
    assert_int_not_equal(EVP_MAC_update(ctx, (const unsigned char *)"one", 3), 1);
    queue_says("no message has begun");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(EVP_MAC_init(ctx, NULL, 0, NULL), 1);
        assert_int_equal(EVP_MAC_update(ctx, (const unsigned char *)"forgotten", 9), 1);
        assert_int_equal(EVP_MAC_init(ctx, NULL, 0, NULL), 1);
        assert_int_equal(EVP_MAC_update(ctx, (const unsigned char *)"one", 3), 1);
        got = finish(ctx);
        assert_same(&got, &want);
    }
    EVP_MAC_CTX_free(ctx);
}

static void a_copy_goes_its_own_way_from_any_stage(void **state)
{
    OSSL_PARAM where[] = { text_param("address", address), OSSL_PARAM_construct_end() };
    struct tag here = expected("SHA256", "begin here", 10), there = expected("SHA256", "begin there", 11), got;
    EVP_MAC_CTX *blank = new_mac("HSMUX-HMAC"), *first = EVP_MAC_CTX_dup(blank), *second, *third, *last;

    (void)state;
    EVP_MAC_CTX_free(blank);
    assert_int_equal(EVP_MAC_CTX_set_params(first, where), 1);
    second = EVP_MAC_CTX_dup(first);
    EVP_MAC_CTX_free(first);
    assert_int_equal(EVP_MAC_init(second, NULL, 0, NULL), 1);
    third = EVP_MAC_CTX_dup(second);
    EVP_MAC_CTX_free(second);
    assert_int_equal(EVP_MAC_update(third, (const unsigned char *)"begin ", 6), 1);
    last = EVP_MAC_CTX_dup(third);
    assert_int_equal(EVP_MAC_update(third, (const unsigned char *)"here", 4), 1);
    assert_int_equal(EVP_MAC_update(last, (const unsigned char *)"there", 5), 1);
    got = finish(third);
    assert_same(&got, &here);
    EVP_MAC_CTX_free(third);
    third = EVP_MAC_CTX_dup(last);
    got = finish(last);
    assert_same(&got, &there);
    EVP_MAC_CTX_free(last);
    got = finish(third);
    assert_same(&got, &there);
    last = EVP_MAC_CTX_dup(third);
    assert_int_not_equal(EVP_MAC_final(last, got.bytes, &got.len, sizeof(got.bytes)), 1);
    queue_says("no message has begun");
    EVP_MAC_CTX_free(last);
    EVP_MAC_CTX_free(third);
}

static void what_is_set_can_be_got(void **state)
{
    static const size_t sizes[] = { 20, 32, 48, 64 }, blocks[] = { 64, 64, 128, 128 };
    char name[64], digest[16];
    OSSL_PARAM wanted[] = { OSSL_PARAM_construct_utf8_string("address", name, sizeof(name)),
                            OSSL_PARAM_construct_utf8_string("digest", digest, sizeof(digest)),
                            OSSL_PARAM_construct_end() };

    (void)state;
    for (size_t i = 0; i < sizeof(digests) / sizeof(*digests); i++) {
        EVP_MAC_CTX *ctx = begin(digests[i]), *fresh;
        EVP_MD *md = EVP_MD_fetch(libctx, digests[i], NULL);

        assert_int_equal(EVP_MAC_CTX_get_mac_size(ctx), sizes[i]);
        assert_int_equal(EVP_MAC_CTX_get_block_size(ctx), blocks[i]);
        assert_int_equal(EVP_MAC_CTX_get_params(ctx, wanted), 1);
        assert_string_equal(name, address);
        assert_true(EVP_MD_is_a(md, digest));
        fresh = new_mac("HSMUX-HMAC");
        assert_int_equal(EVP_MAC_CTX_get_mac_size(fresh), 32);
        assert_int_equal(EVP_MAC_CTX_get_params(fresh, wanted), 1);
        assert_string_equal(name, "");
        EVP_MAC_CTX_free(fresh);
        EVP_MAC_CTX_free(ctx);
        EVP_MD_free(md);
    }
}

static void assert_refused(EVP_MAC_CTX *ctx, OSSL_PARAM param, const char *reason)
{
    OSSL_PARAM params[] = { param, OSSL_PARAM_construct_end() };

    assert_int_not_equal(EVP_MAC_init(ctx, NULL, 0, params), 1);
    queue_says(reason);
}

static void what_cannot_be_is_refused_with_a_reason(void **state)
{
    EVP_MAC_CTX *ctx = new_mac("HSMUX-HMAC");
    unsigned char key[32] = "a key";
    size_t size = 16;

    (void)state;
    assert_int_not_equal(EVP_MAC_init(ctx, NULL, 0, NULL), 1);
    queue_says("name it by parameter 'address'");
    assert_int_not_equal(EVP_MAC_update(ctx, key, 1), 1);
    queue_says("no message has begun");
    assert_int_not_equal(EVP_MAC_init(ctx, key, sizeof(key), NULL), 1);
    queue_says("a key is given");
    assert_refused(ctx, OSSL_PARAM_construct_octet_string("key", key, sizeof(key)), "a key is given");
    assert_refused(ctx, text_param("address", "hsm:soft/secret/nothing"), "no object");
    assert_refused(ctx, text_param("address", "hsm:soft/wardrobe/mac"), "wardrobe");
    assert_refused(ctx, text_param("address", "hsm:soft/key/p256"), "not a secret");
    assert_refused(ctx, text_param("address", "pkcs11:token=soft;object=mac;type=secret-key"), "pkcs11-uri = yes");
    assert_refused(ctx, OSSL_PARAM_construct_octet_string("address", key, 5), "not a text");
    assert_refused(ctx, text_param("digest", "SHA3-256"), "SHA1, SHA256, SHA384, SHA512");
    assert_refused(ctx, text_param("digest", "no-such-digest"), "no-such-digest");
    assert_refused(ctx, OSSL_PARAM_construct_size_t("size", &size), "not cut short");
    EVP_MAC_CTX_free(ctx);
}

static void a_message_that_has_begun_keeps_its_parameters(void **state)
{
    OSSL_PARAM other[] = { text_param("digest", "SHA512"), OSSL_PARAM_construct_end() };
    struct tag want = expected("SHA256", "message", 7), got;
    EVP_MAC_CTX *ctx = begin("SHA256");

    (void)state;
    assert_int_equal(EVP_MAC_update(ctx, (const unsigned char *)"message", 7), 1);
    assert_int_not_equal(EVP_MAC_CTX_set_params(ctx, other), 1);
    queue_says("a message has begun");
    got = finish(ctx);
    assert_same(&got, &want);
    EVP_MAC_CTX_free(ctx);
}

static void a_message_has_an_end(void **state)
{
    struct tag want = expected("SHA256", "x", 1), got;
    EVP_MAC_CTX *ctx = begin(NULL);

    (void)state;
    assert_int_equal(EVP_MAC_update(ctx, (const unsigned char *)"x", 1), 1);
    assert_int_not_equal(EVP_MAC_update(ctx, (const unsigned char *)"x", (size_t)1 << 30), 1);
    queue_says("more than 1073741824 bytes");
    assert_int_not_equal(EVP_MAC_update(ctx, (const unsigned char *)"x", SIZE_MAX), 1);
    queue_says("more than 1073741824 bytes");
    got = finish(ctx);
    assert_same(&got, &want);
    EVP_MAC_CTX_free(ctx);
}

static void *mac_often(void *arg)
{
    EVP_MAC_CTX *first = arg;
    struct tag want = expected("SHA256", message, sizeof(message)), got;
    size_t good = 0;

    for (int i = 0; i < ROUNDS; i++) {
        EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(first);

        good += ctx && EVP_MAC_update(ctx, (const unsigned char *)message, sizeof(message)) == 1 &&
                EVP_MAC_final(ctx, got.bytes, &got.len, sizeof(got.bytes)) == 1 && got.len == want.len &&
                !memcmp(got.bytes, want.bytes, want.len);
        EVP_MAC_CTX_free(ctx);
    }
    return good == ROUNDS ? arg : NULL;
}

static void eight_threads_share_a_secret(void **state)
{
    EVP_MAC_CTX *ctx = begin(NULL);
    pthread_t threads[THREADS];
    void *good;
    int all = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mac_often, ctx), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &good);
        all += good == ctx;
    }
    assert_int_equal(all, THREADS);
    EVP_MAC_CTX_free(ctx);
}

static void a_child_goes_on_with_a_message(void **state)
{
    struct tag want = expected("SHA256", "begin there", 11), got;
    EVP_MAC_CTX *ctx = begin(NULL);
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(EVP_MAC_update(ctx, (const unsigned char *)"begin ", 6), 1);
    child = fork();
    if (!child)
        _exit(EVP_MAC_update(ctx, (const unsigned char *)"there", 5) == 1 &&
                      EVP_MAC_final(ctx, got.bytes, &got.len, sizeof(got.bytes)) == 1 && got.len == want.len &&
                      !memcmp(got.bytes, want.bytes, want.len)
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EVP_MAC_CTX_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_is_that_of_the_default_provider),
        cmocka_unit_test(a_context_serves_again),
        cmocka_unit_test(a_copy_goes_its_own_way_from_any_stage),
        cmocka_unit_test(what_is_set_can_be_got),
        cmocka_unit_test(what_cannot_be_is_refused_with_a_reason),
        cmocka_unit_test(a_message_that_has_begun_keeps_its_parameters),
        cmocka_unit_test(a_message_has_an_end),
        cmocka_unit_test(eight_threads_share_a_secret),
        cmocka_unit_test(a_child_goes_on_with_a_message),
    };

    return can_run() ? cmocka_run_group_tests(tests, set_up_secret, tear_down) : 77;
}
