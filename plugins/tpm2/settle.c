/* SPDX-License-Identifier: Apache-2.0 */
/* A key settles where it is to stay.  All writers wait for each other at the lock of the directory of labels, and each
 * step leaves a key without a label only where it is marked as gone: whenever it stops, a label leads to the whole old
 * key or to the whole new one, and what is too much is not shown, and goes with the next change. */
#include "directory.h"
#include "keyfile.h"
#include "label.h"
#include "make.h"
#include "persistent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWEPT 16

struct settling {
    struct tpm_token *token;
    const struct tpm_plan *plan;
    const struct tpm_fresh *fresh;
    struct tpm_directory *directory; /* locked; NULL: this user has none, and makes keys without a label only */
};

static struct tpm_label entry_of(const struct settling *s, TPM2_HANDLE handle, bool is_gone)
{
    return (struct tpm_label){ .handle = handle,
                               .name = s->fresh->name,
                               .wants_auth = s->plan->auth.size,
                               .is_gone = is_gone,
                               .label = s->plan->label ? s->plan->label
                                        : is_gone      ? "unfinished"
                                                       : NULL };
}

static int update(const struct settling *s, const struct tpm_label *change, size_t count)
{
    int result = s->directory ? tpm_labels_update(s->directory, change, count) : 0;

    return result ? result : tpm_label_refresh(s->token);
}

/* In one stroke the new key gets its label, and the old ones are gone. */
static int relabel(const struct settling *s, TPM2_HANDLE handle, const TPM2_HANDLE *old, size_t olds)
{
    struct tpm_label change[TPM_OLD + 1];
    int result = 0;

    change[0] = entry_of(s, handle, false);
    for (size_t i = 0; i < olds && !result; i++) {
        struct tpm_key *key;

        result = tpm_key_at(s->token, old[i], &key);
        if (result)
            return result;
        change[i + 1] = (struct tpm_label){ .handle = old[i], .name = key->name, .is_gone = true, .label = "replaced" };
        tpm_key_release(s->token, key);
    }
    return update(s, change, olds + 1);
}

static int remove_old(const struct settling *s, const TPM2_HANDLE *old, size_t olds)
{
    int result = 0;

    for (size_t i = 0; i < olds && !result; i++) {
        result = tpm_persistent_drop(s->token, old[i]);
        if (!result)
            result = update(s, &(struct tpm_label){ .handle = old[i] }, 1);
    }
    return result;
}

static int put_at(const struct settling *s, TPM2_HANDLE handle, const TPM2_HANDLE *old, size_t olds)
{
    struct tpm_label first = entry_of(s, handle, olds > 0);
    int result = update(s, &first, 1);

    if (result)
        return result;
    result = tpm_persistent_put(s->token, s->fresh->tr, handle);
    if (result) {
        update(s, &(struct tpm_label){ .handle = handle }, 1);
        return result;
    }
    if (!olds)
        return 0;
    result = relabel(s, handle, old, olds);
    return result ? result : remove_old(s, old, olds);
}

static int sweep_one(const struct settling *s, TPM2_HANDLE handle)
{
    struct tpm_key *key;
    int result = tpm_key_at(s->token, handle, &key);

    if (!result) {
        bool is_gone = tpm_label_is_gone(s->token, key);

        tpm_key_release(s->token, key);
        result = is_gone ? tpm_persistent_drop(s->token, handle) : 0;
    }
    if (result && result != HX_E_NOT_FOUND)
        return result;
    return update(s, &(struct tpm_label){ .handle = handle }, 1);
}

/* What stopped writers left: none of them is at work, since we hold the lock. */
static int sweep(const struct settling *s)
{
    const struct tpm_labels *labels = &s->token->book->labels;
    TPM2_HANDLE handle[SWEPT];
    size_t count = 0;
    int result = 0;

    for (size_t i = 0; i < labels->count && count < SWEPT; i++)
        if (labels->label[i].is_gone && labels->label[i].name.size &&
            labels->label[i].handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT)
            handle[count++] = labels->label[i].handle;
    for (size_t i = 0; i < count && !result; i++)
        result = sweep_one(s, handle[i]);
    return result;
}

