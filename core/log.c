/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of the process: to the application's function, else to stderr by the priority of $HSMUX_LOG. */
#include "log.h"

#include <hsmux/hsmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* One atomic pointer holds both, so that no line goes to a new function with an old argument.  A replaced sink is
 * never freed: another thread may just be reading it, and there are few. */
struct sink {
    hx_log_fn *fn;
    void *arg;
    struct sink *before;
};

static _Atomic(struct sink *) sink;

void hx_set_log(hx_log_fn *fn, void *arg)
{
    struct sink *made = malloc(sizeof *made);

    if (!made)
        return;
    made->fn = fn;
    made->arg = arg;
    made->before = atomic_load(&sink);
    while (!atomic_compare_exchange_weak(&sink, &made->before, made))
        ;
}

static int chosen_priority(void)
{
    static const char *const names[] = {
        "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"
    };
    const char *wish = secure_getenv("HSMUX_LOG");

    if (!wish)
        return LOG_WARNING;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcasecmp(wish, names[i]))
            return (int)i;
    return strcasecmp(wish, "none") ? LOG_WARNING : -1;
}

void hx_vlog(int priority, const char *fmt, va_list args)
{
    const struct sink *to = atomic_load(&sink);
    char line[1024];

    if (!(to && to->fn) && priority > chosen_priority())
        return;
    vsnprintf(line, sizeof line, fmt, args);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    if (to && to->fn)
        to->fn(to->arg, priority, line);
    else
        dprintf(STDERR_FILENO, "hsmux: %s\n", line); /* one write: lines of several processes do not mix */
}

void hx_log(int priority, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    hx_vlog(priority, fmt, args);
    va_end(args);
}
