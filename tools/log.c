/* SPDX-License-Identifier: Apache-2.0 */
/* The library's log lines: to stderr by the priority of $HSMUX_LOG, as the library itself would print them, but each
 * only once, since a command that asks for several things meets the same trouble several times. */
#include "tool.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

struct line {
    struct line *before;
    char text[];
};

static struct line *last;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int chosen_priority(void)
{
    static const char *const names[] = {
        "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"
    };
    const char *wish = secure_getenv("HSMUX_LOG");

    for (int i = 0; wish && i < (int)(sizeof names / sizeof names[0]); i++) {
        if (!strcasecmp(wish, names[i]))
            return i;
    }
    return wish && !strcasecmp(wish, "none") ? -1 : LOG_WARNING;
}

/* Without memory to remember it, a line is new. */
static bool is_new(const char *text)
{
    struct line *line;

    for (line = last; line; line = line->before) {
        if (!strcmp(line->text, text))
            return false;
    }
    line = malloc(sizeof *line + strlen(text) + 1);
    if (line) {
        strcpy(line->text, text);
        line->before = last;
        last = line;
    }
    return true;
}

static void print_line(void *arg, int priority, const char *text)
{
    bool wanted;

    (void)arg;
    if (priority > chosen_priority())
        return;
    pthread_mutex_lock(&lock);
    wanted = is_new(text);
    pthread_mutex_unlock(&lock);
    if (!wanted)
        return;
    progress_erase();
    fflush(stdout); /* what was printed first shall be read first */
    fprintf(stderr, "hsmux: %s\n", text);
}

void log_once(void)
{
    /* Else tpm2-tss prints lines of its own before we say in one what was wrong. */
    setenv("TSS2_LOG", "all+none", 0);
    hx_set_log(print_line, NULL);
}

void log_forget(void)
{
    hx_set_log(NULL, NULL);
    while (last) {
        struct line *line = last;

        last = line->before;
        free(line);
    }
}
