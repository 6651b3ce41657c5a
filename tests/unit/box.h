/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of a test's own with plugins that may be loaded, the fake plugin's script, and processes that know
 * nothing of each other: the test program itself never calls the core, so that each of them starts afresh. */
#ifndef BOX_H
#define BOX_H

#include "bytes.h"
#include "fake-plugin.h"

#include <hsmux/hsmux.h>
#include <hsmux/plugin.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define UNWRITABLE "/dev/null/state" /* for root too */

struct told { /* what a process came back with */
    int result;
    char reason[1024];
};

static char box[] = "/tmp/hsmux-box-XXXXXX";
static struct fake_control *fake;
static const struct hx_plugin *fake_table;
static struct told *told;

/* The name's path in the box, good for a few more calls. */
static inline const char *in_box(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", box, name);
    return path;
}

static inline void put_bytes(const char *name, mode_t mode, const void *data, size_t len)
{
    const char *path = in_box(name);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
}

static inline void put(const char *name, mode_t mode, const char *text)
{
    put_bytes(name, mode, text, strlen(text));
}

static inline size_t get(const char *name, char *ret, size_t size)
{
    AUTO_CLOSE int fd = open(in_box(name), O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, ret, size - 1);

    assert_true(got >= 0);
    ret[got > 0 ? got : 0] = '\0'; /* gcc cannot see that the assertion does not return */
    return (size_t)got;
}

/* A plugin that was built for the tests, where nobody else can write. */
static inline void put_plugin(const char *from, const char *name)
{
    AUTO_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC), out;
    char chunk[65536];
    ssize_t got;

    assert_true(in >= 0);
    out = open(in_box(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755); /* it may be mapped already */
    assert_true(out >= 0);
    while ((got = read(in, chunk, sizeof chunk)) > 0)
        assert_int_equal(write(out, chunk, (size_t)got), got);
    assert_int_equal(fchmod(out, 0755), 0);
}

static inline int make_box(void **state)
{
    const struct hx_plugin *(*entry)(void);
    fake_control_fn *control;
    void *library;

    (void)state;
    if (!mkdtemp(box))
        return -1;
    put_plugin(TEST_LIB "/fake.so", "fake.so");
    library = dlopen(in_box("fake.so"), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return -1;
    *(void **)&entry = dlsym(library, "hx_plugin_v1");
    *(void **)&control = dlsym(library, "fake_control");
    fake_table = entry();
    fake = control();
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return told == MAP_FAILED || setenv("HSMUX_PLUGINS", box, 1) || setenv("STATE_DIRECTORY", UNWRITABLE, 1) ||
                   setenv("CREDENTIALS_DIRECTORY", in_box("credentials"), 1) || unsetenv("HSMUX_CONF") ||
                   setenv("HSMUX_LOG", "none", 1)
               ? -1
               : 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int remove_box(void **state)
{
    (void)state;
    return nftw(box, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What body says in a process of its own; it also ends well: nothing leaks there. */
typedef int process_body(const char *arg);
static inline int in_process(process_body *body, const char *arg)
{
    int status;
    pid_t pid;

    memset(told, 0, sizeof *told);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        fake_table->forked(); /* the core did not see this fork */
        told->result = body(arg);
        snprintf(told->reason, sizeof told->reason, "%s", hx_last_error());
        exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return told->result;
}

/* The reason must hold this text. */
static inline void says(const char *text)
{
    if (!strstr(told->reason, text))
        fail_msg("no '%s' in '%s'", text, told->reason);
}

/* One token "fake" that refuses all PINs but one, locks after so many wrong ones, and holds a thing behind its PIN. */
static inline int reset_fake(void **state)
{
    struct fake_object thing = { .kind = HX_DATA, .label = "thing", .locked = true, .value = "x", .value_len = 1 };

    (void)state;
    fake->reset();
    strcpy(fake->token[0].pin, "right");
    fake->token[0].tries = fake->token[0].tries_left = 3;
    fake->token[0].flags = HX_TOKEN_LOGIN;
    return fake->add(0, &thing) < 0;
}

static inline int keeps_the_contract(void **state)
{
    (void)state;
    if (fake->breaches[0])
        fprintf(stderr, "breaches of the plugin contract: %s", fake->breaches);
    return fake->breaches[0] ? -1 : 0;
}

#endif