static int settle_at_handle(struct settling *s, void *arg)
{
    struct hx_out *ref = arg;
    char text[TPM_REF_SIZE];
    struct tpm_spot spot;
    int result = tpm_spot(s->token, s->plan, &spot);

    if (!result)
        result = put_at(s, spot.handle, spot.old, spot.olds);
    if (!result && spot.then)
        result = put_at(s, spot.then, &spot.handle, 1);
    if (result)
        return result;
    tpm_handle_ref(spot.then ? spot.then : spot.handle, text);
    return hx_put(ref, text, strlen(text));
}

static int write_file(const struct settling *s)
{
    const struct hx_host *host = s->token->host;
    struct tpm_keyfile file = { .type = TPM_KEYFILE_KEY,
                                .empty_auth = !s->plan->auth.size,
                                .parent = s->fresh->parent,
                                .public = s->fresh->public,
                                .private = s->fresh->private };
    struct tpm_directory directory;
    char *text;
    size_t len;
    int result = tpm_keyfile_print(host, &file, &text, &len);

    if (result)
        return result;
    result = tpm_directory_lock(host, host->option(host, "key-files"), &directory);
    if (!result) {
        result = tpm_directory_write(&directory, s->plan->file, 0600, text, len, s->plan->replaces);
        tpm_directory_close(&directory);
    }
    free(text);
    return result;
}

static int settle_in_file(const struct settling *s, struct hx_out *ref)
{
    char text[TPM_REF_SIZE];
    struct tpm_spot spot;
    int result = tpm_spot(s->token, s->plan, &spot);

    if (!result)
        result = write_file(s);
    if (result)
        return result;
    snprintf(text, sizeof text, "k:%s", s->plan->file);
    return hx_put(ref, text, strlen(text));
}

/* Whoever only takes something away makes no directory. */
static int lock(struct tpm_token *token, bool make, struct tpm_directory *ret, bool *ret_locked)
{
    const char *place = token->book->places.write;
    int result;

    *ret_locked = false;
    if (!place || (!make && access(place, F_OK)))
        return make ? tpm_places_writable(token->host, &token->book->places, &place) : 0;
    result = tpm_directory_lock(token->host, place, ret);
    *ret_locked = !result;
    return result;
}

/* Runs a step with the directory of labels locked, if there is one, and swept. */
typedef int settle_step(struct settling *, void *arg);

static int with_lock(struct settling *s, bool make, settle_step *step, void *arg)
{
    struct tpm_directory directory;
    bool locked;
    int result = lock(s->token, make, &directory, &locked);

    if (result)
        return result;
    s->directory = locked ? &directory : NULL;
    if (!(result = tpm_label_refresh(s->token)) && (!locked || !(result = sweep(s))))
        result = step(s, arg);
    if (locked)
        tpm_directory_close(&directory);
    return result;
}

int tpm_settle(struct tpm_token *token, const struct tpm_plan *plan, const struct tpm_fresh *fresh, struct hx_out *ref)
{
    struct settling s = { .token = token, .plan = plan, .fresh = fresh };

    return plan->file ? settle_in_file(&s, ref) : with_lock(&s, plan->label, settle_at_handle, ref);
}

static int evict(struct settling *s, void *arg)
{
    return remove_old(s, arg, 1);
}

int tpm_settle_evict(struct tpm_token *token, TPM2_HANDLE handle)
{
    struct settling s = { .token = token };

    return with_lock(&s, false, evict, &handle);
}

static int nothing(struct settling *s, void *arg)
{
    (void)s;
    (void)arg;
    return 0;
}

int tpm_settle_sweep(struct tpm_token *token, const struct tpm_plan *plan)
{
    const struct tpm_labels *labels = &token->book->labels;
    struct settling s = { .token = token };

    for (size_t i = 0; i < labels->count && !plan->file; i++)
        if (labels->label[i].is_gone)
            return with_lock(&s, false, nothing, NULL);
    return 0;
}
