/* SPDX-License-Identifier: Apache-2.0 */
/* Putting certificates into NV indexes, and taking them away.  The label comes first: so whatever a power cut leaves of
 * an index, the next import of that label knows it for its own.  Writers wait for each other at the lock of the
 * directory of labels, whoever takes one away included: else the label that goes could be that of the next one there.
 */
#include "label.h"
#include "nv.h"
#include "nvcert.h"

#include <string.h>
#include <unistd.h>

struct store {
    struct tpm_token *token;
    const struct tpm_nvcert_new *new;
    struct tpm_directory directory; /* locked */
};

static int change_label(const struct store *store, const struct tpm_label *change)
{
    int result = tpm_labels_update(&store->directory, change, 1);

    return result ? result : tpm_label_refresh(store->token);
}

static int name_of(struct tpm_token *token, TPM2_HANDLE handle, TPM2B_NAME *ret)
{
    struct tpm_nv nv;
    int result = tpm_nv_open(token, handle, &nv);

    if (result)
        return result;
    *ret = nv.name;
    tpm_nv_close(token, &nv);
    return 0;
}

/* It is not written yet, and where it replaces another, that is the one to be shown until it is. */
static int announce(const struct store *store, TPM2_HANDLE handle)
{
    return change_label(
        store, &(struct tpm_label){ .handle = handle, .is_gone = store->new->olds > 0, .label = store->new->label });
}

/* In one stroke the new certificate has its label for good, and the old ones are gone. */
static int relabel(const struct store *store, TPM2_HANDLE handle)
{
    struct tpm_label change[TPM_NVCERT_OLD + 1] = { { .handle = handle, .label = store->new->label } };
    size_t count = 1;
    int result = name_of(store->token, handle, &change[0].name);

    for (size_t i = 0; i < store->new->olds && !result; i++) {
        change[count] = (struct tpm_label){ .handle = store->new->old[i], .is_gone = true, .label = "replaced" };
        result = name_of(store->token, store->new->old[i], &change[count].name);
        if (!result)
            count++;
        else if (result == HX_E_NOT_FOUND)
            result = 0;
    }
    if (!result)
        result = tpm_labels_update(&store->directory, change, count);
    return result ? result : tpm_label_refresh(store->token);
}

static int remove_label(const struct store *store, TPM2_HANDLE handle)
{
    return change_label(store, &(struct tpm_label){ .handle = handle });
}

static int undefine(struct tpm_token *token, TPM2_HANDLE handle)
{
    struct tpm_nv nv;
    int result = tpm_nv_open(token, handle, &nv);

    if (result)
        return result;
    result = tpm_nv_undefine(token, &nv);
    tpm_nv_close(token, &nv);
    tpm_nvcerts_forget(token);
    return result;
}

/* Only an index of ours that holds no certificate, or a part of one, or was to replace another, may go without being
 * asked for. */
static int clear_unfinished(const struct store *store, TPM2_HANDLE handle, bool is_gone)
{
    bool ours = false, holds = true;
    struct tpm_nv nv;
    int result = tpm_nv_open(store->token, handle, &nv);

    if (!result) {
        ours = tpm_nv_is_ours(&nv);
        tpm_nv_close(store->token, &nv);
        result = tpm_nvcert_holds(store->token, handle, &holds);
        holds = holds && !is_gone;
    }
    if (!result && ours && !holds)
        result = undefine(store->token, handle);
    if (result == HX_E_NOT_FOUND || (!result && !holds))
        result = remove_label(store, handle);
    return result;
}

/* What a replacement that was cut short has marked as gone. */
static int clear_gone(const struct store *store, const struct tpm_label *gone)
{
    TPM2_HANDLE handle = gone->handle;
    TPM2B_NAME marked = gone->name, name;
    int result = name_of(store->token, handle, &name);

    if (!result && name.size == marked.size && !memcmp(name.name, marked.name, name.size))
        result = undefine(store->token, handle);
    return result && result != HX_E_NOT_FOUND ? result : remove_label(store, handle);
}

/* A label that is bound to no Name was set before its index was written. */
static int repair(const struct store *store)
{
    const struct tpm_labels *labels = &store->token->book->labels;
    struct tpm_label found[8];
    size_t count = 0;
    int result = 0;

    for (size_t i = 0; i < labels->count && count < 8; i++) {
        const struct tpm_label *label = &labels->label[i];
        bool is_owners = label->handle >= TPM_NV_OWNER_FIRST && label->handle <= TPM_NV_OWNER_LAST;

        if (is_owners && (label->is_gone || (!label->name.size && !strcmp(label->label, store->new->label))))
            found[count++] = *label;
    }
    for (size_t i = 0; i < count && !result; i++)
        result = found[i].name.size ? clear_gone(store, &found[i])
                                    : clear_unfinished(store, found[i].handle, found[i].is_gone);
    return result;
}

static bool is_old(const struct tpm_nvcert_new *new, TPM2_HANDLE handle)
{
    for (size_t i = 0; i < new->olds; i++)
        if (new->old[i] == handle)
            return true;
    return false;
}

