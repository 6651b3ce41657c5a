/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL provider: random numbers.  All of this process has the token for its generator, and so has whatever the
 * token's own library takes from the same OpenSSL: nothing of it may come back to the token. */
#include "provider-keys.h"

#include <openssl/conf.h>
#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { THREADS = 8, ROUNDS = 50, LONG = 200000 };

int __wrap_hx_random(hx *, const char *token, void *buf, size_t len);
int __real_hx_random(hx *, const char *token, void *buf, size_t len);

static atomic_int calls;

int __wrap_hx_random(hx *context, const char *token, void *buf, size_t len)
{
    calls++;
    return __real_hx_random(context, token, buf, len);
}

static void use_token(OSSL_LIB_CTX *context, const char *token, const char *use)
{
    char lines[128];

    snprintf(lines, sizeof(lines), "random-token = %s\n[random]\n%s", token, use);
    configure(context, "random = random", lines);
}

static int set_up_process(void **state)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    if (set_up(state))
        return -1;
    use_token(NULL, "soft", "random = HSMUX-RAND");
    return 0;
}

static const char *name_of(EVP_RAND_CTX *random)
{
    assert_non_null(random);
    return EVP_RAND_get0_name(EVP_RAND_CTX_get0_rand(random));
}

static void the_token_is_the_generator_of_the_process(void **state)
{
    unsigned char one[32] = { 0 }, other[32] = { 0 }, none[32] = { 0 };
    int before = calls;

    (void)state;
    assert_int_equal(RAND_bytes(one, sizeof(one)), 1);
    assert_int_equal(RAND_priv_bytes(other, sizeof(other)), 1);
    assert_memory_not_equal(one, other, sizeof(one));
    assert_memory_not_equal(one, none, sizeof(one));
    assert_memory_not_equal(other, none, sizeof(one));
    assert_int_equal(calls, before + 2);
    assert_string_equal(name_of(RAND_get0_primary(NULL)), "HSMUX-RAND");
    assert_string_equal(name_of(RAND_get0_public(NULL)), "HSMUX-RAND");
    assert_string_equal(name_of(RAND_get0_private(NULL)), "HSMUX-RAND");
    assert_int_equal(RAND_status(), 1);
    RAND_add("salt", 4, 4);
    assert_int_equal(RAND_poll(), 1);
    assert_int_equal(ERR_peek_error(), 0);
}

static void a_long_request_is_filled_to_its_end(void **state)
{
    unsigned char *bytes = calloc(1, LONG);
    size_t zeros = 0;

    (void)state;
    assert_int_equal(RAND_bytes(bytes, LONG), 1);
    for (size_t i = 0; i < LONG; i++)
        zeros += !bytes[i];
    assert_true(zeros < LONG / 128);
    free(bytes);
}

static void a_context_tells_its_state(void **state)
{
    EVP_RAND *random = EVP_RAND_fetch(NULL, "HSMUX-RAND", "provider=hsmux");
    EVP_RAND_CTX *ctx = EVP_RAND_CTX_new(random, NULL);
    unsigned char bytes[16];
    size_t max = 0;
    OSSL_PARAM wanted[] = { OSSL_PARAM_construct_size_t(OSSL_RAND_PARAM_MAX_REQUEST, &max),
                            OSSL_PARAM_construct_end() };

    (void)state;
    assert_int_equal(EVP_RAND_get_state(ctx), EVP_RAND_STATE_UNINITIALISED);
    assert_int_equal(EVP_RAND_generate(ctx, bytes, sizeof(bytes), 0, 0, NULL, 0), 0);
    queue_says("not instantiated");
    assert_int_equal(EVP_RAND_instantiate(ctx, 257, 0, NULL, 0, NULL), 0);
    ERR_clear_error();
    assert_int_equal(EVP_RAND_instantiate(ctx, 256, 0, NULL, 0, NULL), 1);
    assert_int_equal(EVP_RAND_get_state(ctx), EVP_RAND_STATE_READY);
    assert_int_equal(EVP_RAND_get_strength(ctx), 256);
    assert_int_equal(EVP_RAND_CTX_get_params(ctx, wanted), 1);
    assert_true(max >= 1024);
    assert_int_equal(EVP_RAND_enable_locking(ctx), 1);
    assert_int_equal(EVP_RAND_generate(ctx, bytes, sizeof(bytes), 256, 1, (const unsigned char *)"more", 4), 1);
    assert_int_equal(EVP_RAND_generate(ctx, bytes, sizeof(bytes), 257, 0, NULL, 0), 0);
    queue_says("strength of 257 bits");
    assert_int_equal(EVP_RAND_reseed(ctx, 1, NULL, 0, NULL, 0), 1);
    assert_int_equal(EVP_RAND_uninstantiate(ctx), 1);
    assert_int_equal(EVP_RAND_get_state(ctx), EVP_RAND_STATE_UNINITIALISED);
    EVP_RAND_CTX_free(ctx);
    EVP_RAND_free(random);
}

