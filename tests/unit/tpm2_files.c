/* SPDX-License-Identifier: Apache-2.0 */
/* The tpm2 plugin's files: owners and modes, power cuts, bad disks, several writers. */
#include "crash.h"
#include "tpm2-place.h"

#include <sys/file.h>
#include <sys/wait.h>

static int read_file(struct fixture *f, const char *file, bool secret)
{
    struct tpm_directory directory;
    unsigned char *data;
    size_t len;
    int result = tpm_directory_open(&f->host.host, f->dir, &directory);
    if (result)
        return result;
    result = tpm_directory_read(&directory, file, secret, &data, &len);
    tpm_directory_close(&directory);
    if (!result)
        free(data);
    return result;
}

static void what_others_could_have_written_is_refused(void **state)
{
    struct fixture *f = *state;
    struct tpm_labels labels;
    assert_int_equal(read_file(f, "x", false), HX_E_NOT_FOUND);
    put(f, "labels", 0664, "", 0);
    put(f, "pin.sealed", 0640, "x", 1);
    assert_int_equal(tpm_labels_load(&f->host.host, &f->places, &labels), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "dir/labels' (mode 0664): chmod go-w '"));
    assert_int_equal(set(f, 0x81010003, NULL, false, "x"), HX_E_CONFIG);
    assert_int_equal(read_file(f, "pin.sealed", true), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "chmod 600 '"));
    assert_int_equal(read_file(f, "pin.sealed", false), 0);
    assert_int_equal(mkfifo(path_of(f, "fifo"), 0600), 0);
    assert_int_equal(read_file(f, "fifo", false), HX_E_CONFIG);
    assert_int_equal(chmod(f->dir, 0775), 0);
    assert_int_equal(read_file(f, "pin.sealed", false), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "chmod go-w '"));
    assert_int_equal(set(f, 0x81010003, NULL, false, "x"), HX_E_CONFIG);
    assert_int_equal(chmod(f->dir, 0755), 0);
    if (geteuid())
        skip();
    assert_int_equal(chown(path_of(f, "pin.sealed"), 12345, 12345), 0);
    assert_int_equal(read_file(f, "pin.sealed", false), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "chown 0 '"));
    assert_int_equal(chmod(path_of(f, "labels"), 0600), 0);
    assert_int_equal(seteuid(12345), 0);
    int closed = read_file(f, "labels", false);
    int written = set(f, 0x81010003, NULL, false, "x");
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(closed, HX_E_ACCESS);
    assert_int_equal(written, HX_E_ACCESS);
    assert_int_equal(chown(f->dir, 12345, 12345), 0);
    assert_int_equal(read_file(f, "labels", false), HX_E_CONFIG);
}

