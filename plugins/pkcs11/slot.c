/* SPDX-License-Identifier: Apache-2.0 */
/* The slots with a token in them, read through the module's own function list: to let go of slots that it scanned,
 * libp11 calls C_CloseAllSessions, which takes away the sessions of everybody in the process, and one bad slot makes
 * its whole scan fail.  It also costs two calls more on a module of two slots. */
#include "error.h"
#include "fork.h"
#include "softhsm.h"

#include <stdlib.h>
#include <syslog.h>

#define SLOTS_MAX 0x10000
#define WARN_MS 60000

/* The call without room comes first: it is the one at which modules look for readers plugged in since. */
static CK_RV slot_ids(CK_FUNCTION_LIST *fn, CK_SLOT_ID **ret, CK_ULONG *ret_count)
{
    CK_SLOT_ID *ids = NULL;
    CK_ULONG count = 0;
    CK_RV rv;

    do {
        rv = fn->C_GetSlotList(CK_TRUE, NULL, &count);
        if (rv != CKR_OK || count == 0)
            break;
        free(ids);
        ids = count < SLOTS_MAX ? calloc(count, sizeof *ids) : NULL;
        rv = ids ? fn->C_GetSlotList(CK_TRUE, ids, &count) : CKR_HOST_MEMORY;
    } while (rv == CKR_BUFFER_TOO_SMALL);
    if (rv != CKR_OK) {
        free(ids);
        return rv;
    }
    *ret = ids;
    *ret_count = count;
    return CKR_OK;
}

/* A server may come here with each request while its token is away. */
static int priority_of(struct p11_module *module)
{
    int64_t before = atomic_load(&module->warned);

    return before && p11_now() - before < WARN_MS ? LOG_DEBUG : LOG_WARNING;
}

/* A slot that cannot tell of its token is passed over: the others may be the ones that are wanted. */
static int add_slots(const struct hx_host *host, struct p11_module *module, const CK_SLOT_ID *ids, CK_ULONG count,
                     struct p11_slots *slots)
{
    int priority = priority_of(module);
    struct p11_slot *grown;
    CK_RV rv;

    if (count == 0)
        return 0;
    grown = reallocarray(slots->slot, slots->count + count, sizeof *grown);
    if (!grown)
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    slots->slot = grown;
    for (CK_ULONG i = 0; i < count; i++) {
        struct p11_slot slot = { .module = module, .id = ids[i] };

        rv = p11_token_info(module->fn, ids[i], &slot.info);
        if (rv == CKR_OK)
            slots->slot[slots->count++] = slot;
        else if (rv != CKR_TOKEN_NOT_PRESENT) {
            slots->doubtful = true;
            if (priority == LOG_WARNING)
                atomic_store(&module->warned, p11_now());
            host->log(host, priority, "'%s': slot %lu is passed over: C_GetTokenInfo: %s", module->path, ids[i],
                      p11_rv_name(rv) ? p11_rv_name(rv) : "unknown result");
        }
    }
    return 0;
}

int p11_module_slots(const struct hx_host *host, const char *path, struct p11_slots *slots)
{
    struct p11_module *module;
    CK_SLOT_ID *ids = NULL;
    CK_ULONG count = 0;
    CK_RV rv;
    int r;

    r = p11_module_open(host, path, &module);
    if (r)
        return r;
    p11_gate_enter();
    rv = slot_ids(module->fn, &ids, &count);
    if (rv == CKR_CRYPTOKI_NOT_INITIALIZED && p11_module_again(host, module) == 0)
        rv = slot_ids(module->fn, &ids, &count);
    r = rv == CKR_OK ? add_slots(host, module, ids, count, slots) : p11_fail(host, path, "C_GetSlotList", rv);
    p11_gate_leave();
    free(ids);
    return r;
}

int p11_slots_read(const struct hx_host *host, struct p11_slots *ret)
{
    const char *path = host->option(host, "module");
    struct p11_slots slots = { 0 };
    int r;

    r = path ? p11_module_slots(host, path, &slots) : p11_registered_slots(host, &slots);
    if (r) {
        p11_slots_free(&slots);
        return r;
    }
    *ret = slots;
    return 0;
}

void p11_slots_free(struct p11_slots *slots)
{
    free(slots->slot);
    slots->slot = NULL;
    slots->count = 0;
}
