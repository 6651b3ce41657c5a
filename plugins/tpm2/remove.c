/* SPDX-License-Identifier: Apache-2.0 */
/* Taking keys away.  The label goes after the key: one that is left is bound to the key's Name, and means nothing. */
#include "directory.h"
#include "label.h"
#include "make.h"
#include "room.h"

#include <string.h>

int tpm_remove_check(struct tpm_token *token, TPM2_HANDLE handle, const TPMT_PUBLIC *public)
{
    const char *why = NULL;

    if (handle >= TPM_PERSISTENT_PLATFORM)
        why = "is the platform's, and the owner may not remove it";
    else if (handle >> 16 == TPM_HANDLE_EK >> 16)
        why = "is one of those reserved for endorsement keys, on which the TPM's identity depends";
    else if (handle == TPM_HANDLE_SRK)
        why = "is the storage root key's: all keys below it depend on it";
    else if (public->objectAttributes & TPMA_OBJECT_RESTRICTED)
        why = "is that of a storage or attestation key, on which others may depend";
    return why ? hx_fail(token->host, HX_E_UNSUPPORTED,
                         "handle 0x%08x %s; if you are sure, `tpm2_evictcontrol` removes it", handle, why)
               : 0;
}

struct removing {
    uint32_t kind;
    TPM2_HANDLE handle;
};

static int check(struct tpm_token *token, const struct removing *removing)
{
    struct hx_object info;
    struct tpm_key *key;
    int result = tpm_key_at(token, removing->handle, &key);

    if (result)
        return result;
    if (!tpm_public_facts(&key->public.publicArea, &info) || info.kind != removing->kind)
        result =
            hx_fail(token->host, HX_E_NOT_FOUND, "there is another kind of object at handle 0x%08x", removing->handle);
    else
        result = tpm_remove_check(token, removing->handle, &key->public.publicArea);
    tpm_key_release(token, key);
    return result;
}

static int remove_key(struct tpm_token *token, void *arg)
{
    const struct removing *removing = arg;
    int result = check(token, removing);

    return result ? result : tpm_settle_evict(token, removing->handle);
}

int tpm_remove_handle(struct tpm_token *token, uint32_t kind, TPM2_HANDLE handle)
{
    struct removing removing = { .kind = kind, .handle = handle };
    int result = tpm_label_refresh(token);

    return result ? result : tpm_with_room(token, remove_key, &removing);
}
