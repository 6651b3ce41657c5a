/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the small tools: growing bytes that are wiped, the one-line reason, log lines. */
#include "bytes.h"

#include "error.h"
#include "log.h"

#include <hsmux/hsmux.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void bytes_grow_and_end_with_a_nul(void **state)
{
    AUTO_BYTES struct hx_bytes bytes = { 0 };

    (void)state;
    assert_int_equal(bytes_append(&bytes, NULL, 0), 0);
    assert_non_null(bytes.data);
    assert_int_equal(bytes.len, 0);
    assert_string_equal((char *)bytes.data, "");
    assert_int_equal(bytes_append(&bytes, "a\0b", 3), 0);
    assert_int_equal(bytes_text(&bytes, "cd"), 0);
    assert_int_equal(bytes_printf(&bytes, "%d-%s", 7, "x"), 0);
    assert_int_equal(bytes.len, 8);
    assert_memory_equal(bytes.data, "a\0bcd7-x\0", 9);
    assert_int_equal(bytes_append(&bytes, bytes.data, bytes.len), 0);
    assert_memory_equal(bytes.data, "a\0bcd7-xa\0bcd7-x\0", 17);
}

static void too_many_bytes_are_refused_and_change_nothing(void **state)
{
    AUTO_BYTES struct hx_bytes bytes = { 0 };

    (void)state;
    assert_int_equal(bytes_text(&bytes, "kept"), 0);
    assert_int_equal(bytes_append(&bytes, "x", SIZE_MAX), HX_E_NO_MEMORY);
    assert_int_equal(bytes_append(&bytes, "x", SIZE_MAX / 2 - 3), HX_E_NO_MEMORY);
    assert_string_equal((char *)bytes.data, "kept");
    assert_int_equal(bytes.len, 4);
}

static void a_reset_wipes_and_keeps_the_memory(void **state)
{
    AUTO_BYTES struct hx_bytes bytes = { 0 };
    unsigned char *data;

    (void)state;
    bytes_reset(&bytes);
    assert_int_equal(bytes_text(&bytes, "4711"), 0);
    data = bytes.data;
    bytes_reset(&bytes);
    assert_ptr_equal(bytes.data, data);
    assert_int_equal(bytes.len, 0);
    assert_memory_equal(data, "\0\0\0\0\0", 5);
}

static void what_is_moved_or_freed_is_gone(void **state)
{
    struct hx_bytes from = { 0 }, to = { 0 };

    (void)state;
    assert_int_equal(bytes_text(&from, "x"), 0);
    bytes_move(&to, &from);
    assert_null(from.data);
    assert_int_equal(from.len, 0);
    assert_string_equal((char *)to.data, "x");
    hx_bytes_free(&to);
    assert_null(to.data);
    assert_int_equal(to.len, 0);
    hx_bytes_free(&to);
    hx_bytes_free(NULL);
}

static void bytes_are_equal_with_equal_length_and_content(void **state)
{
    (void)state;
    assert_true(bytes_equal(NULL, 0, "", 0));
    assert_true(bytes_equal("a\0b", 3, "a\0b", 3));
    assert_false(bytes_equal("a\0b", 3, "a\0c", 3));
    assert_false(bytes_equal("ab", 2, "abc", 3));
}

static void strings_are_copied_and_wiped(void **state)
{
    char *copy = string_copy("4711");

    (void)state;
    assert_string_equal(copy, "4711");
    wipe_string(&copy);
    assert_null(copy);
    wipe_string(&copy);
    assert_null(string_copy(NULL));
}

static void hex_goes_there_and_back(void **state)
{
    AUTO_BYTES struct hx_bytes text = { 0 }, bytes = { 0 };

    (void)state;
    assert_int_equal(bytes_to_hex(&text, "\x00\xab\x9f", 3), 0);
    assert_string_equal((char *)text.data, "00AB9F");
    assert_int_equal(bytes_from_hex(&bytes, "00aB9f"), 0);
    assert_int_equal(bytes.len, 3);
    assert_memory_equal(bytes.data, "\x00\xab\x9f", 3);
}

static void foreign_digits_are_refused(void **state)
{
    static const char *const texts[] = { "0", "000", "0g", "G0", "0x00", " 00", "00 ", "-1", "\xc3\xa4", "0:" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct hx_bytes bytes = { 0 };

        assert_int_equal(bytes_from_hex(&bytes, texts[i]), HX_E_INVALID);
        assert_null(bytes.data);
    }
}

