/* SPDX-License-Identifier: Apache-2.0 */
/* See quiet.h. */
#include "quiet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

static int keep(const struct hx_host *, int result, const char *fmt, ...) HX_PRINTF(3, 4);

static int keep(const struct hx_host *host, int result, const char *fmt, ...)
{
    struct quiet *quiet = (struct quiet *)(uintptr_t)host; /* never const where it was made */
    va_list args;
    va_start(args, fmt);
    vsnprintf(quiet->reason, sizeof quiet->reason, fmt, args);
    va_end(args);
    return result;
}

void quiet_init(struct quiet *quiet, const struct token *token)
{
    memset(quiet, 0, sizeof *quiet);
    quiet->host = (struct hx_host){ .abi = HX_ABI, .struct_size = sizeof quiet->host, .fail = keep };
    quiet->outer = token->host;
    quiet->token.host = &quiet->host;
    quiet->token.path = token->path;
    quiet->token.held = token->held;
}

void quiet_warn(struct quiet *quiet)
{
    quiet->outer->log(quiet->outer, LOG_WARNING, "%s", quiet->reason);
}
