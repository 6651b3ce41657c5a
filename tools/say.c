/* SPDX-License-Identifier: Apache-2.0 */
/* What the tool says when something is wrong: one line on stderr. */
#include "tool.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char **captured; /* where a line goes instead of stderr */

void say_into(char **text)
{
    captured = text;
}

/* A label or a file name may hold what would move the cursor or forge a second line. */
static void say(const char *prefix, const char *fmt, va_list args) HX_PRINTF(2, 0);

static void say(const char *prefix, const char *fmt, va_list args)
{
    char *line = NULL;

    if (vasprintf(&line, fmt, args) < 0) {
        fprintf(stderr, "hsmux: out of memory\n");
        return;
    }
    progress_erase();
    fflush(stdout); /* what was printed first shall be read first */
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = *c == '\n' || *c == '\t' ? ' ' : '?';
    }
    if (captured && !*captured) {
        *captured = line;
        return;
    }
    fprintf(stderr, "hsmux: %s%s\n", prefix, line);
    free(line);
}

char *text_of(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    return text;
}

int fail(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say("", fmt, args);
    va_end(args);
    return FAILED;
}

int misused(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say("", fmt, args);
    va_end(args);
    return MISUSED;
}

void warn(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say("warning: ", fmt, args);
    va_end(args);
}

int fail_hx(void)
{
    return fail("%s", hx_last_error());
}

int fail_making(const struct call *call, int result)
{
    if (result == HX_E_EXISTS && !option(call, O_REPLACE))
        return fail("%s; --replace %s", hx_last_error(),
                    strstr(hx_last_error(), "with the same id") ? "stores this one beside it" : "replaces it");
    if (result == HX_E_AMBIGUOUS && !option(call, O_TOKEN) && strstr(hx_last_error(), "more than one token"))
        return fail("%s; --token NAME names it", hx_last_error());
    return fail_hx();
}

int fail_crypto(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return reason ? fail("%s: %s", what, reason) : fail("%s", what);
}

int open_context(const struct call *call, hx **ret)
{
    return hx_new(option(call, O_CONFIG), ret) ? fail_hx() : DONE;
}

/* No random bytes: the library looks the token up, and asks nothing of it. */
int check_token(hx *context, const char *token)
{
    int result = hx_random(context, token, NULL, 0);

    return result && result != HX_E_UNSUPPORTED ? fail_hx() : DONE;
}
