/* SPDX-License-Identifier: Apache-2.0 */
/* Making a blank token one's own: C_InitToken, then as its security officer (SO) the user PIN (PKCS#11 v2.40 §5.5).  A
 * token on which only the first half was done is completed, with nothing erased. */
#include "error.h"
#include "fork.h"
#include "softhsm.h"
#include "token.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#define LABEL_MAX 32

enum pin { SO, USER };

struct task {
    const struct hx_host *host;
    const char *serial, *label;
    bool erase;
    struct hx_buf pin[2];
    struct p11_slot slot;
};

static bool is_blank(const struct p11_slot *slot)
{
    return !(slot->info.flags & CKF_TOKEN_INITIALIZED);
}

/* The options' label is the one that the token is to have. */
static int choose_label(struct task *task, const struct hx_spec *spec)
{
    const char *option = task->host->option(task->host, "token");

    task->label = spec->label ? spec->label : option;
    if (!task->label || !*task->label)
        return hx_fail(task->host, HX_E_INVALID, "the token needs a label");
    if (strlen(task->label) > LABEL_MAX)
        return hx_fail(task->host, HX_E_INVALID, "label '%s' is longer than %d bytes", task->label, LABEL_MAX);
    if (option && strcmp(option, task->label))
        return hx_fail(task->host, HX_E_INVALID,
                       "it would be labelled '%s' and not be found again: its section says token = %s", task->label,
                       option);
    return 0;
}

static const char *where(const struct task *task)
{
    const char *module = task->host->option(task->host, "module");

    return module ? module : "the registered PKCS#11 modules";
}

/* Has a token without label the serial number that is asked for?  Blanks behind it are padding. */
static bool has_serial(const char *wanted, const CK_TOKEN_INFO *info)
{
    char serial[17];
    size_t len;

    if (!wanted)
        return true;
    p11_unpad(info->serialNumber, sizeof info->serialNumber, serial);
    len = strlen(serial);
    return !strncmp(wanted, serial, len) && wanted[len + strspn(wanted + len, " ")] == '\0';
}

/* Tokens that have a label are reached by it; blank ones, which have none, by their serial number or as the only one.
 * Blank slots without serial numbers are as good as each other. */
static int choose(struct task *task, const struct p11_slots *slots)
{
    const struct p11_slot *mine = NULL, *blank = NULL;
    size_t known = 0, blanks = 0;
    char serial[17];

    for (size_t i = 0; i < slots->count; i++) {
        const struct p11_slot *slot = &slots->slot[i];

        if (!is_blank(slot) && p11_token_is_reached(task->host, task->serial, &slot->info)) {
            mine = slot;
            known++;
        } else if (is_blank(slot) && has_serial(task->serial, &slot->info) &&
                   has_serial(task->host->option(task->host, "serial"), &slot->info)) {
            if (!blank || memcmp(slot->info.serialNumber, blank->info.serialNumber, sizeof slot->info.serialNumber))
                blanks++;
            blank = blank ? blank : slot;
        }
    }
    if (known > 1)
        return hx_fail(task->host, HX_E_AMBIGUOUS, "%zu tokens fit in '%s': choose one with a line 'token = LABEL'",
                       known, where(task));
    if (!mine && blanks > 1) {
        p11_unpad(blank->info.serialNumber, sizeof blank->info.serialNumber, serial);
        return hx_fail(task->host, HX_E_AMBIGUOUS,
                       "%zu blank tokens are in '%s': choose one with a line like 'serial = %s'", blanks, where(task),
                       serial);
    }
    if (!mine && !blank)
        return hx_fail(task->host, HX_E_NOT_FOUND, "no blank token in '%s'%s", where(task),
                       slots->count ? "" : p11_rights_advice());
    task->slot = mine ? *mine : *blank;
    return 0;
}

/* Is a token that has its label still without a user PIN?  Then it was left half done. */
static bool is_half_done(const struct task *task)
{
    char label[LABEL_MAX + 1];

    p11_unpad(task->slot.info.label, sizeof task->slot.info.label, label);
    return !is_blank(&task->slot) && !(task->slot.info.flags & CKF_USER_PIN_INITIALIZED) && !strcmp(label, task->label);
}

static int check(const struct task *task)
{
    bool pinpad = task->slot.info.flags & CKF_PROTECTED_AUTHENTICATION_PATH;
    char label[LABEL_MAX + 1], serial[17];

    p11_unpad(task->slot.info.label, sizeof task->slot.info.label, label);
    p11_unpad(task->slot.info.serialNumber, sizeof task->slot.info.serialNumber, serial);
    if (!is_blank(&task->slot) && !is_half_done(task) && !task->erase)
        return hx_fail(task->host, HX_E_EXISTS, "it is not blank: '%s' (serial %s) is initialised already", label,
                       serial);
    if (!pinpad && !task->pin[SO].len)
        return hx_fail(task->host, HX_E_LOGIN, "wants the SO PIN, the security officer's");
    if (!pinpad && !task->pin[USER].len)
        return hx_fail(task->host, HX_E_LOGIN, "wants the user PIN that the token is to have");
    return 0;
}