/* Another program may have brought one after the caller looked.  The core asks again, and then it is seen. */
static int check_label(const struct store *store)
{
    const struct tpm_labels *labels = &store->token->book->labels;
    const struct tpm_label *label = NULL;
    bool bears = false;
    int result = 0;

    while (!result && !bears && (label = tpm_labels_next(labels, store->new->label, label))) {
        if (label->handle >> TPM2_HR_SHIFT != TPM2_HT_NV_INDEX || is_old(store->new, label->handle))
            continue;
        result = tpm_nvcert_bears(store->token, label->handle, store->new->label, &bears);
        if (result == HX_E_NOT_FOUND)
            result = 0;
    }
    if (bears)
        result = hx_fail(store->token->host, HX_E_BUSY, "another program has just brought a certificate '%s'",
                         store->new->label);
    return result;
}

static int find_free(struct tpm_token *token, TPM2_HANDLE *ret)
{
    TPM2_HANDLE handles[256], next = TPM_NV_OWNER_FIRST;
    size_t count = 0;
    int result = tpm_handles(token, TPM_NV_OWNER_FIRST, handles, sizeof handles / sizeof *handles, &count);

    for (size_t i = 0; i < count && handles[i] == next; i++)
        next++;
    if (!result)
        *ret = next;
    return result;
}

static int check_free(struct tpm_token *token, TPM2_HANDLE handle)
{
    int result;

    if (!tpm_has_handle(token, handle, &result))
        return result;
    return hx_fail(token->host, HX_E_EXISTS, "NV index 0x%08x is taken", handle);
}

static int write_content(const struct store *store, TPM2_HANDLE handle)
{
    struct tpm_nv nv;
    int result = tpm_nv_open(store->token, handle, &nv);

    if (result)
        return result;
    result = tpm_nv_write(store->token, &nv, store->new->der, store->new->len);
    tpm_nv_close(store->token, &nv);
    tpm_nvcerts_forget(store->token);
    return result;
}

static int fill(const struct store *store, TPM2_HANDLE handle)
{
    int result = announce(store, handle);

    if (!result)
        result = tpm_nv_define(store->token, handle, store->new->len);
    if (!result)
        result = write_content(store, handle);
    return result ? result : relabel(store, handle); /* once it is written the index has another Name */
}

static int store_locked(const struct store *store, TPM2_HANDLE *inout_handle)
{
    int result = repair(store);

    if (!result)
        result = check_label(store);
    if (!result)
        result = *inout_handle ? check_free(store->token, *inout_handle) : find_free(store->token, inout_handle);
    if (!result)
        result = tpm_nv_check_room(store->token, store->new->len);
    if (!result)
        result = fill(store, *inout_handle);
    if (result == HX_E_FULL)
        remove_label(store, *inout_handle);
    return result;
}

static int lock(struct tpm_token *token, struct tpm_directory *ret)
{
    const char *place;
    int result = tpm_label_refresh(token);

    if (!result)
        result = tpm_places_writable(token->host, &token->book->places, &place);
    if (!result)
        result = tpm_directory_lock(token->host, place, ret);
    if (result)
        return result;
    tpm_nvcerts_forget(token); /* who had the lock may have written */
    result = tpm_label_refresh(token);
    if (result)
        tpm_directory_close(ret);
    return result;
}

int tpm_nvcert_store(struct tpm_token *token, const struct tpm_nvcert_new *new, TPM2_HANDLE *ret)
{
    struct store store = { .token = token, .new = new };
    TPM2_HANDLE handle = new->handle;
    int result = lock(token, &store.directory);

    if (result)
        return result;
    result = store_locked(&store, &handle);
    tpm_directory_close(&store.directory);
    if (!result)
        *ret = handle;
    return result;
}

static int remove_cert(struct tpm_token *token, TPM2_HANDLE handle)
{
    bool holds;
    int result = tpm_nvcert_holds(token, handle, &holds);

    if (!result && !holds)
        result = hx_fail(token->host, HX_E_NOT_FOUND, "there is no certificate to be read in NV index 0x%08x", handle);
    return result ? result : undefine(token, handle);
}

/* No directory is made only to take something away. */
static int remove_both(struct tpm_token *token, TPM2_HANDLE handle)
{
    const char *place = token->book->places.write;
    struct store store = { .token = token };
    int result;

    if (!place || access(place, F_OK))
        return remove_cert(token, handle);
    if ((result = lock(token, &store.directory)))
        return result;
    result = remove_cert(token, handle);
    if (!result)
        result = remove_label(&store, handle);
    tpm_directory_close(&store.directory);
    return result;
}

int tpm_nvcert_remove(struct tpm_token *token, uint32_t kind, const char *rest)
{
    TPM2_HANDLE handle;
    int result;

    if (!tpm_nvcert_parse_ref(rest, &handle) || kind != HX_CERTIFICATE)
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names no certificate in an NV index");
    if (handle < TPM_NV_OWNER_FIRST || handle > TPM_NV_OWNER_LAST)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "NV index 0x%08x is not one of the owner's: it stays", handle);
    result = tpm_label_refresh(token);
    return result ? result : remove_both(token, handle);
}
