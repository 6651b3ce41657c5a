/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the file of refused PINs: whose it is, what it holds, and that nothing in it does harm. */
#include "refused.h"
#include "box.h"

#include <pthread.h>

#define RECORD 128

static void put_conf(const char *pin)
{
    char conf[256];

    snprintf(conf, sizeof conf, "[token t]\nplugin = fake\npin = %s\n", pin);
    put("hsmux.conf", 0600, conf);
}

/* A program that starts, wants the thing, and ends. */
static int program(const char *address)
{
    AUTO_BYTES struct hx_bytes thing = { 0 };
    hx *ctx = NULL;
    int result = hx_new(in_box("hsmux.conf"), &ctx);

    if (!result)
        result = hx_read(ctx, address, HX_VALUE, &thing);
    hx_free(ctx);
    return result;
}

static unsigned sent(void)
{
    return fake->calls[FAKE_LOGIN];
}

static void is_refused(void)
{
    assert_int_equal(in_process(program, "hsm:t/data/thing"), HX_E_PIN);
}

static void the_file_of_refused_pins_is_ours_alone_and_holds_no_pin(void **state)
{
    char text[8192], again[8192];
    struct stat st;

    (void)state;
    put_conf("wrong");
    is_refused();
    assert_int_equal(stat(in_box("state/refused"), &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(stat(in_box("state"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(get("state/refused", text, sizeof text), 2 * RECORD);
    assert_null(memmem(text, 2 * RECORD, "wrong", 5));
    assert_null(memmem(text, 2 * RECORD, "F0001", 5));
    assert_int_equal(unlink(in_box("state/refused")), 0);
    is_refused();
    get("state/refused", again, sizeof again);
    for (size_t hash = 0; hash < 3; hash++) /* the salt, the token, the PIN: nothing to compare devices by */
        assert_memory_not_equal(text + RECORD * (hash > 0) + 8 + (hash == 2 ? 32 : 0),
                                again + RECORD * (hash > 0) + 8 + (hash == 2 ? 32 : 0), 32);
}

/* Whatever the file holds, the program goes on, and once it has sent the PIN knows that it was refused. */
static void survives(mode_t mode, const char *text, size_t len, unsigned attempts)
{
    reset_fake(NULL);
    fake->token[0].tries = fake->token[0].tries_left = 10;
    put_bytes("state/refused", mode, text, len);
    is_refused();
    is_refused();
    assert_int_equal(sent(), attempts);
}

static void a_file_of_refused_pins_that_holds_junk_is_survived(void **state)
{
    static char big[200000], good[8192];
    size_t len;

    (void)state;
    put_conf("wrong");
    is_refused();
    len = get("state/refused", good, sizeof good);
    survives(0600, good, len, 0);
    survives(0644, good, len, 1); /* anybody's, perhaps */
    survives(0600, "", 0, 1);
    survives(0600, "\0\0\0\xff%s%n\n", 10, 1);
    survives(0600, good, len - 30, 1);
    memset(big, 'A', sizeof big);
    survives(0600, big, sizeof big, 1);
    memset(big, '\n', sizeof big);
    survives(0600, big, sizeof big, 1);
    survives(0600, good, len / 2, 1); /* the head alone */
    memcpy(big, good, len); /* and much behind it */
    survives(0600, big, sizeof big, 0);
    good[len - 25]++; /* of the record's check, and its number */
    survives(0600, good, len, 1);
    good[len - 25]--;
    good[RECORD]++;
    survives(0600, good, len, 1);
    good[RECORD]--;
    good[8]++; /* of the salt */
    survives(0600, good, len, 1);
    good[8]--;
    assert_int_equal(unlink(in_box("state/refused")), 0);
    put_bytes("elsewhere", 0600, good, len);
    assert_int_equal(symlink(in_box("elsewhere"), in_box("state/refused")), 0);
    reset_fake(NULL);
    is_refused();
    is_refused();
    assert_int_equal(sent(), 1);
}

static void many_refused_pins_push_out_the_oldest(void **state)
{
    char pin[16];

    (void)state;
    fake->token[0].tries = fake->token[0].tries_left = 1000;
    for (int i = 0; i < 70; i++) {
        snprintf(pin, sizeof pin, "wrong%d", i);
        put_conf(pin);
        is_refused();
    }
    is_refused();
    assert_int_equal(sent(), 70);
    put_conf("wrong0");
    is_refused();
    assert_int_equal(sent(), 71);
}

/* Root, and a service whose directory this is, read what the other has written. */
static void root_and_a_service_remember_together(void **state)
{
    struct stat st;

    (void)state;
    if (geteuid())
        skip();
    put_conf("wrong");
    mkdir(in_box("state"), 0700);
    assert_int_equal(chown(in_box("state"), 65534, 65534), 0);
    is_refused();
    assert_int_equal(stat(in_box("state/refused"), &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    is_refused();
    assert_int_equal(sent(), 1);
    assert_int_equal(chown(in_box("state/refused"), 1, 1), 0); /* anybody's */
    is_refused();
    assert_int_equal(sent(), 2);
}

/* Somebody without a system's directory: what was refused is in a place of his own. */
static int as_nobody(const char *home)
{
    bool kept = false;

    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", home, 1);
    if (setresuid(65534, 65534, 65534))
        return HX_E_ACCESS;
    if (refused_has("F0001", "wrong", 5, &kept) || kept || !refused_add("F0001", "wrong", 5))
        return HX_E_DEVICE;
    return refused_has("F0001", "wrong", 5, &kept) && kept && !refused_has("F0001", "right", 5, &kept) ? 0 : HX_E_PIN;
}

static void a_user_remembers_at_home(void **state)
{
    struct stat st;

    (void)state;
    if (geteuid())
        skip();
    assert_int_equal(chmod(in_box(""), 0755), 0);
    mkdir(in_box("home"), 0700);
    assert_int_equal(chown(in_box("home"), 65534, 65534), 0);
    assert_int_equal(in_process(as_nobody, in_box("home")), 0);
    assert_int_equal(stat(in_box("home/.local/state/hsmux/refused"), &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(stat(in_box("home/.local/state/hsmux"), &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
}

static void *want_thing(void *arg)
{
    program(arg);
    return NULL;
}

/* A worker that is forked in the middle of a login, and stays for some seconds. */
static int forks_in_the_middle(const char *address)
{
    char name[64];
    pthread_t thread;

    snprintf(name, sizeof name, "%s", address);
    pthread_create(&thread, NULL, want_thing, name);
    while (!fake->calls[FAKE_LOGIN])
        usleep(1000);
    if (!fork()) {
        sleep(6);
        _exit(0);
    }
    pthread_join(thread, NULL);
    return HX_OK;
}

static void a_forked_worker_keeps_no_lock(void **state)
{
    struct timespec begin, end;

    (void)state;
    put_conf("wrong");
    fake->script[FAKE_LOGIN].delay_ms = 1000; /* longer than a fork waits */
    assert_int_equal(in_process(forks_in_the_middle, "hsm:t/data/thing"), HX_OK);
    fake->script[FAKE_LOGIN].delay_ms = 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    put_conf("right");
    assert_int_equal(in_process(program, "hsm:t/data/thing"), HX_OK);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 5);
}

static int reset(void **state)
{
    unlink(in_box("state/refused"));
    rmdir(in_box("state"));
    return setenv("STATE_DIRECTORY", in_box("state"), 1) || reset_fake(state);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, reset, keeps_the_contract)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_file_of_refused_pins_is_ours_alone_and_holds_no_pin),
        STORY(a_file_of_refused_pins_that_holds_junk_is_survived),
        STORY(many_refused_pins_push_out_the_oldest),
        STORY(root_and_a_service_remember_together),
        STORY(a_user_remembers_at_home),
        STORY(a_forked_worker_keeps_no_lock),
    };

    return cmocka_run_group_tests(tests, make_box, remove_box);
}
