/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of keys that have a PIN of their own, as a TPM's: each is tried once with the one that is configured, or with
 * the empty one; what one key refuses says nothing of another, and no restart loop locks the token. */
#include "box.h"

#include <pthread.h>

static const struct fake_object keys[] = {
    { .kind = HX_PRIVATE_KEY, .type = HX_P256, .label = "open", .flags = HX_OWN_AUTH, .key = 1 },
    { .kind = HX_PRIVATE_KEY, .type = HX_P256, .label = "shut", .flags = HX_OWN_AUTH, .key = 2, .auth = "right" },
    { .kind = HX_SECRET_KEY, .type = HX_GENERIC, .bits = 256, .label = "mac", .flags = HX_OWN_AUTH, .auth = "right" },
};

static int use(hx_key *key)
{
    AUTO_BYTES struct hx_bytes result = { 0 };
    struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    struct hx_object info = { 0 };

    hx_key_info(key, &info);
    if (info.kind == HX_SECRET_KEY)
        alg.scheme = HX_HMAC;
    return hx_sign(key, &alg, "a digest that has 32 bytes, as is", 32, &result);
}

/* The keys are made in the process that uses them first, for the fake plugin forgets a parent's key pairs. */
static int begin(hx **ret)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !fake->token[0].object[3].uid; i++)
        fake->add(0, &keys[i]);
    return hx_new(in_box("hsmux.conf"), ret);
}

static int open_key(hx *ctx, const char *label, hx_key **ret)
{
    char address[64];

    snprintf(address, sizeof address, "hsm:t/%s/%s", strcmp(label, "mac") ? "key" : "secret", label);
    return hx_key_open(ctx, address, ret);
}

/* A program that uses the key of that label twice. */
static int program(const char *label)
{
    hx_key *key = NULL;
    hx *ctx = NULL;
    int result = begin(&ctx);

    if (!result && !(result = open_key(ctx, label, &key))) {
        use(key);
        result = use(key);
    }
    snprintf(told->reason, sizeof told->reason, "%s", hx_last_error());
    hx_key_close(key);
    hx_free(ctx);
    return result;
}

static int person(const char *pin)
{
    hx *ctx = NULL;
    int result = begin(&ctx);

    if (!result)
        result = hx_login(ctx, "t", pin, strlen(pin));
    hx_free(ctx);
    return result;
}

static unsigned tried(void)
{
    return fake->token[0].own_tries;
}

static void configure(const char *pin)
{
    char conf[256];

    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\n%s%s\n", pin ? "pin-file = " : "", pin ? in_box("pin") : "");
    put("hsmux.conf", 0600, conf);
    if (pin)
        put("pin", 0600, pin);
}

static void a_key_without_a_pin_is_tried_once_with_the_empty_one(void **state)
{
    (void)state;
    configure(NULL);
    assert_int_equal(in_process(program, "open"), HX_OK);
    assert_int_equal(tried(), 1);
    assert_int_equal(in_process(program, "shut"), HX_E_PIN);
    for (int start = 0; start < 5; start++)
        assert_int_equal(in_process(program, "shut"), HX_E_PIN);
    says("the key wants a PIN (its auth value): set pin-file = in [token t]");
    assert_null(strchr(told->reason, '\n'));
    assert_int_equal(tried(), 2);
    assert_int_equal(fake->token[0].tries_left, 2);
}

static void what_one_key_refuses_is_tried_on_another(void **state)
{
    (void)state;
    configure(NULL);
    assert_int_equal(in_process(program, "shut"), HX_E_PIN);
    assert_int_equal(in_process(program, "mac"), HX_E_PIN);
    assert_int_equal(in_process(program, "open"), HX_OK);
    assert_int_equal(tried(), 3);
}

static void a_corrected_pin_heals_at_once(void **state)
{
    (void)state;
    configure("wrong");
    for (int start = 0; start < 5; start++)
        assert_int_equal(in_process(program, "mac"), HX_E_PIN);
    says("this PIN was refused before and is not sent again: correct it in '");
    says(in_box("pin"));
    assert_int_equal(tried(), 1);
    configure("right");
    assert_int_equal(in_process(program, "mac"), HX_OK);
    assert_int_equal(in_process(program, "shut"), HX_OK);
    assert_int_equal(tried(), 3);
}

