/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of keys that want the PIN for each operation, and of pinpads: what is sent, when, and when never again. */
#include "box.h"

#include <pthread.h>

static int sign_once(hx_key *key)
{
    AUTO_BYTES struct hx_bytes signature = { 0 };

    return hx_sign(key, &(struct hx_alg){ .scheme = HX_ECDSA, .hash = HX_SHA256 }, "a digest that has 32 bytes, as is",
                   32, &signature);
}

/* The key is made in the process that uses it first, for the fake plugin forgets a parent's key pairs. */
static int open_device(hx **ret_ctx, hx_key **ret)
{
    static const struct fake_object device = {
        .kind = HX_PRIVATE_KEY, .type = HX_P256, .label = "device", .flags = HX_ALWAYS_AUTH
    };
    int result = hx_new(in_box("hsmux.conf"), ret_ctx);

    if (result || (!fake->token[0].object[1].uid && fake->add(0, &device) < 0))
        return result ? result : HX_E_DEVICE;
    return hx_key_open(*ret_ctx, "hsm:t/key/device", ret);
}

/* A program that signs as often as arg has letters; for each p, somebody changes the token's PIN before, for each f the
 * PIN file, and for each l the token is lost. */
static int program(const char *arg)
{
    hx_key *key = NULL;
    hx *ctx = NULL;
    int result = open_device(&ctx, &key);

    for (; *arg && key; arg++) {
        if (*arg == 'p')
            strcpy(fake->token[0].pin, "other");
        if (*arg == 'f')
            put("pin", 0600, "other\n");
        if (*arg == 'l')
            fake->lose(0);
        result = sign_once(key);
    }
    snprintf(told->reason, sizeof told->reason, "%s", hx_last_error());
    hx_key_close(key);
    hx_free(ctx);
    return result;
}

static unsigned sent(void)
{
    return fake->calls[FAKE_LOGIN];
}

static void each_operation_sends_the_pin_once(void **state)
{
    (void)state;
    assert_int_equal(in_process(program, "1"), HX_OK);
    assert_int_equal(sent(), 1);
    assert_int_equal(in_process(program, "12345"), HX_OK);
    assert_int_equal(sent(), 6);
    assert_string_equal(fake->token[0].last_pin, "right");
}

static void a_pin_that_is_refused_in_an_operation_is_never_sent_again(void **state)
{
    (void)state;
    assert_int_equal(in_process(program, "1p23"), HX_E_PIN);
    assert_int_equal(sent(), 2);
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    assert_int_equal(sent(), 2);
    assert_int_equal(in_process(program, "12f"), HX_OK);
    assert_int_equal(sent(), 3);
    assert_int_equal(fake->token[0].tries_left, 3);
}

static void the_reason_names_token_and_pin_file(void **state)
{
    (void)state;
    put("pin", 0600, "wrong\n");
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    says("token 't'");
    says(in_box("pin"));
    assert_int_equal(in_process(program, "12"), HX_E_PIN);
    says("refused before");
    assert_null(strstr(told->reason, "wrong\n"));
    assert_int_equal(sent(), 1);
}

static void without_a_pin_one_line_says_what_to_write(void **state)
{
    (void)state;
    put("hsmux.conf", 0600, "[token t]\nplugin = fake\n");
    assert_int_equal(in_process(program, "1"), HX_E_LOGIN);
    says("wants a PIN: set pin-file = in [token t]");
    assert_null(strchr(told->reason, '\n'));
    assert_int_equal(sent(), 0);
}

static void the_last_try_is_a_persons_in_an_operation_too(void **state)
{
    (void)state;
    fake->token[0].tries_left = 1;
    assert_int_equal(in_process(program, "12"), HX_E_PIN);
    says("hsmux login t");
    assert_int_equal(sent(), 0);
}

static void a_lost_token_is_opened_again_in_the_middle(void **state)
{
    (void)state;
    assert_int_equal(in_process(program, "1l2l"), HX_OK);
}

#define THREADS 8

static void *sign_five(void *key)
{
    for (int i = 0; i < 5; i++)
        if (sign_once(key))
            return key;
    return NULL;
}

static int threads(const char *arg)
{
    pthread_t thread[THREADS];
    hx_key *key = NULL;
    hx *ctx = NULL;
    int result = open_device(&ctx, &key);

    (void)arg;
    if (result)
        return result;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, sign_five, key);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;

        pthread_join(thread[i], &failed);
        result = failed ? HX_E_DEVICE : result;
    }
    hx_key_close(key);
    hx_free(ctx);
    return result;
}

/* A login that came between another's login and operation would leave that one without. */
static void threads_do_not_come_between_pin_and_operation(void **state)
{
    (void)state;
    fake->script[FAKE_LOGIN].delay_ms = 1;
    assert_int_equal(in_process(threads, ""), HX_OK);
    assert_int_equal(sent(), 5 * THREADS);
}

