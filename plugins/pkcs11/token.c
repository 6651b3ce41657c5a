/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a token by label or serial, opening and closing it, its state, login and random numbers. */
#include "token.h"

#include "error.h"
#include "fork.h"
#include "object.h"
#include "softhsm.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCANS 4 /* 75 ms of pauses */
#define OPENS 6 /* 315 ms */

/* Fields of CK_TOKEN_INFO are padded with blanks, by some modules with NULs. */
void p11_unpad(const unsigned char *field, size_t len, char *ret)
{
    while (len > 0 && (field[len - 1] == ' ' || field[len - 1] == '\0'))
        len--;
    memcpy(ret, field, len);
    ret[len] = '\0';
}

struct names {
    char label[33], serial[17], manufacturer[33], model[17];
};

static void read_names(const CK_TOKEN_INFO *info, struct names *ret)
{
    p11_unpad(info->label, sizeof info->label, ret->label);
    p11_unpad(info->serialNumber, sizeof info->serialNumber, ret->serial);
    p11_unpad(info->manufacturerID, sizeof info->manufacturerID, ret->manufacturer);
    p11_unpad(info->model, sizeof info->model, ret->model);
}

/* The administrator may have copied the padding too. */
static bool is_same(const char *asked, const char *name)
{
    size_t len = strlen(asked);

    while (len > 0 && asked[len - 1] == ' ')
        len--;
    return len == strlen(name) && !memcmp(asked, name, len);
}

static int tell(struct hx_tokens *tokens, const CK_TOKEN_INFO *info)
{
    static const struct {
        CK_FLAGS theirs;
        uint32_t ours;
    } rows[] = {
        { CKF_LOGIN_REQUIRED, HX_TOKEN_LOGIN },           { CKF_USER_PIN_COUNT_LOW, HX_PIN_LOW },
        { CKF_USER_PIN_FINAL_TRY, HX_PIN_FINAL },         { CKF_USER_PIN_LOCKED, HX_PIN_LOCKED },
        { CKF_PROTECTED_AUTHENTICATION_PATH, HX_PINPAD },
    };
    struct hx_token_info told = { .flags = info->flags & CKF_TOKEN_INITIALIZED ? 0 : HX_TOKEN_BLANK };
    struct names names;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (info->flags & rows[i].theirs)
            told.flags |= rows[i].ours;
    read_names(info, &names);
    told.label = names.label;
    told.serial = names.serial;
    told.manufacturer = names.manufacturer;
    told.model = names.model;
    return hx_add(tokens, &told);
}

bool p11_token_is(const struct p11_token *token, const CK_TOKEN_INFO *info)
{
    struct names names;

    read_names(info, &names);
    return !strcmp(token->label, names.label) && !strcmp(token->serial, names.serial);
}

bool p11_token_is_reached(const struct hx_host *host, const char *serial, const CK_TOKEN_INFO *info)
{
    const char *want_label = host->option(host, "token"), *want_serial = host->option(host, "serial");
    struct names names;

    read_names(info, &names);
    return (!serial || is_same(serial, names.serial)) && (!want_serial || is_same(want_serial, names.serial)) &&
           (!want_label || is_same(want_label, names.label));
}

static bool is_any_reached(const struct hx_host *host, const struct p11_slots *slots)
{
    for (size_t i = 0; i < slots->count; i++)
        if (slots->slot[i].info.flags & CKF_TOKEN_INITIALIZED && p11_token_is_reached(host, NULL, &slots->slot[i].info))
            return true;
    return false;
}

/* The generations in which a scan, and an open(), have come to their end. */
static atomic_uint scanned = UINT_MAX, settled = UINT_MAX; /* none yet */

/* Whoever finds nothing, or not all, in a module's first moments looks again. */
static int scan_slots(const struct hx_host *host, struct p11_slots *ret)
{
    int r = p11_slots_read(host, ret);

    for (unsigned i = 0; i < SCANS && !r && atomic_load(&scanned) != p11_generation(); i++) {
        if (!ret->doubtful && is_any_reached(host, ret))
            break;
        p11_pause(i);
        if (!p11_softhsm_restart(host) && !ret->doubtful)
            break;
        p11_slots_free(ret);
        r = p11_slots_read(host, ret);
    }
    atomic_store(&scanned, p11_generation());
    if (!r && !is_any_reached(host, ret) && p11_softhsm_heal(host, NULL)) {
        p11_slots_free(ret);
        r = p11_slots_read(host, ret);
    }
    return r;
}

int p11_token_scan(const struct hx_host *host, struct hx_tokens *tokens)
{
    struct p11_slots slots = { 0 };
    int r;

    r = scan_slots(host, &slots);
    if (r)
        return r;
    for (size_t i = 0; !r && i < slots.count; i++)
        if (p11_token_is_reached(host, NULL, &slots.slot[i].info))
            r = tell(tokens, &slots.slot[i].info);
    p11_slots_free(&slots);
    return r;
}