/* Signing, key generation and a login want random numbers within the token: none of them may be the token's. */
static void a_token_at_work_does_not_come_back_to_itself(void **state)
{
    OSSL_LIB_CTX *usual = libctx;
    unsigned char sig[512];

    (void)state;
    libctx = NULL; /* the process's own context */
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        OSSL_STORE_INFO *info;
        EVP_PKEY *key;
        char address[64];
        size_t len = sizeof(sig);
        int before = calls;

        snprintf(address, sizeof(address), "hsm:soft/key/%s", kinds[kind].label);
        info = fetch(address, OSSL_STORE_INFO_PKEY);
        assert_non_null(info);
        key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
        assert_int_equal(sign(key, kind, sig, &len), 1);
        assert_int_equal(calls, before);
        EVP_PKEY_free(key);
        assert_true(verify(twins[kind], kind, sig, len));
    }
    libctx = usual;
}

static void keys_are_made_of_the_token_s_numbers(void **state)
{
    EVP_PKEY *rsa, *ec;
    int before = calls;

    (void)state;
    rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    assert_non_null(rsa);
    assert_true(calls > before);
    before = calls;
    ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(ec);
    assert_true(calls > before);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}

static void a_key_is_made_on_the_token(void **state)
{
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .bits = 256, .label = "made" };
    int before = calls;
    hx *context;

    (void)state;
    assert_int_equal(hx_new(NULL, &context), 0);
    if (hx_generate(context, "soft", &spec, NULL) != 0)
        fail_msg("%s", hx_last_error());
    assert_int_equal(calls, before);
    hx_free(context);
}

static void *draw(void *arg)
{
    unsigned char(*drawn)[16] = arg;
    size_t good = 0;

    for (int i = 0; i < ROUNDS; i++)
        good += (i % 2 ? RAND_bytes(drawn[i], 16) : RAND_priv_bytes(drawn[i], 16)) == 1;
    return good == ROUNDS ? arg : NULL;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static void eight_threads_draw_different_numbers(void **state)
{
    static unsigned char drawn[THREADS * ROUNDS][16];
    pthread_t threads[THREADS];
    void *good;
    int all = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw, drawn[i * ROUNDS]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &good);
        all += !!good;
    }
    assert_int_equal(all, THREADS);
    qsort(drawn, THREADS * ROUNDS, 16, compare);
    for (int i = 1; i < THREADS * ROUNDS; i++)
        assert_memory_not_equal(drawn[i - 1], drawn[i], 16);
}