/* A server's four workers, all of which have signed before the token's PIN is changed under them. */
static int workers(const char *arg)
{
    atomic_int *ready = mmap(NULL, sizeof *ready, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status, good = 0;
    hx_key *key = NULL;
    hx *ctx = NULL;

    (void)arg;
    if (ready == MAP_FAILED || open_device(&ctx, &key))
        return HX_E_DEVICE;
    for (int i = 0; i < 4; i++)
        if (!fork()) {
            status = sign_once(key) != 0;
            (*ready)++;
            while (*ready < 5)
                usleep(100);
            status = status || sign_once(key) != HX_E_PIN || sign_once(key) != HX_E_PIN;
            _exit(status);
        }
    while (*ready < 4)
        usleep(100);
    strcpy(fake->token[0].pin, "other");
    (*ready)++;
    for (int i = 0; i < 4; i++)
        good += wait(&status) > 0 && !status;
    hx_key_close(key);
    hx_free(ctx);
    return good;
}

static void workers_lose_one_try_together(void **state)
{
    (void)state;
    assert_int_equal(in_process(workers, ""), 4);
    assert_int_equal(sent(), 5);
    assert_int_equal(fake->token[0].tries_left, 2);
}

/* The thing behind the PIN, wanted as often as arg has letters. */
static int reader(const char *arg)
{
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    for (; *arg && ctx; arg++) {
        AUTO_BYTES struct hx_bytes thing = { 0 };

        result = hx_read(ctx, "hsm:t/data/thing", HX_VALUE, &thing);
    }
    hx_free(ctx);
    return result;
}

static int person_at_the_pad(const char *arg)
{
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    (void)arg;
    if (!result)
        result = hx_login(ctx, "t", NULL, 0);
    hx_free(ctx);
    return result;
}

static void pinpad(void)
{
    put("hsmux.conf", 0600, "[token t]\nplugin = fake\n");
    fake->token[0].flags |= HX_PINPAD;
}

static void a_pinpad_is_asked_once_in_a_start(void **state)
{
    (void)state;
    pinpad();
    assert_int_equal(in_process(reader, "123"), HX_OK);
    assert_int_equal(sent(), 1);
    assert_string_equal(fake->token[0].last_pin, "");
    assert_int_equal(in_process(reader, "1"), HX_OK);
    assert_int_equal(sent(), 2);
}

static void a_pinpad_where_nobody_is_is_not_asked_by_a_restart_loop(void **state)
{
    static const int results[] = { HX_E_DEVICE, HX_E_PIN };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        reset_fake(NULL);
        pinpad();
        fake->script[FAKE_LOGIN] = (struct fake_script){ .result = results[i], .times = 1 };
        assert_int_equal(in_process(reader, "12"), HX_E_PIN);
        for (int start = 0; start < 5; start++)
            assert_int_equal(in_process(reader, "12"), HX_E_PIN);
        says("is not asked again: say `hsmux login t --pinpad`");
        assert_int_equal(sent(), 1);
        assert_int_equal(in_process(person_at_the_pad, ""), HX_OK);
        assert_int_equal(in_process(reader, "1"), HX_OK);
        assert_int_equal(sent(), 3);
    }
}

static void a_pinpad_that_was_busy_or_lost_is_asked_at_the_next_start(void **state)
{
    (void)state;
    pinpad();
    fake->script[FAKE_LOGIN] = (struct fake_script){ .result = HX_E_LOST, .times = 1 };
    assert_int_equal(in_process(reader, "1"), HX_E_LOST);
    assert_int_equal(in_process(reader, "1"), HX_OK);
}

static int reset(void **state)
{
    char conf[256];

    unlink(in_box("state/refused"));
    rmdir(in_box("state"));
    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\npin-file = %s\n", in_box("pin"));
    put("hsmux.conf", 0600, conf);
    put("pin", 0600, "right\n");
    return setenv("STATE_DIRECTORY", in_box("state"), 1) || reset_fake(state);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, reset, keeps_the_contract)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(each_operation_sends_the_pin_once),
        STORY(a_pin_that_is_refused_in_an_operation_is_never_sent_again),
        STORY(the_reason_names_token_and_pin_file),
        STORY(without_a_pin_one_line_says_what_to_write),
        STORY(the_last_try_is_a_persons_in_an_operation_too),
        STORY(a_lost_token_is_opened_again_in_the_middle),
        STORY(threads_do_not_come_between_pin_and_operation),
        STORY(workers_lose_one_try_together),
        STORY(a_pinpad_is_asked_once_in_a_start),
        STORY(a_pinpad_where_nobody_is_is_not_asked_by_a_restart_loop),
        STORY(a_pinpad_that_was_busy_or_lost_is_asked_at_the_next_start),
    };

    return cmocka_run_group_tests(tests, make_box, remove_box);
}