static int fail_pin(const struct task *task, const char *function, CK_RV rv)
{
    bool is_new = !strcmp(function, "C_InitPIN") || (!strcmp(function, "C_InitToken") && is_blank(&task->slot));

    if (is_new && (rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE))
        return hx_fail(task->host, HX_E_INVALID,
                       "the token takes no such %s PIN (%s): another length, or other "
                       "characters%s",
                       strcmp(function, "C_InitPIN") ? "SO" : "user", p11_rv_name(rv),
                       strcmp(function, "C_InitPIN") ? "" : "; the rest is done, run it again");
    if (p11_result(rv) == HX_E_PIN)
        return hx_fail(task->host, HX_E_PIN, "the SO PIN was refused (%s)", p11_rv_name(rv));
    if (rv == CKR_PIN_LOCKED)
        return hx_fail(task->host, HX_E_LOCKED, "the SO PIN is locked: the vendor says how to go on");
    return p11_fail(task->host, task->label, function, rv);
}

static CK_UTF8CHAR *text(const struct hx_buf *pin)
{
    return pin->len ? (CK_UTF8CHAR *)(uintptr_t)pin->data : NULL;
}

static CK_RV init_token(const struct task *task)
{
    CK_UTF8CHAR label[LABEL_MAX];

    memset(label, ' ', sizeof label);
    memcpy(label, task->label, strlen(task->label));
    return task->slot.module->fn->C_InitToken(task->slot.id, text(&task->pin[SO]), task->pin[SO].len, label);
}

/* The login ends with the session, which is the only one. */
static CK_RV init_pin(const struct task *task, const char **function)
{
    CK_FUNCTION_LIST *fn = task->slot.module->fn;
    CK_SESSION_HANDLE session;
    CK_RV rv;

    *function = "C_OpenSession";
    rv = fn->C_OpenSession(task->slot.id, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        return rv;
    *function = "C_Login";
    rv = fn->C_Login(session, CKU_SO, text(&task->pin[SO]), task->pin[SO].len);
    if (rv == CKR_OK) {
        *function = "C_InitPIN";
        rv = fn->C_InitPIN(session, text(&task->pin[USER]), task->pin[USER].len);
        fn->C_Logout(session);
    }
    fn->C_CloseSession(session);
    return rv;
}

/* What is erased must be what was looked at: another process may have been quicker, or the card may be another one. */
static int look_again(const struct task *task)
{
    const CK_TOKEN_INFO *seen = &task->slot.info;
    CK_TOKEN_INFO info = { .flags = 0 };
    CK_RV rv;

    p11_gate_enter();
    rv = p11_token_info(task->slot.module->fn, task->slot.id, &info);
    p11_gate_leave();
    if (rv != CKR_OK)
        return p11_fail(task->host, task->label, "C_GetTokenInfo", rv);
    if ((info.flags ^ seen->flags) & (CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED) ||
        memcmp(info.label, seen->label, sizeof info.label) ||
        memcmp(info.serialNumber, seen->serialNumber, sizeof info.serialNumber))
        return hx_fail(task->host, HX_E_BUSY, "the token was changed a moment ago, by others: see what it is now");
    return 0;
}

static int work(const struct task *task)
{
    const char *function = "C_InitToken";
    CK_RV rv = CKR_OK;

    p11_gate_enter();
    if (task->erase || !is_half_done(task))
        rv = init_token(task);
    if (rv == CKR_OK)
        rv = init_pin(task, &function);
    p11_gate_leave();
    if (rv != CKR_OK)
        return fail_pin(task, function, rv);
    task->host->log(task->host, LOG_NOTICE, "initialised, with the label '%s'", task->label);
    return 0;
}

int p11_token_initialise(const struct hx_host *host, const char *serial, const struct hx_spec *spec,
                         const struct hx_buf *pin, size_t pins)
{
    struct task task = { .host = host, .serial = serial, .erase = spec->flags & HX_REPLACE };
    struct p11_slots slots = { 0 };
    int r;

    if (spec->spare[0] || spec->spare[1] || spec->spare[2] || spec->spare_ptr[0] || spec->spare_ptr[1] ||
        spec->flags & ~(uint32_t)HX_REPLACE || spec->place || spec->id.len || pins > 2)
        return hx_fail(host, HX_E_UNSUPPORTED, "a token has a label, an SO PIN and a user PIN");
    for (size_t i = 0; i < pins; i++)
        task.pin[i] = pin[i];
    ERR_set_mark();
    r = choose_label(&task, spec);
    if (!r)
        r = p11_slots_read(host, &slots);
    if (!r)
        r = choose(&task, &slots);
    if (!r)
        r = check(&task);
    if (!r)
        r = look_again(&task);
    if (!r)
        r = work(&task);
    p11_slots_free(&slots);
    ERR_pop_to_mark();
    return r;
}
