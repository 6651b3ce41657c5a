/* SPDX-License-Identifier: Apache-2.0 */
/* Where a new key goes, and what is in its way: who bears its label, and who is at its handle. */
#include "label.h"
#include "make.h"
#include "persistent.h"

#include <stdlib.h>
#include <string.h>

/* The TCG's registry keeps the owner's handles below 0x81000100 for storage keys, Azure has the first one above them,
 * and people who count from there with tpm2_evictcontrol find the next ones free. */
#define FIRST 0x81000200u
#define LAST 0x8100ffffu

struct bearers { /* of a label */
    struct hx_list list;
    const struct tpm_plan *plan;
    TPM2_HANDLE handle[TPM_OLD];
    size_t count;
    bool others; /* key files, or more than there is room for */
    bool same_file;
};

static int add_bearer(struct hx_list *list, const struct hx_object *object, size_t size)
{
    struct bearers *bearers = (struct bearers *)list;
    const struct tpm_plan *plan = bearers->plan;
    char ref[TPM_REF_SIZE];

    (void)size;
    if (object->kind != plan->kind || !object->label || strcmp(object->label, plan->label) ||
        object->ref.len >= sizeof ref)
        return 0;
    memcpy(ref, object->ref.data, object->ref.len);
    ref[object->ref.len] = 0;
    if (!strncmp(ref, "h:", 2) && bearers->count < TPM_OLD - 1) /* and one at the handle that is asked for */
        bearers->handle[bearers->count++] = (TPM2_HANDLE)strtoul(ref + 2, NULL, 16);
    else if (plan->file && !strncmp(ref, "k:", 2) && !strcmp(ref + 2, plan->file))
        bearers->same_file = true;
    else
        bearers->others = true;
    return 0;
}

static int find_bearers(struct tpm_token *token, const struct tpm_plan *plan, struct bearers *ret)
{
    const struct hx_object want = { .kind = plan->kind, .label = plan->label };
    struct bearers bearers = { .list = { .add = add_bearer, .want = &want }, .plan = plan };
    int result = plan->label ? tpm_list(token, &bearers.list) : 0;

    if (result)
        return result;
    bearers.list.want = NULL;
    *ret = bearers;
    return 0;
}

/* A key file and a key at a handle cannot change places so that there is always one of them. */
static int check_label(struct tpm_token *token, const struct tpm_plan *plan, const struct bearers *bearers)
{
    bool crosses = bearers->others || (plan->file && bearers->count);

    if (!plan->replaces && (bearers->count || bearers->same_file || bearers->others))
        return hx_fail(token->host, HX_E_EXISTS, "there is already a key with the label '%s'", plan->label);
    if (crosses)
        return hx_fail(token->host, HX_E_EXISTS,
                       "the label '%s' is borne by a key at another kind of place: remove that one first", plan->label);
    return 0;
}

static bool has(const TPM2_HANDLE *handle, size_t count, TPM2_HANDLE wanted)
{
    for (size_t i = 0; i < count; i++)
        if (handle[i] == wanted)
            return true;
    return false;
}

static int check_old(struct tpm_token *token, TPM2_HANDLE handle)
{
    struct tpm_key *key;
    int result = tpm_key_at(token, handle, &key);

    if (result)
        return result;
    result = tpm_remove_check(token, handle, &key->public.publicArea);
    tpm_key_release(token, key);
    return result;
}

static int first_free(struct tpm_token *token, const TPM2_HANDLE *taken, size_t count, TPM2_HANDLE *ret)
{
    for (TPM2_HANDLE handle = FIRST; handle <= LAST; handle++)
        if (!has(taken, count, handle)) {
            *ret = handle;
            return 0;
        }
    return hx_fail(token->host, HX_E_FULL, "none of the handles from 0x%08x on is free", FIRST);
}

static int choose(struct tpm_token *token, const struct tpm_plan *plan, struct tpm_spot *spot)
{
    TPM2_HANDLE taken[TPM_PERSISTENT_MAX];
    size_t count;
    int result = tpm_handles(token, TPM_PERSISTENT_FIRST, taken, TPM_PERSISTENT_MAX, &count);

    if (result)
        return result;
    if (plan->handle && !has(taken, count, plan->handle)) {
        spot->handle = plan->handle;
        return 0;
    }
    if (plan->handle && !plan->replaces)
        return hx_fail(token->host, HX_E_EXISTS, "handle 0x%08x is taken", plan->handle);
    if (plan->handle && !has(spot->old, spot->olds, plan->handle))
        spot->old[spot->olds++] = plan->handle;
    spot->then = plan->handle;
    return first_free(token, taken, count, &spot->handle);
}

int tpm_spot(struct tpm_token *token, const struct tpm_plan *plan, struct tpm_spot *ret)
{
    struct bearers bearers;
    struct tpm_spot spot = { 0 };
    int result;

    if ((result = find_bearers(token, plan, &bearers)) || (result = check_label(token, plan, &bearers)))
        return result;
    spot.olds = bearers.count;
    memcpy(spot.old, bearers.handle, sizeof spot.old);
    if (!plan->file && !(result = tpm_persistent_room(token)))
        result = choose(token, plan, &spot);
    for (size_t i = 0; i < spot.olds && !result; i++)
        result = check_old(token, spot.old[i]);
    if (!result)
        *ret = spot;
    return result;
}
