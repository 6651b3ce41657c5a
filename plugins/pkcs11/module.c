/* SPDX-License-Identifier: Apache-2.0 */
/* The process's records of PKCS#11 modules: each is loaded through libp11 once, initialised once a process, and then
 * used through its own function list. */
#include "module.h"

#include "copy.h"
#include "error.h"
#include "fork.h"
#include "tpm2.h"

#include <dlfcn.h>
#include <libp11.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define RESTART_MS 3000 /* after the first C_Initialize: nobody else has found the way to it */
#define HEAL_MS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list */
static struct p11_module *modules;

static struct p11_module *find(const char *path)
{
    for (struct p11_module *module = modules; module; module = module->next)
        if (!strcmp(module->path, path))
            return module;
    return NULL;
}

/* One clear line for whatever is wrong with the file, before libp11 would say no more than "unable to load". */
static int find_functions(const struct hx_host *host, const char *path, CK_FUNCTION_LIST **ret)
{
    CK_C_GetFunctionList get;
    CK_FUNCTION_LIST *fn = NULL;
    void *handle;
    CK_RV rv;

    /* One that the core has mapped is found again by its name, though this user may not read the file any more. */
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle && strchr(path, '/') && access(path, F_OK) != 0)
        return hx_fail(host, HX_E_CONFIG, "no such PKCS#11 module: '%s'", path);
    if (!handle)
        return hx_fail(host, HX_E_CONFIG, "cannot load PKCS#11 module '%s': %s", path, dlerror());
    *(void **)&get = dlsym(handle, "C_GetFunctionList");
    if (!get) {
        dlclose(handle);
        return hx_fail(host, HX_E_CONFIG, "'%s' is not a PKCS#11 module: it has no C_GetFunctionList", path);
    }
    rv = get(&fn);
    if (rv != CKR_OK)
        return p11_fail(host, path, "C_GetFunctionList", rv);
    if (!fn || fn->version.major != 2)
        return hx_fail(host, HX_E_CONFIG, "'%s' has no PKCS#11 2.x function list", path);
    *ret = fn;
    return 0;
}

/* The libp11 context is never unloaded, which would call C_Finalize under the feet of all others in the process.
 * libp11 calls C_Initialize with CKF_OS_LOCKING_OK, and C_GetInfo; its own errors are not for the caller's queue. */
static int load_by_libp11(const struct hx_host *host, const char *path, PKCS11_CTX **ret)
{
    PKCS11_CTX *ctx;
    unsigned long reason;
    int failed;

    ERR_set_mark();
    ctx = PKCS11_CTX_new();
    failed = !ctx || PKCS11_CTX_load(ctx, path) != 0;
    reason = failed ? (unsigned long)ERR_GET_REASON(ERR_peek_last_error()) : 0;
    ERR_pop_to_mark();
    if (failed && ctx)
        PKCS11_CTX_free(ctx);
    if (!failed) {
        *ret = ctx;
        return 0;
    }
    return reason ? p11_fail(host, path, "C_Initialize", reason)
                  : hx_fail(host, HX_E_DEVICE, "libp11 cannot load '%s'", path);
}

int64_t p11_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *p11_rights_advice(void)
{
    return geteuid() ? " (is this user let at the device? SoftHSM: at $SOFTHSM2_CONF, its tokendir and all in it?)"
                     : "";
}

/* Not by libp11, which does not tell who was the first, and in a child leaves out CKF_OS_LOCKING_OK. */
static CK_RV call_initialize(struct p11_module *module)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    CK_RV rv;

    ERR_set_mark(); /* what SoftHSM leaves in OpenSSL's queue, nginx takes for its own connection's */
    rv = module->fn->C_Initialize(&args);
    ERR_pop_to_mark();
    return rv;
}

/* SoftHSM has its tokens in files: what a child inherits of it works, and a copy would read them all again, one of them
 * half-written perhaps. */
static bool is_softhsm(const struct p11_module *module)
{
    CK_INFO info;

    return module->fn->C_GetInfo(&info) == CKR_OK && !memcmp(info.manufacturerID, "SoftHSM", 7);
}

/* Said by a module in a child that has not asked it yet: it holds what the parent opened.  Of most modules nothing
 * worse is known than that it may not work. */
static int start_copy(const struct hx_host *host, struct p11_module *module, CK_RV *rv)
{
    const char *reason = p11_copy(module->path, &module->fn);

    if (!reason) {
        host->log(host, LOG_INFO, "'%s' does not notice fork(): this child loads a copy", module->path);
        *rv = call_initialize(module);
        return 0;
    }
    if (p11_is_tpm2(module->path))
        return hx_fail(host, HX_E_UNSUPPORTED,
                       "'%s' does not notice fork(), and in this child no copy of it can be loaded: %s", module->path,
                       reason);
    host->log(host, LOG_WARNING, "'%s' does not notice fork(), and in this child no copy of it can be loaded: %s",
              module->path, reason);
    return 0;
}