/* The key's PIN became what the file said all the time; nobody but a person knows that. */
static void a_persons_login_has_all_keys_tried_again(void **state)
{
    (void)state;
    configure("later");
    assert_int_equal(in_process(program, "shut"), HX_E_PIN);
    strcpy(fake->token[0].object[2].auth, "later");
    assert_int_equal(in_process(program, "shut"), HX_E_PIN);
    says("(if it is right by now: `hsmux login t`)");
    assert_int_equal(in_process(person, "right"), HX_OK);
    assert_int_equal(in_process(program, "shut"), HX_OK);
    assert_int_equal(tried(), 2);
}

static void another_key_in_its_place_is_tried(void **state)
{
    (void)state;
    configure(NULL);
    assert_int_equal(in_process(program, "shut"), HX_E_PIN);
    fake->token[0].object[2].key = 3;
    fake->token[0].object[2].auth[0] = 0;
    assert_int_equal(in_process(program, "shut"), HX_OK);
}

/* A prefork server with a key: four workers use it at the same moment; how many could. */
static int workers(const char *label)
{
    atomic_int *gate = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status, good = 0;
    hx_key *key = NULL;
    hx *ctx = NULL;

    if (gate == MAP_FAILED || begin(&ctx) || open_key(ctx, label, &key))
        return HX_E_DEVICE;
    for (int i = 0; i < 4; i++)
        if (!fork()) {
            for ((*gate)++; *gate < 4;)
                usleep(100);
            status = use(key);
            _exit(use(key) == status ? -status : 100);
        }
    for (int i = 0; i < 4; i++)
        good += wait(&status) > 0 && !status;
    hx_key_close(key);
    hx_free(ctx);
    return good;
}

static void four_workers_lose_one_try_together(void **state)
{
    (void)state;
    fake->script[FAKE_SIGN].delay_ms = 20;
    configure("wrong");
    for (int start = 0; start < 5; start++)
        assert_int_equal(in_process(workers, "mac"), 0);
    assert_int_equal(tried(), 1);
    configure(NULL);
    for (int start = 0; start < 5; start++)
        assert_int_equal(in_process(workers, "mac"), 0);
    assert_int_equal(tried(), 2);
    configure("right");
    assert_int_equal(in_process(workers, "mac"), 4);
    assert_int_equal(tried(), 6);
}

/* The same, where the workers take turns: all use the key; then its PIN is changed, and in the file too if label is
 * "mac"; and all use it again.  How many can. */
static int workers_in_turn(const char *label)
{
    atomic_int *turn = mmap(NULL, sizeof *turn, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status, good = 0;
    hx_key *key = NULL;
    hx *ctx = NULL;

    if (turn == MAP_FAILED || begin(&ctx) || open_key(ctx, label, &key))
        return HX_E_DEVICE;
    for (int i = 0; i < 4; i++)
        if (!fork()) {
            for (int round = 0; round < 2; round++) {
                while (*turn < 5 * round + i)
                    usleep(100);
                status = use(key);
                ++*turn;
            }
            _exit(-status);
        }
    while (*turn < 4)
        usleep(100);
    for (size_t i = 1; i < 4; i++)
        strcpy(fake->token[0].object[i].auth, "later");
    if (!strcmp(label, "mac"))
        put("pin", 0600, "later");
    ++*turn;
    for (int i = 0; i < 4; i++)
        good += wait(&status) > 0 && !status;
    hx_key_close(key);
    hx_free(ctx);
    return good;
}

static void workers_lose_one_try_when_the_keys_pin_is_changed_under_them(void **state)
{
    (void)state;
    configure("right");
    assert_int_equal(in_process(workers_in_turn, "mac"), 4);
    assert_int_equal(fake->token[0].tries_left, 2);
    reset_fake(NULL);
    configure("right");
    assert_int_equal(in_process(workers_in_turn, "shut"), 0);
    assert_int_equal(fake->token[0].tries_left, 2);
}

/* A program that uses a key before and after another one, with another PIN, has taken its place. */
static int betrayed(const char *label)
{
    hx_key *key = NULL;
    hx *ctx = NULL;
    int result = begin(&ctx);

    if (!result && !(result = open_key(ctx, label, &key)) && !(result = use(key))) {
        fake->token[0].object[2].key = 3;
        strcpy(fake->token[0].object[2].auth, "later");
        put("pin", 0600, "later");
        result = use(key);
    }
    hx_key_close(key);
    hx_free(ctx);
    return result;
}

static void another_key_with_another_pin_is_not_taken_for_it(void **state)
{
    (void)state;
    configure("right");
    assert_int_equal(in_process(betrayed, "shut"), HX_E_DEVICE);
}

#define THREADS 8

static void *use_five_times(void *key)
{
    for (int i = 0; i < 5; i++)
        if (use(key))
            return key;
    return NULL;
}

static int threads(const char *label)
{
    pthread_t thread[THREADS];
    int result, bad = 0;
    hx_key *key = NULL;
    hx *ctx = NULL;

    if ((result = begin(&ctx)) || (result = open_key(ctx, label, &key)))
        return result;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, use_five_times, key);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;

        pthread_join(thread[i], &failed);
        bad += failed != NULL;
    }
    hx_key_close(key);
    hx_free(ctx);
    return bad;
}

