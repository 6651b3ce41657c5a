/* SPDX-License-Identifier: Apache-2.0 */
/* See quiet.h. */
#include "quiet.h"

#include <stdarg.h>
#include <stdio.h>

static int HX_PRINTF(3, 4) keep(const struct hx_host *host, int result, const char *fmt, ...)
{
    struct tpm_quiet *quiet = (struct tpm_quiet *)(uintptr_t)host; /* never const where it was made */
    va_list args;

    va_start(args, fmt);
    vsnprintf(quiet->reason, sizeof quiet->reason, fmt, args);
    va_end(args);
    return result;
}

static void HX_PRINTF(3, 4) say_nothing(const struct hx_host *host, int priority, const char *fmt, ...)
{
    (void)host;
    (void)priority;
    (void)fmt;
}

static const char *no_option(const struct hx_host *host, const char *name)
{
    (void)host;
    (void)name;
    return NULL;
}

void tpm_quiet_init(struct tpm_quiet *quiet)
{
    *quiet = (struct tpm_quiet){ .host = { .abi = HX_ABI,
                                           .struct_size = sizeof quiet->host,
                                           .option = no_option,
                                           .fail = keep,
                                           .log = say_nothing } };
}
