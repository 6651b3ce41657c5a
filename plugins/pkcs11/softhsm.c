/* SPDX-License-Identifier: Apache-2.0 */
/* SoftHSM 2 writes a token's file anew at each login, empties it first and lets go of its lock before the new text is
 * there.  A process that reads just then fails the call, or, when it is initialising, passes the token over or believes
 * it to have no PIN, and does not look again before it is initialised anew. */
#include "softhsm.h"

#include "fork.h"
#include "session.h"

#include <string.h>
#include <time.h>

#define INFO_TRIES 5

bool p11_is_softhsm(const CK_TOKEN_INFO *info)
{
    return !memcmp(info->manufacturerID, "SoftHSM", 7);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

void p11_pause(unsigned try)
{
    pause_ms(5L << (try < 7 ? try : 7));
}

static bool is_blank(const CK_UTF8CHAR *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\0'))
        len--;
    return len == 0;
}

/* Every token of SoftHSM has a serial number; one without label may be meant so, and is soon told. */
static bool is_half_read(const CK_TOKEN_INFO *info)
{
    return p11_is_softhsm(info) && info->flags & CKF_TOKEN_INITIALIZED &&
           (is_blank(info->label, sizeof info->label) || is_blank(info->serialNumber, sizeof info->serialNumber));
}

CK_RV p11_token_info(CK_FUNCTION_LIST *fn, CK_SLOT_ID slot, CK_TOKEN_INFO *ret)
{
    CK_TOKEN_INFO info;
    CK_RV rv;

    for (unsigned try = 0;; try++) {
        rv = fn->C_GetTokenInfo(slot, &info);
        if (try == INFO_TRIES || (rv == CKR_OK ? !is_half_read(&info) : rv != CKR_GENERAL_ERROR))
            break;
        pause_ms(1L << try);
    }
    if (rv == CKR_OK)
        *ret = info;
    return rv;
}

/* Calls fn for each SoftHSM in reach, at its first slot, and says whether it holds no token that can be read; slots of
 * one module lie side by side.  Did any of the calls return true? */
typedef bool each_softhsm(const struct hx_host *, const char *serial, const struct p11_slots *,
                          struct p11_module *module, bool nothing);
static bool for_each_softhsm(const struct hx_host *host, const char *serial, each_softhsm *fn)
{
    const struct p11_module *seen = NULL;
    struct p11_slots slots;
    bool done = false;

    if (p11_slots_read(host, &slots))
        return false;
    for (size_t i = 0; i < slots.count; i++) {
        struct p11_module *module = slots.slot[i].module;
        bool nothing = true;

        if (module == seen || !p11_is_softhsm(&slots.slot[i].info))
            continue;
        for (size_t j = i; j < slots.count && slots.slot[j].module == module; j++)
            nothing = nothing && !(slots.slot[j].info.flags & CKF_TOKEN_INITIALIZED);
        done = fn(host, serial, &slots, module, nothing) || done;
        seen = module;
    }
    p11_slots_free(&slots);
    return done;
}

/* What cannot be read may be in use. */
static bool restart(const struct hx_host *host, const char *serial, const struct p11_slots *slots,
                    struct p11_module *module, bool nothing)
{
    (void)serial;
    return p11_module_restart(host, module, 0, nothing && !slots->doubtful);
}

bool p11_softhsm_restart(const struct hx_host *host)
{
    return for_each_softhsm(host, NULL, restart);
}

static bool heal(const struct hx_host *host, const char *serial, const struct p11_slots *slots,
                 struct p11_module *module, bool nothing)
{
    (void)slots;
    return (nothing || p11_module_is_noted(module, host, serial)) && p11_module_heal(host, module);
}

bool p11_softhsm_heal(const struct hx_host *host, const char *serial)
{
    return for_each_softhsm(host, serial, heal);
}

bool p11_softhsm_restart_under(struct p11_token *token)
{
    struct p11_slots slots;
    bool found = false;

    if (!p11_module_restart(token->host, token->module, 1, false))
        return false;
    p11_sessions_forget(token);
    if (p11_slots_read(token->host, &slots))
        return false;
    for (size_t i = 0; i < slots.count; i++)
        if (slots.slot[i].module == token->module && p11_token_is(token, &slots.slot[i].info)) {
            token->slot = slots.slot[i].id;
            found = true;
        }
    p11_slots_free(&slots);
    return found;
}

/* Its PINs never lock, and a wrong one is CKR_PIN_INCORRECT.  No other module is sent a PIN a second time. */
bool p11_softhsm_unread(struct p11_token *token, CK_RV rv)
{
    CK_TOKEN_INFO info;
    CK_RV rv_info;

    if (!token->softhsm || (rv != CKR_GENERAL_ERROR && rv != CKR_USER_PIN_NOT_INITIALIZED))
        return false;
    p11_gate_enter();
    rv_info = p11_token_info(token->fn, token->slot, &info);
    p11_gate_leave();
    return rv_info != CKR_OK || info.flags & CKF_USER_PIN_INITIALIZED;
}