static int initialise(const struct hx_host *host, struct p11_module *module)
{
    CK_RV rv = call_initialize(module);

    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED && module->generation != p11_generation() && !is_softhsm(module)) {
        int r = start_copy(host, module, &rv);

        if (r)
            return r;
    }
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return hx_fail(host, p11_result(rv), "C_Initialize on '%s': %s%s", module->path,
                       p11_rv_name(rv) ? p11_rv_name(rv) : "unknown result", p11_rights_advice());
    module->generation = p11_generation();
    module->ours = rv == CKR_OK;
    module->since = p11_now();
    module->ready = true;
    return 0;
}

static int load(const struct hx_host *host, struct p11_module *module)
{
    PKCS11_CTX *libp11 = NULL;
    int r = module->fn ? 0 : find_functions(host, module->path, &module->fn);

    if (!r && !module->ready)
        r = initialise(host, module);
    if (!r)
        r = load_by_libp11(host, module->path, &libp11);
    module->libp11 = libp11;
    return r;
}

/* A record without a function list yet; with the lock. */
static struct p11_module *add(const char *path)
{
    struct p11_module *module = calloc(1, sizeof *module);

    if (module)
        module->path = strdup(path);
    if (!module || !module->path) {
        free(module);
        return NULL;
    }
    pthread_mutex_init(&module->lock, NULL);
    module->next = modules;
    modules = module;
    return module;
}

static struct p11_module *find_or_add(const char *path)
{
    struct p11_module *module;

    pthread_mutex_lock(&lock);
    module = find(path);
    if (!module)
        module = add(path);
    pthread_mutex_unlock(&lock);
    return module;
}

/* A module that hangs in C_Initialize holds up only those who ask for it. */
int p11_module_open(const struct hx_host *host, const char *path, struct p11_module **ret)
{
    char *real = realpath(path, NULL);
    struct p11_module *module;
    int r = 0;

    p11_fork_watch();
    p11_gate_enter();
    module = find_or_add(real ? real : path);
    free(real);
    if (module) {
        pthread_mutex_lock(&module->lock);
        if (!module->libp11)
            r = load(host, module);
        else if (!module->ready)
            r = initialise(host, module);
        pthread_mutex_unlock(&module->lock);
    } else {
        r = hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    }
    p11_gate_leave();
    if (!r)
        *ret = module;
    return r;
}

/* Was initialised, says that it is not: whoever shares it with us has finalised it. */
int p11_module_again(const struct hx_host *host, struct p11_module *module)
{
    int r;

    pthread_mutex_lock(&module->lock);
    r = initialise(host, module);
    module->ours = false;
    pthread_mutex_unlock(&module->lock);
    return r;
}

/* A module that was initialised when we came to it may be another way to a library that we know already, as one is that
 * passes calls on. */
static bool is_any_shared(void)
{
    bool found = false;

    pthread_mutex_lock(&lock);
    for (struct p11_module *module = modules; module; module = module->next)
        found = found || (!module->ours && atomic_load(&module->tokens) > 0);
    pthread_mutex_unlock(&lock);
    return found;
}

/* With the lock and the gate closed.  Where initialising fails, as it does while the device is away, the next to open a
 * token does it, and it is ours all the same. */
static bool restart(const struct hx_host *host, struct p11_module *module)
{
    int64_t since = module->since;
    int r;

    module->fn->C_Finalize(NULL);
    module->ready = false;
    r = initialise(host, module);
    module->since = since;
    return r == 0;
}

bool p11_module_restart(const struct hx_host *host, struct p11_module *module, unsigned tokens, bool nothing)
{
    bool may;

    if (!p11_gate_close())
        return false;
    pthread_mutex_lock(&module->lock);
    may = module->ours && atomic_load(&module->tokens) == tokens &&
          (nothing || (p11_now() - module->since < RESTART_MS && !is_any_shared())) && restart(host, module);
    pthread_mutex_unlock(&module->lock);
    p11_gate_open();
    return may;
}

bool p11_module_heal(const struct hx_host *host, struct p11_module *module)
{
    bool may;

    if (!p11_gate_close())
        return false;
    pthread_mutex_lock(&module->lock);
    may = module->ready && module->ours && !atomic_load(&module->shared) && atomic_load(&module->tokens) == 0 &&
          !is_any_shared() && (!module->healed || p11_now() - module->healed >= HEAL_MS);
    if (may) {
        module->healed = p11_now();
        may = restart(host, module);
    }
    pthread_mutex_unlock(&module->lock);
    p11_gate_open();
    return may;
}

static void reset(struct p11_module *module)
{
    pthread_mutex_init(&module->lock, NULL);
    module->ready = false;
    atomic_store(&module->tokens, 0);
}

void p11_modules_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    for (struct p11_module *module = modules; module; module = module->next)
        reset(module);
}
