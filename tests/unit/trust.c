/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of trust: whose files are loaded and believed, and what is said of the others. */
#include "trust.h"

#include "cleanup.h"

#include <fcntl.h>
#include <hsmux/hsmux.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char top[] = "/tmp/hsmux-trust-XXXXXX";
static char directory[64], file[80], link_to_file[80], fifo[80];

static int make_files(void **state)
{
    (void)state;
    if (!mkdtemp(top))
        return -1;
    snprintf(directory, sizeof directory, "%s/plugins", top);
    snprintf(file, sizeof file, "%s/x.so", directory);
    snprintf(link_to_file, sizeof link_to_file, "%s/link.so", top);
    snprintf(fifo, sizeof fifo, "%s/fifo", top);
    return mkdir(directory, 0755) || close(creat(file, 0644)) || chmod(file, 0644) || chmod(directory, 0755) ||
           symlink("plugins/x.so", link_to_file) || mkfifo(fifo, 0600);
}

static int remove_files(void **state)
{
    (void)state;
    return unlink(file) || rmdir(directory) || unlink(link_to_file) || unlink(fifo) || rmdir(top);
}

/* The last reason must say how to mend it: a command and a path. */
static void says(const char *command, const char *path)
{
    char wanted[128];

    snprintf(wanted, sizeof wanted, "%s'%s'", command, path);
    if (!strstr(hx_last_error(), wanted))
        fail_msg("no %s in '%s'", wanted, hx_last_error());
}

static void refused(const char *path, int result)
{
    char *real = NULL;

    assert_int_equal(trust_library(path, &real), result);
    assert_null(real);
}

static void our_own_library_is_loaded_by_its_real_path(void **state)
{
    const char *const paths[] = { file, link_to_file };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        AUTO_FREE char *real = NULL;

        assert_int_equal(trust_library(paths[i], &real), 0);
        assert_string_equal(real, file);
    }
}

static void a_library_that_others_may_write_is_refused(void **state)
{
    (void)state;
    for (mode_t mode = 020; mode; mode = mode == 020 ? 002 : 0) {
        assert_int_equal(chmod(file, 0644 | mode), 0);
        refused(file, HX_E_CONFIG);
        says("chmod go-w ", file);
        refused(link_to_file, HX_E_CONFIG);
        says("chmod go-w ", file);
    }
    assert_int_equal(chmod(file, 0644), 0);
}

static void a_library_below_a_directory_that_others_may_write_is_refused(void **state)
{
    (void)state;
    assert_int_equal(chmod(directory, 0775), 0);
    refused(file, HX_E_CONFIG);
    says("chmod go-w ", directory);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(chmod(top, 0757), 0);
    refused(file, HX_E_CONFIG);
    says("chmod go-w ", top);
    assert_int_equal(chmod(top, 0700), 0);
}

static void a_sticky_directory_above_our_own_is_good(void **state)
{
    AUTO_FREE char *real = NULL;

    (void)state;
    assert_int_equal(chmod(directory, 01777), 0);
    assert_int_equal(trust_library(file, &real), 0);
    assert_int_equal(chmod(directory, 0755), 0);
}

static void what_belongs_to_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(file, 12345, (gid_t)-1), 0);
    refused(file, HX_E_CONFIG);
    says("chown root ", file);
    assert_int_equal(chown(file, 0, (gid_t)-1), 0);
    assert_int_equal(chown(directory, 12345, (gid_t)-1), 0);
    refused(file, HX_E_CONFIG);
    says("chown root ", directory);
    assert_int_equal(chmod(directory, 01777), 0);
    refused(file, HX_E_CONFIG);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(chown(directory, 0, (gid_t)-1), 0);
}

static void the_running_user_is_the_effective_one(void **state)
{
    AUTO_FREE char *real = NULL;
    int result;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(top, 0755) || chown(file, 12345, (gid_t)-1), 0);
    assert_int_equal(seteuid(12345), 0);
    result = trust_library(file, &real); /* its directories are root's, it is ours */
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, 0);
    assert_int_equal(chown(file, 0, (gid_t)-1) || chmod(top, 0700), 0);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    refused(directory, HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), "not a regular file"));
    refused(fifo, HX_E_CONFIG);
    refused("/dev/null", HX_E_CONFIG);
    refused("/nonexistent/x.so", HX_E_NOT_FOUND);
    assert_non_null(strstr(hx_last_error(), "'/nonexistent/x.so'"));
    refused("/dev/null/x.so", HX_E_NOT_FOUND);
    refused("", HX_E_NOT_FOUND);
}

static int secret(mode_t mode)
{
    AUTO_CLOSE int fd = open(file, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    return trust_secret(fd, file, "PIN file");
}

static void a_secret_is_for_its_owner_and_group_alone(void **state)
{
    (void)state;
    assert_int_equal(secret(0600), 0);
    assert_int_equal(secret(0400), 0);
    assert_int_equal(secret(0640), 0);
    assert_int_equal(secret(0644), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), "can be read by others"));
    says("chmod g-w,o-rwx ", file);
    says("PIN file ", file);
    assert_int_equal(secret(0660), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), "can be written by others"));
    assert_int_equal(secret(0602), HX_E_CONFIG);
    if (geteuid() == 0) {
        assert_int_equal(chown(file, 12345, (gid_t)-1), 0);
        assert_int_equal(secret(0600), HX_E_CONFIG);
        says("chown root ", file);
        assert_int_equal(chown(file, 0, (gid_t)-1), 0);
    }
    assert_int_equal(chmod(file, 0644), 0);
}

static void a_secret_is_a_regular_file(void **state)
{
    AUTO_CLOSE int null = open("/dev/null", O_RDONLY), dir = open(directory, O_RDONLY);

    (void)state;
    assert_int_equal(trust_secret(null, "/dev/null", "PIN file"), HX_E_CONFIG);
    assert_non_null(strstr(hx_last_error(), "PIN file '/dev/null' is not a regular file"));
    assert_int_equal(trust_secret(dir, directory, "PIN file"), HX_E_CONFIG);
    assert_int_equal(trust_secret(-1, "x", "PIN file"), HX_E_CONFIG);
}

static void readable_by_others_is_the_last_digit(void **state)
{
    AUTO_CLOSE int fd = open(file, O_RDONLY);

    (void)state;
    assert_int_equal(fchmod(fd, 0640), 0);
    assert_false(trust_readable_by_others(fd));
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_true(trust_readable_by_others(fd));
    assert_true(trust_readable_by_others(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_library_is_loaded_by_its_real_path),
        cmocka_unit_test(a_library_that_others_may_write_is_refused),
        cmocka_unit_test(a_library_below_a_directory_that_others_may_write_is_refused),
        cmocka_unit_test(a_sticky_directory_above_our_own_is_good),
        cmocka_unit_test(what_belongs_to_another_user_is_refused),
        cmocka_unit_test(the_running_user_is_the_effective_one),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(a_secret_is_for_its_owner_and_group_alone),
        cmocka_unit_test(a_secret_is_a_regular_file),
        cmocka_unit_test(readable_by_others_is_the_last_digit),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