static void a_file_is_replaced_only_if_that_was_meant(void **state)
{
    struct fixture *f = *state;
    struct tpm_directory directory;
    struct dirent **names;
    size_t count;
    put(f, ".hsmux-left", 0600, "x", 1);
    assert_int_equal(tpm_directory_lock(&f->host.host, f->dir, &directory), 0);
    for (int i = 0; i < 2; i++) {
        crash_no_renameat2 = i;
        assert_int_equal(tpm_directory_write(&directory, i ? "b.pem" : "a.pem", 0644, "one", 3, false), 0);
        assert_int_equal(tpm_directory_write(&directory, i ? "b.pem" : "a.pem", 0644, "two", 3, false), HX_E_EXISTS);
    }
    crash_no_renameat2 = false;
    assert_string_equal(get(f, "a.pem"), "one");
    assert_int_equal(tpm_directory_write(&directory, "a.pem", 0600, "two", 3, true), 0);
    assert_string_equal(get(f, "a.pem"), "two");
    assert_int_equal(mode_of(path_of(f, "a.pem")), 0600);
    assert_int_equal(tpm_directory_names(&directory, &names, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(names[1]->d_name, "b.pem");
    tpm_directory_free_names(names, count);
    assert_int_equal(access(path_of(f, ".hsmux-left"), F_OK), -1);
    assert_int_equal(tpm_directory_remove(&directory, "a.pem"), 0);
    assert_int_equal(tpm_directory_remove(&directory, "a.pem"), HX_E_NOT_FOUND);
    assert_true(fcntl(directory.fd, F_GETFD) & FD_CLOEXEC);
    struct tpm_directory second;
    assert_int_equal(tpm_directory_lock(&f->host.host, f->dir, &second), HX_E_BUSY);
    tpm_directory_close(&directory);
}

/* Any user may open the directory itself. */
static void who_may_only_read_it_locks_nobody_out(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    int fd;
    assert_int_equal(set(f, 0x81010003, NULL, false, "x"), 0);
    assert_true((fd = open(f->dir, O_RDONLY | O_DIRECTORY)) >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(set(f, 0x81010003, NULL, false, "y"), 0);
    close(fd);
    assert_int_equal(stat(path_of(f, ".lock"), &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
}

/* Three changes to "81010003 a, 81010004 b": a new line, another line, none. */
static const struct {
    TPM2_HANDLE handle;
    const char *label, *after;
} changes[] = {
    { 0x81010005, "c", "81010003 - - a\n81010004 - - b\n81010005 - - c\n" },
    { 0x81010003, "c", "81010004 - - b\n81010003 - - c\n" },
    { 0x81010003, NULL, "81010004 - - b\n" },
};
static const char before[] = "81010003 - - a\n81010004 - - b\n";

static int change(struct fixture *f, size_t i)
{
    if (!changes[i].label)
        return tpm_labels_remove(&f->host.host, &f->places, changes[i].handle);
    return set(f, changes[i].handle, NULL, false, changes[i].label);
}

static void a_power_cut_leaves_all_old_labels_or_all_new_ones(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        int seen_before = 0, seen_after = 0, status = CRASHED << 8;
        for (int n = 1; status; n++) {
            put(f, "labels", 0644, before, strlen(before));
            pid_t pid = fork();
            if (!pid) {
                crash_at(n);
                _exit(change(f, i) ? 1 : 0);
            }
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFEXITED(status));
            assert_true(!status || WEXITSTATUS(status) == CRASHED);
            bool done = !strcmp(get(f, "labels"), changes[i].after);
            assert_true(done || !strcmp(get(f, "labels"), before));
            assert_true(done || status);
            seen_before += !done;
            seen_after += done;
        }
        assert_true(seen_before > 4 && seen_after > 1);
    }
}

static void a_bad_disk_is_told_of_and_leaves_the_old_labels(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        int result = HX_E_DEVICE, refused = 0;
        for (int n = 1, calls = n; calls >= n; n++) {
            put(f, "labels", 0644, before, strlen(before));
            plugin_host_clear(&f->host);
            crash_fail_at(n);
            result = change(f, i);
            calls = crash_calls();
            crash_at(0);
            bool done = !strcmp(get(f, "labels"), changes[i].after);
            assert_true(done || !strcmp(get(f, "labels"), before));
            assert_true(done || result == HX_E_DEVICE);
            assert_int_equal(result != 0, plugin_host_said(&f->host, "Input/output error"));
            refused += result != 0;
        }
        assert_int_equal(result, 0);
        assert_true(refused >= 6); /* mode, write, sync, close, rename, sync of the directory */
    }
}

static void many_writers_lose_no_label(void **state)
{
    struct fixture *f = *state;
    pid_t pid[4];
    int status;
    for (unsigned i = 0; i < 4; i++) {
        pid[i] = fork();
        if (pid[i])
            continue;
        for (unsigned j = 0; j < 20; j++)
            if (set(f, 0x81010000 + 32 * i + j, &name_a, false, "x"))
                _exit(1);
        _exit(0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
    struct tpm_labels labels = load(f);
    assert_int_equal(labels.count, 80);
    tpm_labels_free(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_others_could_have_written_is_refused),       T(a_file_is_replaced_only_if_that_was_meant),
        T(who_may_only_read_it_locks_nobody_out),           T(a_power_cut_leaves_all_old_labels_or_all_new_ones),
        T(a_bad_disk_is_told_of_and_leaves_the_old_labels), T(many_writers_lose_no_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