static void a_reason_is_one_line_with_its_context_in_front(void **state)
{
    (void)state;
    assert_int_equal(hx_error(HX_E_DEVICE, "no %s on '%s'", "answer", "a\nb\x1b-\x7f"), HX_E_DEVICE);
    assert_string_equal(hx_last_error(), "no answer on 'a?b?-?'");
    assert_int_equal(hx_error_in(HX_E_LOST, "token '%s'", "t\r"), HX_E_LOST);
    assert_string_equal(hx_last_error(), "token 't?': no answer on 'a?b?-?'");
    assert_int_equal(hx_error(HX_E_DEVICE, "again: %s", hx_last_error()), HX_E_DEVICE);
    assert_string_equal(hx_last_error(), "again: token 't?': no answer on 'a?b?-?'");
    hx_error_clear();
    assert_string_equal(hx_last_error(), "");
    assert_int_equal(hx_error_in(HX_E_PIN, "login"), HX_E_PIN);
    assert_string_equal(hx_last_error(), "login: PIN refused");
}

static void a_reason_without_end_is_cut(void **state)
{
    char *text = malloc(10001);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 10000);
    text[10000] = '\0';
    hx_error(HX_E_INVALID, "%s", text);
    assert_int_equal(strlen(hx_last_error()), 1023);
    hx_error_in(HX_E_INVALID, "%s", text);
    assert_int_equal(strlen(hx_last_error()), 1023);
    assert_non_null(strstr(hx_last_error(), "x: x"));
    free(text);
}

static void *fail_elsewhere(void *arg)
{
    hx_error(HX_E_LOST, "elsewhere");
    return arg;
}

static void each_thread_has_its_own_reason(void **state)
{
    pthread_t thread;

    (void)state;
    hx_error(HX_E_LOST, "here");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(hx_last_error(), "here");
}

static void each_result_has_its_words(void **state)
{
    (void)state;
    assert_string_equal(hx_strerror(HX_OK), "success");
    for (int result = HX_E_INVALID; result >= HX_E_ACCESS; result--) {
        assert_true(*hx_strerror(result));
        assert_string_not_equal(hx_strerror(result), "unknown result");
        assert_string_not_equal(hx_strerror(result), hx_strerror(result + 1));
    }
    assert_string_equal(hx_strerror(1), "unknown result");
    assert_string_equal(hx_strerror(HX_E_ACCESS - 1), "unknown result");
    assert_string_equal(hx_strerror(-2147483647 - 1), "unknown result");
}

struct heard {
    char line[2048];
    int priority, lines;
};

static void hear(void *arg, int priority, const char *line)
{
    struct heard *heard = arg;

    snprintf(heard->line, sizeof heard->line, "%s", line);
    heard->priority = priority;
    heard->lines++;
}

static void an_application_hears_every_line(void **state)
{
    struct heard heard = { 0 };

    (void)state;
    hx_set_log(hear, &heard);
    hx_log(LOG_DEBUG, "token '%s'\nopen", "t");
    hx_set_log(NULL, NULL);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.priority, LOG_DEBUG);
    assert_string_equal(heard.line, "token 't' open");
}

/* What hx_log writes to stderr with that $HSMUX_LOG. */
static void catch_stderr(const char *wish, int priority, char text[64])
{
    int kept = dup(STDERR_FILENO), ends[2];
    ssize_t len;

    assert_int_equal(wish ? setenv("HSMUX_LOG", wish, 1) : unsetenv("HSMUX_LOG"), 0);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    hx_log(priority, "a line");
    dup2(kept, STDERR_FILENO);
    close(kept);
    len = read(ends[0], text, 63);
    close(ends[0]);
    text[len > 0 ? len : 0] = '\0';
    unsetenv("HSMUX_LOG");
}

static void stderr_hears_what_the_environment_asks_for(void **state)
{
    static const struct {
        const char *wish;
        int priority;
        bool heard;
    } cases[] = {
        { NULL, LOG_WARNING, true },  { NULL, LOG_NOTICE, false },       { "debug", LOG_DEBUG, true },
        { "Info", LOG_DEBUG, false }, { "none", LOG_EMERG, false },      { "error", LOG_WARNING, false },
        { "error", LOG_ERR, true },   { "nonsense", LOG_WARNING, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];

        catch_stderr(cases[i].wish, cases[i].priority, text);
        assert_string_equal(text, cases[i].heard ? "hsmux: a line\n" : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_grow_and_end_with_a_nul),
        cmocka_unit_test(too_many_bytes_are_refused_and_change_nothing),
        cmocka_unit_test(a_reset_wipes_and_keeps_the_memory),
        cmocka_unit_test(what_is_moved_or_freed_is_gone),
        cmocka_unit_test(bytes_are_equal_with_equal_length_and_content),
        cmocka_unit_test(strings_are_copied_and_wiped),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(foreign_digits_are_refused),
        cmocka_unit_test(a_reason_is_one_line_with_its_context_in_front),
        cmocka_unit_test(a_reason_without_end_is_cut),
        cmocka_unit_test(each_thread_has_its_own_reason),
        cmocka_unit_test(each_result_has_its_words),
        cmocka_unit_test(an_application_hears_every_line),
        cmocka_unit_test(stderr_hears_what_the_environment_asks_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
