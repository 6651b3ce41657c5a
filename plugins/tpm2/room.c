/* SPDX-License-Identifier: Apache-2.0 */
/* Room for our objects, made and given back within one step (TPM2_ContextSave and its kin, TPM 2.0 Part 3 §28). */
#include "room.h"

#include "slot.h"
#include "turn.h"

#include <string.h>
#include <syslog.h>

#define SAVED_MAX 3 /* a parent, a key and a sequence want no more */
#define HANDLES 32

struct saved {
    TPM2_HANDLE handle;
    TPMS_CONTEXT *context;
};

static bool save(struct tpm_token *token, TPM2_HANDLE handle, struct saved *ret)
{
    ESYS_CONTEXT *esys = token->tpm->esys;
    struct saved saved = { .handle = handle };
    ESYS_TR tr;

    if (Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr))
        return false;
    if (!Esys_ContextSave(esys, tr, &saved.context) && !Esys_FlushContext(esys, tr)) {
        *ret = saved;
        return true;
    }
    Esys_Free(saved.context);
    Esys_TR_Close(esys, &tr);
    return false;
}

/* Saves an object from the last one saved on, so that they get back in the order of their handles: each is given the
 * first that is free.  A sequence cannot be saved by who did not start it. */
static bool save_another(struct tpm_token *token, struct saved *saved, size_t *count)
{
    TPM2_HANDLE handles[HANDLES];
    size_t found = 0;

    if (*count == SAVED_MAX ||
        tpm_handles(token, *count ? saved[*count - 1].handle + 1 : TPM_TRANSIENT_FIRST, handles, HANDLES, &found))
        return false;
    for (size_t i = 0; i < found; i++)
        if (save(token, handles[i], &saved[*count])) {
            ++*count;
            return true;
        }
    return false;
}

static void give_back(struct tpm_token *token, struct saved *saved)
{
    ESYS_CONTEXT *esys = token->tpm->esys;
    TPM2_HANDLE handle = 0;
    ESYS_TR tr;

    if (atomic_load(&token->tpm->lost) || Esys_ContextLoad(esys, saved->context, &tr)) {
        token->host->log(token->host, LOG_WARNING, "the TPM lost another program's object 0x%08x, which made room",
                         saved->handle);
    } else {
        if (!Esys_TR_GetTpmHandle(esys, tr, &handle) && handle != saved->handle)
            token->host->log(token->host, LOG_WARNING,
                             "another program's object 0x%08x, which made room in the TPM, is at 0x%08x now",
                             saved->handle, handle);
        Esys_TR_Close(esys, &tr);
    }
    Esys_Free(saved->context);
}

/* Where room had to be made the last time, whether it is free now is asked before a command fails for want of it. */
static int foresee(struct tpm_token *token, struct saved *saved, size_t *count)
{
    uint32_t available = 0;
    int result = tpm_property(token, TPM2_PT_HR_TRANSIENT_AVAIL, &available);

    if (result)
        return result == HX_E_NOT_FOUND ? 0 : result;
    while (available + *count < token->tpm->room_wanted && save_another(token, saved, count))
        ; /* where that is all, the step may want less than the last one */
    return 0;
}

static int try(struct tpm_token *token, tpm_step *step, void *arg)
{
    token->tpm->full = false;
    return step(token, arg);
}

/* It is our turn: what is in the slots now is no other hsmux's, which would miss it. */
static int run_in_turn(struct tpm_token *token, tpm_step *step, void *arg)
{
    struct saved saved[SAVED_MAX];
    size_t count = 0;
    int result = token->tpm->room_wanted ? foresee(token, saved, &count) : 0;

    if (!result) {
        while ((result = try(token, step, arg)) == HX_E_BUSY && token->tpm->full && save_another(token, saved, &count))
            ;
        token->tpm->room_wanted = (unsigned)count + (result == HX_E_BUSY && token->tpm->full);
    }
    for (size_t i = 0; i < count; i++)
        give_back(token, &saved[i]);
    return result;
}

static int run(struct tpm_token *token, tpm_step *step, void *arg)
{
    int result = HX_E_BUSY;

    if (!token->tpm->room_wanted && ((result = try(token, step, arg)) != HX_E_BUSY || !token->tpm->full))
        return result;
    tpm_turn_take(token->tpm);
    result = run_in_turn(token, step, arg);
    tpm_turn_give(token->tpm);
    return result;
}

/* A resource manager has room for everybody, and so for each a bit less than the TPM has. */
static int run_managed(struct tpm_token *token, tpm_step *step, void *arg)
{
    int result = try(token, step, arg);

    if (result != HX_E_BUSY || !token->tpm->full || !token->tpm->resident[0])
        return result;
    tpm_slots_clear(token);
    return step(token, arg);
}

int tpm_with_room(struct tpm_token *token, tpm_step *step, void *arg)
{
    struct tpm *tpm = token->tpm;
    int result;

    if (tpm->in_step)
        return step(token, arg);
    tpm->in_step = true;
    result = tpm->managed ? run_managed(token, step, arg) : run(token, step, arg);
    tpm->in_step = false;
    return result;
}
