/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of refused PINs: they are never sent again, no restart loop locks a token, and a corrected PIN heals. */
#include "box.h"
#include "bytes.h"

static void put_conf(const char *pin)
{
    char conf[256];

    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\npin = %s\n", pin);
    put("hsmux.conf", 0600, conf);
}

static int read_thing(hx *ctx)
{
    AUTO_BYTES struct hx_bytes thing = { 0 };

    return hx_read(ctx, "hsm:t/data/thing", HX_VALUE, &thing);
}

/* A program that starts, wants the thing as often as arg has letters, and ends. */
static int program(const char *arg)
{
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    for (; *arg && !result; arg++) {
        result = read_thing(ctx);
        if (result && arg[1])
            result = 0; /* it does not give up */
    }
    hx_free(ctx);
    return result;
}

/* A program whose configuration is read anew for each letter. */
static int reloading_program(const char *arg)
{
    int result = 0;

    for (; *arg; arg++)
        result = program("1");
    return result;
}

/* A prefork server: four workers want the thing at the same moment; how many got it. */
static int four_workers(const char *arg)
{
    atomic_int *gate = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid[4];
    int status, good = 0;
    hx *ctx = NULL;

    if (gate == MAP_FAILED || hx_new(in_box("hsmux.conf"), &ctx))
        return HX_E_DEVICE;
    for (int i = 0; i < 4; i++)
        if ((pid[i] = fork()) == 0) {
            for ((*gate)++; *gate < 4;)
                usleep(100);
            for (int again = 0; again < 2; again++)
                status = read_thing(ctx);
            hx_free(ctx);
            _exit(status == (*arg ? HX_E_PIN : 0) ? 0 : 1);
        }
    for (int i = 0; i < 4; i++)
        good += waitpid(pid[i], &status, 0) == pid[i] && status == 0;
    hx_free(ctx);
    return good;
}

static unsigned sent(void)
{
    return fake->calls[FAKE_LOGIN];
}

static void with_state(void)
{
    setenv("STATE_DIRECTORY", in_box("state"), 1);
}

static void a_refused_pin_is_sent_once_in_a_process(void **state)
{
    (void)state;
    put_conf("wrong");
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    says("token 't'");
    reset_fake(NULL);
    assert_int_equal(in_process(program, "12345"), HX_E_PIN);
    says("refused before");
    says("hsmux login");
    assert_int_equal(sent(), 1);
    reset_fake(NULL);
    assert_int_equal(in_process(reloading_program, "12345"), HX_E_PIN);
    assert_int_equal(sent(), 1);
    assert_int_equal(fake->token[0].tries_left, 2);
}

static void a_right_pin_is_sent_as_often_as_it_is_needed(void **state)
{
    (void)state;
    put_conf("right");
    assert_int_equal(in_process(program, "123"), 0);
    assert_int_equal(sent(), 1);
    assert_int_equal(in_process(reloading_program, "123"), 0);
    assert_int_equal(sent(), 4);
}

static void forked_workers_share_one_attempt(void **state)
{
    (void)state;
    put_conf("wrong");
    fake->script[FAKE_LOGIN].delay_ms = 100;
    assert_int_equal(in_process(four_workers, "wrong"), 4);
    assert_int_equal(sent(), 1);
    reset_fake(NULL);
    put_conf("right");
    assert_int_equal(in_process(four_workers, ""), 4);
    assert_int_equal(sent(), 4);
}

static void a_refused_pin_is_not_sent_after_a_restart(void **state)
{
    (void)state;
    with_state();
    put_conf("wrong");
    for (int i = 0; i < 5; i++)
        assert_int_equal(in_process(program, "12"), HX_E_PIN);
    says("refused before");
    assert_int_equal(sent(), 1);
    assert_int_equal(fake->token[0].tries_left, 2);
}

static void a_corrected_pin_heals_at_once(void **state)
{
    (void)state;
    with_state();
    put_conf("wrong");
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    put_conf("right");
    assert_int_equal(in_process(program, "1"), 0);
    put_conf("wrong");
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    assert_int_equal(sent(), 2);
    assert_int_equal(fake->token[0].tries_left, 3);
}

