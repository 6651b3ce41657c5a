/* SPDX-License-Identifier: Apache-2.0 */
/* The reason for this thread's last failure.  The text lives in the thread, so that no failure needs memory. */
#include "error.h"

#include <hsmux/hsmux.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char reason[1024];

const char *hx_last_error(void)
{
    return reason;
}

void hx_error_clear(void)
{
    reason[0] = '\0';
}

/* A reason is one line whatever a token's label or a configuration's text may hold. */
static void flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

int hx_verror(int result, const char *fmt, va_list args)
{
    char text[sizeof reason];

    vsnprintf(text, sizeof text, fmt, args); /* an argument may be the old reason itself */
    flatten(text);
    memcpy(reason, text, sizeof reason);
    return result;
}

int hx_error(int result, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    hx_verror(result, fmt, args);
    va_end(args);
    return result;
}

/* Where the reason goes on after what prefix begins with: "token 'x': list" and "token 'x': login: ..." name x once. */
static const char *without_repetition(const char *prefix)
{
    const char *colon = strstr(prefix, ": ");
    size_t len = colon ? (size_t)(colon - prefix) : strlen(prefix);

    return !strncmp(reason, prefix, len) && !strncmp(reason + len, ": ", 2) ? reason + len + 2 : reason;
}

int hx_error_in(int result, const char *fmt, ...)
{
    char prefix[256], text[sizeof reason + sizeof prefix + 2];
    va_list args;

    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    flatten(prefix);
    snprintf(text, sizeof text, "%s: %s", prefix, reason[0] ? without_repetition(prefix) : hx_strerror(result));
    text[sizeof reason - 1] = '\0';
    memcpy(reason, text, sizeof reason);
    return result;
}

const char *hx_strerror(int result)
{
    static const char *const words[] = {
        [-HX_OK] = "success",
        [-HX_E_INVALID] = "invalid argument",
        [-HX_E_CONFIG] = "wrong configuration",
        [-HX_E_NOT_FOUND] = "not found",
        [-HX_E_AMBIGUOUS] = "more than one fits",
        [-HX_E_UNSUPPORTED] = "not supported",
        [-HX_E_LOGIN] = "login required",
        [-HX_E_PIN] = "PIN refused",
        [-HX_E_LOCKED] = "PIN locked",
        [-HX_E_LOST] = "token lost",
        [-HX_E_BUSY] = "token busy",
        [-HX_E_EXISTS] = "exists already",
        [-HX_E_FULL] = "token full",
        [-HX_E_NO_MEMORY] = "out of memory",
        [-HX_E_DEVICE] = "device failure",
        [-HX_E_ACCESS] = "permission denied",
    };

    if (result > 0 || result < HX_E_ACCESS)
        return "unknown result";
    return words[-result];
}
