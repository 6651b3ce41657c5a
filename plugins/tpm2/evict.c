/* SPDX-License-Identifier: Apache-2.0 */
/* Into and out of persistent memory (TPM2_EvictControl, TPM 2.0 Part 3 §28.5), on the owner's word. */
#include "label.h"
#include "make.h"

#define OWNER_AUTH "owner-auth"

static int owner(struct tpm_token *token, ESYS_TR *ret_session)
{
    int result = tpm_hierarchy_auth(token, ESYS_TR_RH_OWNER, OWNER_AUTH);

    return result ? result : tpm_session(token, ret_session);
}

int tpm_persist(struct tpm_token *token, const struct tpm_fresh *fresh, TPM2_HANDLE handle)
{
    ESYS_TR session, made = ESYS_TR_NONE;
    int result = owner(token, &session);
    TSS2_RC rc;

    if (result)
        return result;
    rc = Esys_EvictControl(token->tpm->esys, ESYS_TR_RH_OWNER, fresh->tr, session, ESYS_TR_NONE, ESYS_TR_NONE, handle,
                           &made);
    tpm_keys_forget(token);
    if (rc)
        return tpm_fail_hierarchy(token, rc, "make the key persistent", OWNER_AUTH);
    Esys_TR_Close(token->tpm->esys, &made);
    return 0;
}

/* By a resource of its own: the library takes away the one that it is given. */
int tpm_evict(struct tpm_token *token, TPM2_HANDLE handle)
{
    ESYS_CONTEXT *esys = token->tpm->esys;
    ESYS_TR session, key, none = ESYS_TR_NONE;
    int result = owner(token, &session);
    TSS2_RC rc;

    if (result)
        return result;
    if (!tpm_has_handle(token, handle, &result))
        return result ? result : hx_fail(token->host, HX_E_NOT_FOUND, "there is no key at handle 0x%08x", handle);
    tpm_keys_forget(token);
    rc = Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &key);
    if (rc)
        return tpm_fail(token, rc, "read a key's public part");
    rc = Esys_EvictControl(esys, ESYS_TR_RH_OWNER, key, session, ESYS_TR_NONE, ESYS_TR_NONE, handle, &none);
    if (!rc)
        return 0;
    Esys_TR_Close(esys, &key);
    return tpm_fail_hierarchy(token, rc, "remove the key", OWNER_AUTH);
}

int tpm_evict_check(struct tpm_token *token, TPM2_HANDLE handle, const TPMT_PUBLIC *public)
{
    const char *why = NULL;

    if (handle >= TPM2_PLATFORM_PERSISTENT)
        why = "is the platform's, and the owner may not remove it";
    else if (handle >> 16 == TPM_HANDLE_EK >> 16)
        why = "is an endorsement key's: the TPM's identity depends on it";
    else if (handle == TPM_HANDLE_SRK)
        why = "is the storage root key's: all keys below it depend on it";
    else if (public->objectAttributes & TPMA_OBJECT_RESTRICTED)
        why = "is that of a storage or attestation key, on which others may depend";
    return why ? hx_fail(token->host, HX_E_UNSUPPORTED,
                         "handle 0x%08x %s; if you are sure, `tpm2_evictcontrol` removes it", handle, why)
               : 0;
}