/* A long-running program: its PIN file is corrected under it. */
static int corrected_meanwhile(const char *arg)
{
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    (void)arg;
    if (result || read_thing(ctx) != HX_E_PIN || read_thing(ctx) != HX_E_PIN)
        return HX_E_DEVICE;
    put("pin", 0600, "right\n");
    result = read_thing(ctx);
    hx_free(ctx);
    return result;
}

static void a_corrected_pin_file_heals_a_running_program(void **state)
{
    char conf[256];

    (void)state;
    put("pin", 0600, "wrong\n");
    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\npin-file = %s\n", in_box("pin"));
    put("hsmux.conf", 0600, conf);
    assert_int_equal(in_process(corrected_meanwhile, ""), 0);
    assert_int_equal(sent(), 2);
}

static void twenty_restarts_lock_no_token_that_tells_its_flags(void **state)
{
    (void)state;
    put_conf("wrong");
    for (int i = 0; i < 20; i++)
        assert_int_equal(in_process(program, "12"), HX_E_PIN);
    says("hsmux login t");
    assert_int_equal(fake->token[0].tries_left, 1);
}

static void twenty_restarts_lock_no_token_without_flags_where_refused_pins_are_kept(void **state)
{
    (void)state;
    with_state();
    put_conf("wrong");
    fake->token[0].no_flags = true;
    for (int i = 0; i < 20; i++)
        assert_int_equal(in_process(program, "12"), HX_E_PIN);
    assert_int_equal(fake->token[0].tries_left, 2);
    put_conf("right");
    assert_int_equal(in_process(program, "1"), 0);
}

static void while_the_count_is_low_another_pin_is_sent_once(void **state)
{
    (void)state;
    with_state();
    fake->token[0].tries = fake->token[0].tries_left = 4;
    put_conf("wrong");
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    put_conf("worse");
    assert_int_equal(in_process(program, "12"), HX_E_PIN);
    assert_int_equal(in_process(program, "12"), HX_E_PIN);
    assert_int_equal(sent(), 2);
    assert_int_equal(fake->token[0].tries_left, 2);
}

static void the_last_try_is_a_persons(void **state)
{
    (void)state;
    put_conf("right");
    fake->token[0].tries_left = 1;
    assert_int_equal(in_process(program, "12"), HX_E_PIN);
    says("hsmux login t");
    assert_int_equal(sent(), 0);
}

static void nothing_is_sent_to_a_locked_token(void **state)
{
    (void)state;
    put_conf("right");
    fake->token[0].tries_left = 0;
    assert_int_equal(in_process(program, "12"), HX_E_LOCKED);
    says("locked");
    assert_int_equal(sent(), 0);
}

/* hsmux login */
static int person(const char *pin)
{
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    if (!result)
        result = hx_login(ctx, "t", pin, strlen(pin));
    hx_free(ctx);
    return result;
}

static void a_person_may_use_the_last_try_and_frees_the_pin_that_was_right(void **state)
{
    (void)state;
    with_state();
    put_conf("wrong");
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    fake->token[0].tries_left = 1;
    assert_int_equal(in_process(person, "right"), 0);
    assert_int_equal(fake->token[0].tries_left, 3);
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    strcpy(fake->token[0].pin, "wrong"); /* the token's PIN was changed to what is configured */
    assert_int_equal(in_process(person, "wrong"), 0);
    assert_int_equal(in_process(program, "1"), 0);
}

static void a_persons_wrong_pin_clears_nothing(void **state)
{
    (void)state;
    with_state();
    put_conf("wrong");
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    assert_int_equal(in_process(person, "worse"), HX_E_PIN);
    fake->token[0].tries_left = 3;
    assert_int_equal(in_process(program, "1"), HX_E_PIN);
    assert_int_equal(sent(), 2);
}

static void a_persons_wrong_pin_is_not_sent_again_without_that_person(void **state)
{
    (void)state;
    with_state();
    put_conf("wrong");
    assert_int_equal(in_process(person, "wrong"), HX_E_PIN);
    assert_int_equal(in_process(program, "12"), HX_E_PIN);
    says("refused before");
    assert_int_equal(sent(), 1);
}

