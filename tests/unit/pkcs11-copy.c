/* SPDX-License-Identifier: Apache-2.0 */
/* Children of a module that does not notice fork(): how many copies of it they load, and of which file. */
#include "pkcs11-fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char module[96], second[96];

static void make_module(const char *name, char *ret, size_t size)
{
    snprintf(ret, size, "%s/%s.so", directory, name);
    run("cp '%s' %s", host.host.option(&host.host, "module"), ret);
}

/* Initialised by the application, before the plugin has heard of them. */
static void start_module(const char *path)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    CK_C_GetFunctionList get;
    CK_FUNCTION_LIST *fn;
    CK_RV rv;

    assert_non_null(handle);
    *(void **)&get = dlsym(handle, "C_GetFunctionList");
    assert_int_equal(get(&fn), CKR_OK);
    rv = fn->C_Initialize(&args);
    assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED);
}

static int start(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    make_module("first", module, sizeof module);
    make_module("second", second, sizeof second);
    start_module(module);
    start_module(second);
    plugin_host_set(&host, "token", "edge");
    setenv("P11_COUNTER_FORKLESS", "1", 1);
    plugin->forked(); /* it watches from now on */
    return 0;
}

static int stop(void **state)
{
    (void)state;
    unsetenv("P11_COUNTER_FORKLESS");
    return fixture_stop();
}

static int open_from(const char *path)
{
    void *token = NULL;
    int r;

    plugin_host_set(&host, "module", path);
    r = plugin->open(&host.host, NULL, &token);
    if (!r)
        plugin->close(token);
    return r;
}

static int count_descriptors(void)
{
    DIR *numbers = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(numbers))
        count++;
    closedir(numbers);
    return count;
}

/* By the text that a copy's file starts with in the list of what is mapped. */
static int count_copies(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long offset;
    char line[512];
    int count = 0;

    while (fgets(line, sizeof line, maps))
        count += strstr(line, "memfd:pkcs11-module") && sscanf(line, "%*s %*s %lx", &offset) == 1 && offset == 0;
    fclose(maps);
    return count;
}

static void in_child(int (*child)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        alarm(30);
        plugin->forked();
        status = child();
        if (status)
            fprintf(stderr, "child: %d: %s\n", status, host.reason);
        _exit(status);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Each number tells which step was not as it should be. */
static int fail_and_heal(void)
{
    int before = count_descriptors();

    setenv("P11_COUNTER_FAIL", "C_GetInfo:0:0x30", 1);
    for (int i = 0; i < 3; i++)
        if (!open_from(module))
            return 1;
    unsetenv("P11_COUNTER_FAIL");
    unsetenv("P11_COUNTER_FORKLESS"); /* or it would not be started again after C_Finalize either */
    if (open_from(module))
        return 2;
    if (count_copies() != 1)
        return 3;
    return count_descriptors() == before ? 0 : 4;
}

static void a_module_that_fails_for_a_while_is_copied_once(void **state)
{
    (void)state;
    in_child(fail_and_heal);
}

/* As a program does that becomes a daemon. */
static int close_all_between(void)
{
    if (open_from(module))
        return 1;
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    if (open_from(second))
        return 2;
    return count_copies() == 2 ? 0 : 3;
}

static void a_copy_is_never_taken_for_another_modules(void **state)
{
    (void)state;
    in_child(close_all_between);
}

static int meet_a_file_of_everybodys(void)
{
    if (chmod(module, 0777) || open_from(module))
        return 1;
    if (count_copies() || !plugin_host_logged(&host, "no copy of it can be loaded: its file"))
        return 2;
    return 0;
}

static void what_others_can_write_is_not_copied(void **state)
{
    (void)state;
    in_child(meet_a_file_of_everybodys);
}

int pkcs11_copy_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_that_fails_for_a_while_is_copied_once),
        cmocka_unit_test(a_copy_is_never_taken_for_another_modules),
        cmocka_unit_test(what_others_can_write_is_not_copied),
    };

    return cmocka_run_group_tests_name("copy", tests, start, stop);
}