/* Appends "'label' (serial)", as much as there is room for. */
static void name_token(char *text, size_t size, const CK_TOKEN_INFO *info)
{
    size_t used = strlen(text);
    struct names names;

    read_names(info, &names);
    snprintf(text + used, size - used, "%s'%s' (serial %s)", used ? ", " : "", names.label, names.serial);
}

static int fail_none(const struct hx_host *host, const char *serial, const struct p11_slots *slots)
{
    const char *module = host->option(host, "module"), *label = host->option(host, "token");
    const char *wanted = serial ? serial : host->option(host, "serial");
    char there[512] = "", asked[160] = "";

    for (size_t i = 0; i < slots->count; i++)
        if (slots->slot[i].info.flags & CKF_TOKEN_INITIALIZED)
            name_token(there, sizeof there, &slots->slot[i].info);
    snprintf(asked, sizeof asked, "%s%s%s%s%s%s", label ? " labelled '" : "", label ? label : "", label ? "'" : "",
             wanted ? " with serial '" : "", wanted ? wanted : "", wanted ? "'" : "");
    return hx_fail(host, HX_E_NOT_FOUND, "no token%s in %s%s%s%s%s", asked, module ? "'" : "",
                   module ? module : "the registered PKCS#11 modules", module ? "'; there: " : "; there: ",
                   there[0]       ? there
                   : slots->count ? "only a blank one (`hsmux token init` makes it usable)"
                                  : "none",
                   there[0] ? "" : p11_rights_advice());
}

static bool is_only_one_labelled(const struct p11_slots *slots, const size_t *fit, size_t count, size_t which)
{
    struct names mine, other;
    size_t same = 0;

    read_names(&slots->slot[fit[which]].info, &mine);
    for (size_t i = 0; i < count; i++) {
        read_names(&slots->slot[fit[i]].info, &other);
        same += !strcmp(mine.label, other.label);
    }
    return same == 1;
}

/* The line that chooses is by label where that is enough for one of them, else by serial. */
static int fail_several(const struct hx_host *host, const struct p11_slots *slots, const size_t *fit, size_t count)
{
    size_t which = 0;
    char there[512] = "";
    struct names names;
    bool by_label;

    while (which < count && !is_only_one_labelled(slots, fit, count, which))
        which++;
    by_label = which < count;
    read_names(&slots->slot[fit[by_label ? which : 0]].info, &names);
    for (size_t i = 0; i < count; i++)
        name_token(there, sizeof there, &slots->slot[fit[i]].info);
    return hx_fail(host, HX_E_AMBIGUOUS, "%zu tokens fit: %s; choose one with a line like '%s = %s'", count, there,
                   by_label ? "token" : "serial", by_label ? names.label : names.serial);
}

static size_t list_fitting(const struct hx_host *host, const char *serial, const struct p11_slots *slots, bool blank,
                           size_t *fit)
{
    size_t count = 0;

    for (size_t i = 0; i < slots->count; i++) {
        const CK_TOKEN_INFO *info = &slots->slot[i].info;

        if (blank == !(info->flags & CKF_TOKEN_INITIALIZED) && p11_token_is_reached(host, serial, info))
            fit[count++] = i;
    }
    return count;
}

/* A blank token is nobody's until it is asked for by its serial, and tpm2-pkcs11 gives the same to all that it has. */
static int choose(const struct hx_host *host, const char *serial, const struct p11_slots *slots,
                  const struct p11_slot **ret)
{
    size_t *fit = calloc(slots->count + 1, sizeof *fit);
    size_t count;
    int r = 0;

    if (!fit)
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    count = list_fitting(host, serial, slots, false, fit);
    if (!count && (serial || host->option(host, "serial")))
        count = list_fitting(host, serial, slots, true, fit);
    if (count == 1)
        *ret = &slots->slot[fit[0]];
    else
        r = count ? fail_several(host, slots, fit, count) : fail_none(host, serial, slots);
    free(fit);
    return r;
}

static struct p11_token *make(const struct hx_host *host, const struct p11_slot *slot)
{
    struct p11_token *token = calloc(1, sizeof *token);
    struct names names;

    if (!token)
        return NULL;
    read_names(&slot->info, &names);
    memcpy(token->label, names.label, sizeof token->label);
    memcpy(token->serial, names.serial, sizeof token->serial);
    token->host = host;
    token->module = slot->module;
    token->fn = slot->module->fn;
    token->slot = slot->id;
    token->needs_login = slot->info.flags & CKF_LOGIN_REQUIRED;
    token->pinpad = slot->info.flags & CKF_PROTECTED_AUTHENTICATION_PATH;
    token->softhsm = p11_is_softhsm(&slot->info);
    token->fresh = true;
    token->generation = p11_generation();
    atomic_fetch_add(&slot->module->tokens, 1);
    if (slot->info.ulMaxSessionCount != CK_UNAVAILABLE_INFORMATION)
        token->limit = token->told = slot->info.ulMaxSessionCount; /* CK_EFFECTIVELY_INFINITE is 0 */
    pthread_mutex_init(&token->opening, NULL);
    pthread_mutex_init(&token->lock, NULL);
    pthread_cond_init(&token->room, NULL);
    return token;
}

