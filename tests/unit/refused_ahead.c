/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the memory of refused PINs as root has opened it, for workers that may open no file any more. */
#include "box.h"
#include "refused.h"

#include <grp.h>
#include <pthread.h>

/* A server's master, root, in whose state directory its workers may do nothing. */
static void become_nobody(void)
{
    assert_int_equal(setgroups(0, NULL), 0);
    assert_int_equal(setresgid(65534, 65534, 65534), 0);
    assert_int_equal(setresuid(65534, 65534, 65534), 0);
    assert_int_equal(clearenv(), 0); /* as nginx does */
}

static int add_as_nobody(const char *pin)
{
    bool kept;

    refused_ahead();
    become_nobody();
    if (refused_has("F0001", pin, strlen(pin), &kept) || !kept || !refused_add("F0001", pin, strlen(pin)))
        return HX_E_DEVICE;
    return refused_has("F0001", pin, strlen(pin), &kept) && kept ? HX_OK : HX_E_PIN;
}

static int forget_as_nobody(const char *pin)
{
    bool kept;

    refused_ahead();
    become_nobody();
    refused_forget("F0001", pin, strlen(pin));
    return refused_has("F0001", pin, strlen(pin), &kept) || !kept ? HX_E_PIN : HX_OK;
}

static int has(const char *pin)
{
    bool kept;

    return refused_has("F0001", pin, strlen(pin), &kept) ? HX_E_PIN : HX_OK;
}

static void workers_that_lost_their_rights_remember_for_the_next_start(void **state)
{
    struct stat st;

    (void)state;
    if (geteuid())
        skip();
    assert_int_equal(in_process(add_as_nobody, "wrong"), HX_OK);
    assert_int_equal(stat(in_box("state/refused"), &st), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(in_process(has, "wrong"), HX_E_PIN);
    assert_int_equal(in_process(has, "right"), HX_OK);
    assert_int_equal(in_process(forget_as_nobody, "wrong"), HX_OK);
    assert_int_equal(in_process(has, "wrong"), HX_OK);
}

#define WORKERS 8

/* Half of them have rights, and open the file themselves; what the others have inherited is one open file.  Each writes
 * four, and threads of one worker at the same time. */
static void *add_two(void *arg)
{
    char pin[16];

    for (int i = 0; i < 2; i++) {
        snprintf(pin, sizeof pin, "%s%d", (char *)arg, i);
        if (!refused_add("F0001", pin, strlen(pin)))
            return arg;
    }
    return NULL;
}

static int workers_write_at_once(const char *arg)
{
    int status, good = 0;

    (void)arg;
    for (int i = 0; i < WORKERS; i++) {
        if (i == WORKERS / 2)
            refused_ahead();
        if (!fork()) {
            char one[2] = { (char)('a' + i), 0 }, two[2] = { (char)('A' + i), 0 };
            pthread_t thread;
            void *failed;

            if (i >= WORKERS / 2)
                become_nobody();
            pthread_create(&thread, NULL, add_two, one);
            status = add_two(two) != NULL;
            pthread_join(thread, &failed);
            exit(status || failed);
        }
    }
    for (int i = 0; i < WORKERS; i++)
        good += wait(&status) > 0 && !status;
    return good;
}

static void workers_that_write_at_once_lose_nothing(void **state)
{
    char pin[3] = "";

    (void)state;
    if (geteuid())
        skip();
    assert_int_equal(in_process(workers_write_at_once, ""), WORKERS);
    for (int i = 0; i < 4 * WORKERS; i++) {
        pin[0] = (char)((i & 2 ? 'a' : 'A') + i / 4);
        pin[1] = (char)('0' + i % 2);
        assert_int_equal(in_process(has, pin), HX_E_PIN);
    }
}

/* A daemon closes all that it does not know, and opens what it wants. */
static int closes_all(const char *flags)
{
    int fd;

    refused_ahead();
    for (fd = 3; fd < 64; fd++)
        close(fd);
    for (int i = 0; i < 64; i++)
        fd = open(in_box("victim"), *flags == 'r' ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CLOEXEC);
    become_nobody();
    return fd > 0 && refused_add("F0001", "wrong", 5) ? HX_OK : HX_E_ACCESS;
}

static int removed_meanwhile(const char *arg)
{
    bool kept;

    (void)arg;
    refused_ahead();
    unlink(in_box("state/refused"));
    if (refused_has("F0001", "wrong", 5, &kept) || kept || !refused_add("F0001", "wrong", 5)) /* a new one */
        return HX_E_DEVICE;
    refused_ahead();
    return refused_add("F0001", "worse", 5) ? HX_OK : HX_E_ACCESS;
}

static void nothing_is_written_to_what_is_another_file_by_now(void **state)
{
    char good[8192], text[8192];
    size_t len;

    (void)state;
    if (geteuid())
        skip();
    assert_int_equal(in_process(add_as_nobody, "wrong"), HX_OK);
    len = get("state/refused", good, sizeof good);
    put_bytes("victim", 0600, good, len);
    assert_int_equal(unlink(in_box("state/refused")), 0);
    assert_int_equal(in_process(closes_all, "w"), HX_E_ACCESS);
    assert_int_equal(in_process(closes_all, "r"), HX_E_ACCESS);
    assert_int_equal(get("victim", text, sizeof text), len);
    assert_memory_equal(text, good, len);
    assert_int_equal(in_process(removed_meanwhile, ""), HX_OK);
    assert_int_equal(in_process(has, "wrong"), HX_E_PIN);
    assert_int_equal(in_process(has, "worse"), HX_E_PIN);
}

/* Not to be seen by programs that are started from here, nor in the place of a standard stream. */
static int looks_at_descriptors(const char *arg)
{
    struct stat file, st;
    int found = 0;

    (void)arg;
    close(0);
    refused_ahead();
    if (stat(in_box("state/refused"), &file))
        return HX_E_NOT_FOUND;
    for (int fd = 0; fd < 1024; fd++)
        if (!fstat(fd, &st) && st.st_ino == file.st_ino && st.st_dev == file.st_dev)
            found += fd > 2 && fcntl(fd, F_GETFD) & FD_CLOEXEC ? 1 : 100;
    return found == 1 ? HX_OK : HX_E_INVALID;
}

static void what_is_opened_ahead_is_one_descriptor_and_closed_on_exec(void **state)
{
    (void)state;
    if (geteuid())
        skip();
    assert_int_equal(in_process(looks_at_descriptors, ""), HX_OK);
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
        STORY(workers_that_lost_their_rights_remember_for_the_next_start),
        STORY(workers_that_write_at_once_lose_nothing),
        STORY(nothing_is_written_to_what_is_another_file_by_now),
        STORY(what_is_opened_ahead_is_one_descriptor_and_closed_on_exec),
    };

    return cmocka_run_group_tests(tests, make_box, remove_box);
}
