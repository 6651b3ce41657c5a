/* SPDX-License-Identifier: Apache-2.0 */
/* Labels from the file, which come first, and handles that have a meaning by themselves (TCG Registry of Reserved TPM
 * 2.0 Handles, and Azure's for its key). */
#include "label.h"

#include "ek.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    TPM2_HANDLE handle;
    uint32_t kind, flags;
    const char *label;
} reserved[] = {
    { TPM_HANDLE_SRK, HX_PRIVATE_KEY, HX_RESTRICTED, "srk" },
    { TPM_HANDLE_EK, HX_PRIVATE_KEY, HX_RESTRICTED, "ek" },
    { TPM_HANDLE_IDENTITY, HX_SECRET_KEY, 0, "identity" },
};
#define RESERVED (sizeof reserved / sizeof *reserved)

static void look(const struct tpm_book *book, struct tpm_page ret[TPM_PLACES])
{
    char path[PATH_MAX];
    struct stat st;

    memset(ret, 0, TPM_PLACES * sizeof *ret);
    for (size_t i = 0; i < TPM_PLACES && book->places.read[i]; i++) {
        snprintf(path, sizeof path, "%s/labels", book->places.read[i]);
        if (!stat(path, &st))
            ret[i] = (struct tpm_page){ st.st_dev, st.st_ino, st.st_size, st.st_mtim };
    }
}

static bool same(const struct tpm_page *a, const struct tpm_page *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static int open_book(struct tpm_token *token)
{
    struct tpm_book *book = calloc(1, sizeof *book);
    int result;

    if (!book)
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    result = tpm_places_find(token->host, &book->places);
    if (result)
        free(book);
    else
        token->book = book;
    return result;
}

int tpm_label_refresh(struct tpm_token *token)
{
    struct tpm_page page[TPM_PLACES];
    struct tpm_labels labels;
    int result = token->book ? 0 : open_book(token);

    if (result)
        return result;
    look(token->book, page);
    if (token->book->is_read && same(&page[0], &token->book->page[0]) && same(&page[1], &token->book->page[1]))
        return 0;
    result = tpm_labels_load(token->host, &token->book->places, &labels);
    if (result)
        return result;
    tpm_labels_free(&token->book->labels);
    token->book->labels = labels;
    memcpy(token->book->page, page, sizeof page);
    token->book->is_read = true;
    for (struct tpm_key *key = token->recent; key; key = key->next)
        tpm_label_mark(token, key);
    return 0;
}

void tpm_label_forget(struct tpm_token *token)
{
    if (!token->book)
        return;
    tpm_labels_free(&token->book->labels);
    tpm_places_free(&token->book->places);
    free(token->book);
    token->book = NULL;
}

const struct tpm_label *tpm_label_entry(const struct tpm_token *token, TPM2_HANDLE handle, const TPM2B_NAME *name)
{
    return token->book ? tpm_labels_of(&token->book->labels, handle, name) : NULL;
}

static const struct tpm_label *entry_of(const struct tpm_token *token, const struct tpm_key *key)
{
    return key->handle ? tpm_label_entry(token, key->handle, &key->name) : NULL;
}

bool tpm_label_of(struct tpm_token *token, const struct tpm_key *key, char ret[TPM_LABEL_SIZE])
{
    const struct tpm_label *entry = entry_of(token, key);
    const char *label = entry ? entry->label : NULL;
    struct hx_object info;

    if (!tpm_public_facts(&key->public.publicArea, &info))
        return false;
    for (size_t i = 0; i < RESERVED && !label; i++)
        if (reserved[i].handle == key->handle && reserved[i].kind == info.kind &&
            (info.flags & reserved[i].flags) == reserved[i].flags &&
            (key->handle != TPM_HANDLE_EK || tpm_ek_is(token, &key->public.publicArea)))
            label = reserved[i].label;
    if (!label)
        return false;
    snprintf(ret, TPM_LABEL_SIZE, "%s", label);
    return true;
}

bool tpm_label_may_be(struct tpm_token *token, TPM2_HANDLE handle, const char *label)
{
    const struct tpm_label *entry = NULL;

    for (size_t i = 0; i < RESERVED; i++)
        if (reserved[i].handle == handle && !strcmp(reserved[i].label, label))
            return true;
    while (token->book && (entry = tpm_labels_next(&token->book->labels, label, entry)))
        if (entry->handle == handle)
            return true;
    return false;
}

bool tpm_label_is_gone(const struct tpm_token *token, const struct tpm_key *key)
{
    const struct tpm_label *entry = entry_of(token, key);

    return entry && entry->is_gone && entry->name.size;
}

/* Where the file says that a key wants no auth value, it gets none, unless that could count as a wrong one. */
void tpm_label_mark(const struct tpm_token *token, struct tpm_key *key)
{
    const struct tpm_label *entry = entry_of(token, key);

    if (!entry)
        return;
    key->wants_auth = entry->wants_auth;
    if (!entry->wants_auth && key->public.publicArea.objectAttributes & TPMA_OBJECT_NODA)
        key->no_auth = true;
}
