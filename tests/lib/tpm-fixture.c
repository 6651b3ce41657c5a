/* SPDX-License-Identifier: Apache-2.0 */
/* See tpm-fixture.h. */
#include "tpm-fixture.h"

#include "tpm-pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const variables[] = { "TPM2TOOLS_TCTI", "TCTI_PCAP_FILE" };

static const char *path_of(const struct tpm_fixture *f, const char *name)
{
    static char path[64];

    snprintf(path, sizeof path, "%s/%s", f->directory, name);
    return path;
}

bool tpm_fixture_can_run(void)
{
    if (system("command -v swtpm >/dev/null && command -v tpm2_getcap >/dev/null") == 0)
        return true;
    printf("skipped: there is no TPM in software: it takes swtpm and tpm2-tools\n");
    return false;
}

static void give_log(const struct tpm_fixture *f, const char *name)
{
    char command[96];

    snprintf(command, sizeof command, "tail -n 20 '%s' >&2", path_of(f, name));
    if (system(command) != 0)
        print_error("no log\n");
}

/* Never returns. */
static void become_swtpm(const struct tpm_fixture *f, pid_t parent, bool startup)
{
    char state[64], server[64], control[64];
    int log = open(path_of(f, "swtpm.log"), O_WRONLY | O_CREAT | O_APPEND, 0600);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || log < 0)
        _exit(127);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    snprintf(state, sizeof state, "dir=%s/state", f->directory);
    snprintf(server, sizeof server, "type=unixio,path=%s/tpm", f->directory);
    snprintf(control, sizeof control, "type=unixio,path=%s/tpm.ctrl", f->directory);
    execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server, "--ctrl", control, "--flags",
           startup ? "not-need-init,startup-clear" : "not-need-init", (char *)NULL);
    _exit(127);
}

static bool answers(const struct tpm_fixture *f)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected;

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path_of(f, "tpm"));
    connected = !connect(fd, (const struct sockaddr *)&address, sizeof address);
    close(fd);
    return connected;
}

static void begin(struct tpm_fixture *f, bool startup)
{
    pid_t self = getpid();

    f->pid = fork();
    if (f->pid == 0)
        become_swtpm(f, self, startup);
    assert_true(f->pid > 0);
    for (int i = 0; i < 1000; i++) {
        if (answers(f))
            return;
        if (waitpid(f->pid, NULL, WNOHANG) != 0)
            break;
        usleep(10000);
    }
    give_log(f, "swtpm.log");
    fail_msg("swtpm does not answer");
}

void tpm_fixture_start(struct tpm_fixture *ret)
{
    memset(ret, 0, sizeof *ret);
    strcpy(ret->directory, "/tmp/hsmux-tpm.XXXXXX");
    assert_non_null(mkdtemp(ret->directory));
    assert_int_equal(mkdir(path_of(ret, "state"), 0700), 0);
    snprintf(ret->tcti, sizeof ret->tcti, "swtpm:path=%s", path_of(ret, "tpm"));
    snprintf(ret->counted, sizeof ret->counted, "pcap:%s", ret->tcti);
    for (int i = 0; i < 2; i++)
        ret->environment[i] = getenv(variables[i]) ? strdup(getenv(variables[i])) : NULL;
    setenv(variables[0], ret->tcti, 1);
    setenv(variables[1], path_of(ret, "pcap"), 1);
    begin(ret, true);
}

void tpm_fixture_kill(struct tpm_fixture *f)
{
    if (f->pid <= 0)
        return;
    kill(f->pid, SIGKILL);
    waitpid(f->pid, NULL, 0);
    f->pid = 0;
    unlink(path_of(f, "tpm"));
    unlink(path_of(f, "tpm.ctrl"));
}

void tpm_fixture_restart(struct tpm_fixture *f, bool startup)
{
    tpm_fixture_kill(f);
    begin(f, startup);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void tpm_fixture_stop(struct tpm_fixture *f)
{
    tpm_fixture_kill(f);
    for (int i = 0; i < 2; i++) {
        if (f->environment[i])
            setenv(variables[i], f->environment[i], 1);
        else
            unsetenv(variables[i]);
        free(f->environment[i]);
    }
    if (*f->directory)
        nftw(f->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    memset(f, 0, sizeof *f);
}

long tpm_fixture_commands(const struct tpm_fixture *f, uint32_t code)
{
    long count = tpm_pcap_count(path_of(f, "pcap"), code);

    assert_true(count >= 0);
    return count;
}

/* Who has it open goes on in the same file: were it removed, all that is counted after that would be 0. */
void tpm_fixture_forget(const struct tpm_fixture *f)
{
    assert_true(!truncate(path_of(f, "pcap"), 0) || errno == ENOENT);
}

void tpm_fixture_run(const struct tpm_fixture *f, const char *fmt, ...)
{
    char text[1024], command[1200];
    va_list list;

    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    snprintf(command, sizeof command, "cd '%s' && { %s; } >log 2>&1", f->directory, text);
    if (system(command) == 0)
        return;
    give_log(f, "log");
    fail_msg("failed: %s", fmt);
}