static void threads_share_one_try(void **state)
{
    (void)state;
    configure("right");
    fake->script[FAKE_LOGIN].delay_ms = 1;
    assert_int_equal(in_process(threads, "shut"), 0);
    assert_int_equal(tried(), 1);
    configure("wrong");
    assert_int_equal(in_process(threads, "mac"), THREADS);
    assert_int_equal(tried(), 2);
}

static int reader(const char *arg)
{
    AUTO_BYTES struct hx_bytes thing = { 0 };
    hx *ctx = NULL;
    int result = begin(&ctx);

    (void)arg;
    if (!result)
        result = hx_read(ctx, "hsm:t/data/thing", HX_VALUE, &thing);
    snprintf(told->reason, sizeof told->reason, "%s", hx_last_error());
    hx_free(ctx);
    return result;
}

static void a_token_whose_pin_may_be_empty_is_tried_once_and_is_no_pinpad(void **state)
{
    (void)state;
    configure(NULL);
    fake->token[0].flags = HX_PIN_EMPTY;
    fake->script[FAKE_LOGIN] = (struct fake_script){ .result = HX_E_DEVICE, .times = 1 };
    assert_int_equal(in_process(reader, ""), HX_E_DEVICE);
    for (int start = 0; start < 5; start++)
        assert_int_equal(in_process(reader, ""), HX_E_PIN);
    says("set pin-file = in [token t]");
    assert_null(strstr(told->reason, "pinpad"));
    assert_int_equal(fake->calls[FAKE_LOGIN], 2);
    fake->token[0].pin[0] = 0;
    assert_int_equal(in_process(person, ""), HX_OK);
    assert_int_equal(in_process(reader, ""), HX_OK);
}

static int reset(void **state)
{
    unlink(in_box("state/refused"));
    rmdir(in_box("state"));
    return setenv("STATE_DIRECTORY", in_box("state"), 1) || reset_fake(state);
}

/* A program that goes through more keys than a page of memory has rows, and back to the first. */
static int collector(const char *arg)
{
    struct fake_object *object;
    hx_key *key = NULL;
    hx *ctx = NULL;
    int result = begin(&ctx);

    for (unsigned i = 0; i < 600 && !result; i++) {
        for (object = fake->token[0].object; strcmp(object->label, arg); object++)
            ;
        object->uid = 1000 + i % 300; /* which the core takes for another */
        if (!(result = open_key(ctx, arg, &key)))
            result = use(key);
        hx_key_close(key);
        key = NULL;
    }
    snprintf(told->reason, sizeof told->reason, "%s", hx_last_error());
    hx_free(ctx);
    return result;
}

static void there_is_no_end_to_keys_whose_pin_is_right(void **state)
{
    (void)state;
    configure("right");
    if (in_process(collector, "mac"))
        fail_msg("%s", told->reason);
    assert_int_equal(tried(), 600);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, reset, keeps_the_contract)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_key_without_a_pin_is_tried_once_with_the_empty_one),
        STORY(what_one_key_refuses_is_tried_on_another),
        STORY(a_corrected_pin_heals_at_once),
        STORY(a_persons_login_has_all_keys_tried_again),
        STORY(another_key_in_its_place_is_tried),
        STORY(four_workers_lose_one_try_together),
        STORY(workers_lose_one_try_when_the_keys_pin_is_changed_under_them),
        STORY(another_key_with_another_pin_is_not_taken_for_it),
        STORY(threads_share_one_try),
        STORY(there_is_no_end_to_keys_whose_pin_is_right),
        STORY(a_token_whose_pin_may_be_empty_is_tried_once_and_is_no_pinpad),
    };

    return cmocka_run_group_tests(tests, make_box, remove_box);
}
