/* SPDX-License-Identifier: Apache-2.0 */
/* Putting certificates into NV indexes, and taking them away.  The label comes first: so whatever a power cut leaves of
 * an index, the next import of that label knows it for its own.  Writers wait for each other at the lock of the
 * directory of labels. */
#include "label.h"
#include "nv.h"
#include "nvcert.h"

#include <unistd.h>

struct store {
    struct tpm_token *token;
    const char *label;
    const void *der;
    size_t len;
    struct tpm_directory directory; /* locked */
};

static int change_label(const struct store *store, const struct tpm_label *change)
{
    int result = tpm_labels_update(&store->directory, change, 1);

    return result ? result : tpm_label_refresh(store->token);
}

/* name NULL: it is not written yet. */
static int set_label(const struct store *store, TPM2_HANDLE handle, const TPM2B_NAME *name)
{
    struct tpm_label label = { .handle = handle, .label = store->label };

    if (name)
        label.name = *name;
    return change_label(store, &label);
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

/* Only an index of ours that holds no certificate, or a part of one, may go without being asked for. */
static int clear_unfinished(const struct store *store, TPM2_HANDLE handle)
{
    bool ours = false, holds = true;
    struct tpm_nv nv;
    int result = tpm_nv_open(store->token, handle, &nv);

    if (!result) {
        ours = tpm_nv_is_ours(&nv);
        tpm_nv_close(store->token, &nv);
        result = tpm_nvcert_holds(store->token, handle, &holds);
    }
    if (!result && ours && !holds)
        result = undefine(store->token, handle);
    if (result == HX_E_NOT_FOUND || (!result && !holds))
        result = remove_label(store, handle);
    return result;
}

/* A label that is bound to no Name was set before its index was written. */
static int repair(const struct store *store)
{
    const struct tpm_labels *labels = &store->token->book->labels;
    const struct tpm_label *label = NULL;
    TPM2_HANDLE unfinished[8];
    size_t count = 0;
    int result = 0;

    while (count < 8 && (label = tpm_labels_next(labels, store->label, label)))
        if (!label->name.size && label->handle >= TPM_NV_OWNER_FIRST && label->handle <= TPM_NV_OWNER_LAST)
            unfinished[count++] = label->handle;
    for (size_t i = 0; i < count && !result; i++)
        result = clear_unfinished(store, unfinished[i]);
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

static int write_content(const struct store *store, TPM2_HANDLE handle, TPM2B_NAME *ret)
{
    struct tpm_nv nv;
    int result = tpm_nv_open(store->token, handle, &nv);

    if (result)
        return result;
    result = tpm_nv_write(store->token, &nv, store->der, store->len);
    tpm_nv_close(store->token, &nv);
    tpm_nvcerts_forget(store->token);
    if (result || (result = tpm_nv_open(store->token, handle, &nv)))
        return result;
    *ret = nv.name; /* it is another one once the index is written */
    tpm_nv_close(store->token, &nv);
    return 0;
}

static int fill(const struct store *store, TPM2_HANDLE handle)
{
    TPM2B_NAME name;
    int result = set_label(store, handle, NULL);

    if (!result)
        result = tpm_nv_define(store->token, handle, store->len);
    if (!result)
        result = write_content(store, handle, &name);
    return result ? result : set_label(store, handle, &name);
}

static int store_locked(const struct store *store, TPM2_HANDLE *inout_handle)
{
    int result = repair(store);

    if (!result)
        result = *inout_handle ? check_free(store->token, *inout_handle) : find_free(store->token, inout_handle);
    if (!result)
        result = tpm_nv_check_room(store->token, store->len);
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
    result = tpm_label_refresh(token); /* who had the lock may have written */
    if (result)
        tpm_directory_close(ret);
    return result;
}

int tpm_nvcert_store(struct tpm_token *token, const char *label, TPM2_HANDLE handle, const void *der, size_t len,
                     TPM2_HANDLE *ret)
{
    struct store store = { .token = token, .label = label, .der = der, .len = len };
    int result = lock(token, &store.directory);

    if (result)
        return result;
    result = store_locked(&store, &handle);
    tpm_directory_close(&store.directory);
    if (!result)
        *ret = handle;
    return result;
}

/* Nothing is made only to take something away. */
static int forget_label(struct tpm_token *token, TPM2_HANDLE handle)
{
    struct store store = { .token = token };
    int result;

    if (!tpm_label_entry(token, handle, NULL) &&
        (!token->book->places.write || access(token->book->places.write, F_OK)))
        return 0;
    if ((result = lock(token, &store.directory)))
        return result;
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
    if ((result = tpm_label_refresh(token)) || (result = undefine(token, handle)))
        return result;
    return forget_label(token, handle);
}