static void a_pin_with_which_the_token_was_lost_is_not_sent_again_at_once(void **state)
{
    (void)state;
    put_conf("wrong");
    fake->script[FAKE_LOGIN] = (struct fake_script){ .result = HX_E_LOST, .times = 1 };
    assert_int_equal(in_process(program, "1"), HX_E_LOST);
    assert_int_equal(sent(), 1);
    reset_fake(NULL);
    fake->script[FAKE_LOGIN] = (struct fake_script){ .result = HX_E_LOST, .times = 1 };
    assert_int_equal(in_process(person, "wrong"), HX_E_LOST);
    assert_int_equal(sent(), 1);
}

/* In a program that still runs, the token's PIN was set right; who says so is this program or another. */
static int mended_meanwhile(const char *who)
{
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx), status = 0;

    if (result || read_thing(ctx) != HX_E_PIN)
        return HX_E_DEVICE;
    strcpy(fake->token[0].pin, "wrong");
    if (!strcmp(who, "other")) { /* exec: it does not share the page */
        char name[] = "test-login", word[] = "person";
        char *argv[] = { name, word, box, NULL };

        if (fork() == 0) {
            execv("/proc/self/exe", argv);
            _exit(127);
        }
        wait(&status);
    } else {
        result = hx_login(ctx, "t", "wrong", 5);
    }
    if (!result && !status)
        result = read_thing(ctx);
    hx_free(ctx);
    return status ? HX_E_NO_MEMORY : result;
}

static void a_login_heals_running_programs(void **state)
{
    (void)state;
    with_state();
    put_conf("wrong");
    assert_int_equal(in_process(mended_meanwhile, "self"), 0);
    assert_int_equal(sent(), 2);
    reset_fake(NULL);
    assert_int_equal(in_process(mended_meanwhile, "other"), 0);
    assert_int_equal(sent(), 2); /* the other program has a fake of its own */
}

static int login_elsewhere(const char *arg)
{
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    (void)arg;
    if (result || read_thing(ctx) != HX_E_PIN || hx_login(ctx, "u", "other", 5))
        return HX_E_DEVICE;
    result = read_thing(ctx);
    hx_free(ctx);
    return result;
}

static void a_login_to_one_token_forgets_nothing_of_another(void **state)
{
    (void)state;
    fake->tokens = 2;
    strcpy(fake->token[1].serial, "F0002");
    strcpy(fake->token[1].pin, "other");
    put("hsmux.conf", 0600,
        "[token t]\nplugin = fake\nserial = F0001\npin = wrong\n[token u]\nplugin = fake\nserial = F0002\n");
    assert_int_equal(in_process(login_elsewhere, ""), HX_E_PIN);
    assert_int_equal(sent(), 2);
    assert_int_equal(fake->token[0].tries_left, 2);
}

static int reset(void **state)
{
    unlink(in_box("state/refused"));
    rmdir(in_box("state"));
    return setenv("STATE_DIRECTORY", UNWRITABLE, 1) || reset_fake(state);
}

/* What mended_meanwhile() starts; the fake plugin in this process finds any PIN right. */
static int other_program(const char *directory)
{
    snprintf(box, sizeof box, "%s", directory);
    return person("wrong") ? 1 : 0;
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, reset, keeps_the_contract)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        STORY(a_refused_pin_is_sent_once_in_a_process),
        STORY(a_right_pin_is_sent_as_often_as_it_is_needed),
        STORY(forked_workers_share_one_attempt),
        STORY(a_refused_pin_is_not_sent_after_a_restart),
        STORY(a_corrected_pin_heals_at_once),
        STORY(a_corrected_pin_file_heals_a_running_program),
        STORY(twenty_restarts_lock_no_token_that_tells_its_flags),
        STORY(twenty_restarts_lock_no_token_without_flags_where_refused_pins_are_kept),
        STORY(while_the_count_is_low_another_pin_is_sent_once),
        STORY(the_last_try_is_a_persons),
        STORY(nothing_is_sent_to_a_locked_token),
        STORY(a_person_may_use_the_last_try_and_frees_the_pin_that_was_right),
        STORY(a_persons_wrong_pin_clears_nothing),
        STORY(a_persons_wrong_pin_is_not_sent_again_without_that_person),
        STORY(a_pin_with_which_the_token_was_lost_is_not_sent_again_at_once),
        STORY(a_login_heals_running_programs),
        STORY(a_login_to_one_token_forgets_nothing_of_another),
    };

    if (argc == 3 && !strcmp(argv[1], "person"))
        return other_program(argv[2]);
    return cmocka_run_group_tests(tests, make_box, remove_box);
}