/* The first session is opened at once: a token that gives none should say so now. */
static int try_open(const struct hx_host *host, const char *serial, struct p11_token **ret)
{
    const struct p11_slot *slot = NULL;
    struct p11_session session;
    struct p11_token *token;
    struct p11_slots slots;
    bool blank;
    int r;

    r = p11_slots_read(host, &slots);
    if (r)
        return r;
    r = choose(host, serial, &slots, &slot);
    blank = !r && !(slot->info.flags & CKF_TOKEN_INITIALIZED);
    token = r ? NULL : make(host, slot);
    p11_slots_free(&slots);
    if (!token)
        return r ? r : hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    if (!blank)
        r = p11_session_take(token, &session);
    if (!r && !blank)
        r = p11_session_done(&session, CKR_OK);
    if (r) {
        p11_token_close(token);
        return r;
    }
    *ret = token;
    return 0;
}

static bool may_pass(int r)
{
    return r == HX_E_DEVICE || r == HX_E_LOST || r == HX_E_NOT_FOUND || r == HX_E_BUSY;
}

/* In a forked child a module may need a moment: children start over all at once, on state that each of them inherited
 * in the middle of something. */
int p11_token_open(const struct hx_host *host, const char *serial, struct p11_token **ret)
{
    int r = try_open(host, serial, ret);

    for (unsigned i = 0; i < OPENS && atomic_load(&settled) != p11_generation() && may_pass(r); i++) {
        p11_pause(i);
        p11_softhsm_restart(host);
        r = try_open(host, serial, ret);
    }
    atomic_store(&settled, p11_generation());
    if (may_pass(r) && p11_softhsm_heal(host, serial))
        r = try_open(host, serial, ret);
    if (!r)
        p11_module_note((*ret)->module, host, serial);
    return r;
}

/* What a parent opened is its own: the child forgets it. */
void p11_token_close(struct p11_token *token)
{
    if (token->generation != p11_generation())
        return;
    p11_recent_clear(token);
    p11_sessions_close(token);
    atomic_fetch_sub(&token->module->tokens, 1);
    pthread_cond_destroy(&token->room);
    pthread_mutex_destroy(&token->lock);
    pthread_mutex_destroy(&token->opening);
    free(token);
}

/* The core asks before it sends a PIN, which is for that token alone. */
int p11_token_describe(struct p11_token *token, struct hx_tokens *tokens)
{
    CK_TOKEN_INFO info;
    int r = p11_token_check(token, &info);

    return r ? r : tell(tokens, &info);
}

bool p11_token_wants_login(struct p11_token *token)
{
    bool wants;

    pthread_mutex_lock(&token->lock);
    wants = token->needs_login && !token->logged_in;
    pthread_mutex_unlock(&token->lock);
    return wants;
}

/* SoftHSM did not see that the token has a PIN, or what state it is in: the core waits and tries again. */
static int fail_unread(struct p11_token *token, const char *name)
{
    int r = p11_softhsm_restart_under(token) ? 0 : p11_token_check(token, NULL);

    return r ? r
             : hx_fail(token->host, HX_E_BUSY,
                       "SoftHSM has not read token '%s' whole (%s): another process was writing to it", token->label,
                       name);
}

/* Not through libp11: it keeps the PIN in memory to send it again after fork, which only the core may decide, and its
 * session pool waits for ever when no session can be opened. */
int p11_token_login(struct p11_token *token, const void *pin, size_t len)
{
    struct p11_session session;
    CK_RV rv;
    int r;

    if (!pin && !token->pinpad)
        return hx_fail(token->host, HX_E_LOGIN, "token '%s' has no pinpad of its own: it wants a PIN", token->label);
    r = p11_session_take(token, &session);
    if (r)
        return r;
    session.function = "C_Login";
    rv = session.fn->C_Login(session.handle, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)pin, len);
    if (rv == CKR_USER_ALREADY_LOGGED_IN)
        rv = CKR_OK;
    if (rv == CKR_OK) {
        pthread_mutex_lock(&token->lock);
        token->logged_in = true;
        pthread_mutex_unlock(&token->lock);
        p11_recent_clear(token);
    }
    r = p11_session_done(&session, rv);
    return r && p11_softhsm_unread(token, rv) ? fail_unread(token, p11_rv_name(rv)) : r;
}