static void draw_in_child(OSSL_LIB_CTX *context, unsigned char *ret)
{
    unsigned char bytes[16];
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (!child)
        _exit(RAND_bytes_ex(context, bytes, sizeof(bytes), 0) == 1 && write(ends[1], bytes, sizeof(bytes)) == 16 ? 0
                                                                                                                 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(read(ends[0], ret, 16), 16);
    close(ends[0]);
    close(ends[1]);
}

static void assert_children_differ(OSSL_LIB_CTX *context)
{
    unsigned char drawn[4][16];

    assert_int_equal(RAND_bytes_ex(context, drawn[0], 16, 0), 1);
    draw_in_child(context, drawn[1]);
    draw_in_child(context, drawn[2]);
    assert_int_equal(RAND_bytes_ex(context, drawn[3], 16, 0), 1);
    qsort(drawn, 4, 16, compare);
    for (int i = 1; i < 4; i++)
        assert_memory_not_equal(drawn[i - 1], drawn[i], 16);
}

static void children_draw_other_numbers_than_their_parent(void **state)
{
    (void)state;
    assert_children_differ(NULL);
}

static void a_library_context_may_be_seeded_by_the_token(void **state)
{
    OSSL_LIB_CTX *fresh = OSSL_LIB_CTX_new();
    unsigned char bytes[64];
    int before = calls;

    (void)state;
    use_token(fresh, "soft", "seed = HSMUX-RAND");
    assert_int_equal(RAND_bytes_ex(fresh, bytes, sizeof(bytes), 0), 1);
    assert_string_equal(name_of(RAND_get0_public(fresh)), "CTR-DRBG");
    assert_true(calls > before);
    before = calls;
    assert_int_equal(RAND_bytes_ex(fresh, bytes, sizeof(bytes), 0), 1);
    assert_int_equal(calls, before);
    assert_int_equal(EVP_RAND_reseed(RAND_get0_primary(fresh), 1, NULL, 0, NULL, 0), 1);
    assert_true(calls > before);
    assert_children_differ(fresh);
    OSSL_LIB_CTX_free(fresh);
}

static void a_token_that_fails_gives_no_numbers(void **state)
{
    static const char *const uses[] = { "random = HSMUX-RAND", "seed = HSMUX-RAND" };
    unsigned char bytes[16];

    (void)state;
    for (int i = 0; i < 2; i++) {
        OSSL_LIB_CTX *fresh = OSSL_LIB_CTX_new();

        use_token(fresh, "nowhere", uses[i]);
        assert_int_not_equal(RAND_bytes_ex(fresh, bytes, sizeof(bytes), 0), 1);
        queue_says("nowhere");
        assert_int_not_equal(RAND_priv_bytes_ex(fresh, bytes, sizeof(bytes), 0), 1);
        queue_says("nowhere");
        assert_null(EVP_PKEY_Q_keygen(fresh, NULL, "EC", "P-256"));
        queue_says("nowhere");
        OSSL_LIB_CTX_free(fresh);
    }
}

static void nothing_is_offered_unless_it_is_asked_for(void **state)
{
    OSSL_LIB_CTX *fresh = OSSL_LIB_CTX_new();

    (void)state;
    assert_null(EVP_RAND_fetch(libctx, "HSMUX-RAND", NULL));
    ERR_clear_error();
    assert_string_equal(name_of(RAND_get0_public(libctx)), "CTR-DRBG");
    assert_string_equal(name_of(RAND_get0_public(fresh)), "CTR-DRBG");
    OSSL_LIB_CTX_free(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_is_the_generator_of_the_process),
        cmocka_unit_test(a_long_request_is_filled_to_its_end),
        cmocka_unit_test(a_context_tells_its_state),
        cmocka_unit_test(a_token_at_work_does_not_come_back_to_itself),
        cmocka_unit_test(keys_are_made_of_the_token_s_numbers),
        cmocka_unit_test(a_key_is_made_on_the_token),
        cmocka_unit_test(eight_threads_draw_different_numbers),
        cmocka_unit_test(children_draw_other_numbers_than_their_parent),
        cmocka_unit_test(a_library_context_may_be_seeded_by_the_token),
        cmocka_unit_test(a_token_that_fails_gives_no_numbers),
        cmocka_unit_test(nothing_is_offered_unless_it_is_asked_for),
    };

    return can_run() ? cmocka_run_group_tests(tests, set_up_process, tear_down) : 77;
}
