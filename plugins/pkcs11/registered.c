/* SPDX-License-Identifier: Apache-2.0 */
/* The modules that p11-kit has registered, trust modules left out.  Nobody asked for them by name, so that one without
 * its daemon, its configuration or the permission to use it must not stand in the way of the others. */
#include "fork.h"
#include "module.h"
#include "tpm2.h"

#include <p11-kit/p11-kit.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

/* A host that logs a failure instead of making it the reason. */
struct lenient_host {
    struct hx_host host;
    const struct hx_host *real;
};

static const struct hx_host *real_host(const struct hx_host *host)
{
    return ((const struct lenient_host *)host)->real;
}

static const char *option(const struct hx_host *host, const char *name)
{
    return real_host(host)->option(real_host(host), name);
}

HX_PRINTF(3, 4)
static int fail(const struct hx_host *host, int result, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    real_host(host)->log(real_host(host), LOG_NOTICE, "registered PKCS#11 module passed over: %s", text);
    return result;
}

HX_PRINTF(3, 4)
static void write_log(const struct hx_host *host, int priority, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    real_host(host)->log(real_host(host), priority, "%s", text);
}

static void add_slots(const struct hx_host *host, const char *path, struct p11_slots *slots)
{
    const char *reason = p11_tpm2_absent(path);

    if (reason)
        hx_fail(host, HX_E_NOT_FOUND, "'%s': %s", path, reason);
    else
        p11_module_slots(host, path, slots);
}

/* p11-kit finds and loads them once a process.  Its unmanaged mode leaves initialising to us, so that a module is one
 * record whether it was registered or configured.  They are never released, since others may use them. */
static CK_FUNCTION_LIST **registered(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static CK_FUNCTION_LIST **list;

    p11_fork_watch();
    p11_gate_enter();
    pthread_mutex_lock(&lock);
    if (!list)
        list = p11_kit_modules_load(NULL, P11_KIT_MODULE_UNMANAGED);
    pthread_mutex_unlock(&lock);
    p11_gate_leave();
    return list;
}

int p11_registered_slots(const struct hx_host *host, struct p11_slots *slots)
{
    struct lenient_host lenient = {
        .host = { .abi = host->abi,
                  .struct_size = sizeof lenient.host,
                  .option = option,
                  .fail = fail,
                  .log = write_log },
        .real = host,
    };
    CK_FUNCTION_LIST **list = registered();
    char *path;

    for (; list && *list; list++) {
        if (p11_kit_module_get_flags(*list) & P11_KIT_MODULE_TRUSTED)
            continue;
        path = p11_kit_module_get_filename(*list);
        if (path)
            add_slots(&lenient.host, path, slots);
        free(path);
    }
    return 0;
}
