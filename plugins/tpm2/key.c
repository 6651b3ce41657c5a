/* SPDX-License-Identifier: Apache-2.0 */
/* Keys at persistent handles, read once for all that is asked of them within a second. */
#include "label.h"
#include "resource.h"
#include "room.h"
#include "slot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECENT_MS 1000

int64_t tpm_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct tpm_key *tpm_key_new(void)
{
    struct tpm_key *key = calloc(1, sizeof *key);

    if (key) {
        key->refs = 1;
        key->tr = ESYS_TR_NONE;
    }
    return key;
}

struct tpm_key *tpm_key_retain(struct tpm_key *key)
{
    key->refs++;
    return key;
}

void tpm_key_release(struct tpm_token *token, struct tpm_key *key)
{
    if (!key || --key->refs)
        return;
    if (key->file)
        tpm_slot_drop(token, key);
    else if (key->tr != ESYS_TR_NONE)
        tpm_resource_close(token->tpm, &key->tr);
    explicit_bzero(&key->auth, sizeof key->auth);
    free(key->file);
    explicit_bzero(key, sizeof *key);
    free(key);
}

void tpm_keys_forget(struct tpm_token *token)
{
    struct tpm_key *key;

    while ((key = token->recent)) {
        token->recent = key->next;
        key->next = NULL;
        tpm_key_release(token, key);
    }
}

static void drop_stale(struct tpm_token *token)
{
    struct tpm_key **at = &token->recent;
    int64_t now = tpm_now_ms();

    while (*at) {
        struct tpm_key *key = *at;

        if (key->until > now) {
            at = &key->next;
            continue;
        }
        *at = key->next;
        key->next = NULL;
        tpm_key_release(token, key);
    }
}

static TSS2_RC read_public(struct tpm *tpm, struct tpm_key *key)
{
    TPM2B_PUBLIC *public = NULL;
    TPM2B_NAME *name = NULL;
    TSS2_RC rc;

    if (tpm_resource_told(tpm, key->tr, &key->public, &key->name))
        return 0;
    rc = Esys_ReadPublic(tpm->esys, key->tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, &name, NULL);
    if (rc)
        return rc;
    key->public = *public;
    key->name = *name;
    Esys_Free(public);
    Esys_Free(name);
    return 0;
}

static int read_key(struct tpm_token *token, void *arg)
{
    struct tpm_key *key = arg;
    TSS2_RC rc = tpm_resource_open(token->tpm, key->handle, &key->tr);

    if (rc) {
        key->tr = ESYS_TR_NONE;
    } else if ((rc = read_public(token->tpm, key))) {
        tpm_resource_close(token->tpm, &key->tr);
    } else if (!tpm_resource_is(token->tpm, key->tr, &key->name)) {
        tpm_resource_close(token->tpm, &key->tr);
        atomic_store(&token->tpm->lost, true);
        return hx_fail(token->host, HX_E_LOST, "another program has replaced the key at handle 0x%08x", key->handle);
    }
    return rc ? tpm_fail(token, rc, "read a key's public part") : 0;
}

static struct tpm_key *find_recent(struct tpm_token *token, TPM2_HANDLE handle)
{
    drop_stale(token);
    for (struct tpm_key *key = token->recent; key; key = key->next)
        if (key->handle == handle)
            return tpm_key_retain(key);
    return NULL;
}

int tpm_key_listed(struct tpm_token *token, TPM2_HANDLE handle, struct tpm_key **ret)
{
    struct tpm_key *key = find_recent(token, handle);
    int result;

    if (key) {
        *ret = key;
        return 0;
    }
    key = tpm_key_new();
    if (!key)
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    key->handle = handle;
    if ((result = tpm_with_room(token, read_key, key))) {
        tpm_key_release(token, key);
        return result;
    }
    tpm_label_mark(token, key);
    key->until = tpm_now_ms() + RECENT_MS;
    key->next = token->recent;
    token->recent = tpm_key_retain(key);
    *ret = key;
    return 0;
}

/* Asked first, since tpm2-tss prints that there is none. */
int tpm_key_at(struct tpm_token *token, TPM2_HANDLE handle, struct tpm_key **ret)
{
    struct tpm_key *key = find_recent(token, handle);
    int result;

    if (key) {
        *ret = key;
        return 0;
    }
    if (!tpm_has_handle(token, handle, &result))
        return result ? result : hx_fail(token->host, HX_E_NOT_FOUND, "there is no key at handle 0x%08x", handle);
    return tpm_key_listed(token, handle, ret);
}
