/* SPDX-License-Identifier: Apache-2.0 */
/* See persistent.h. */
#include "persistent.h"

#include "key.h"
#include "resource.h"

int tpm_persistent_room(struct tpm_token *token)
{
    uint32_t left;
    int result = tpm_property(token, TPM2_PT_HR_PERSISTENT_AVAIL, &left);

    if (result)
        return result == HX_E_NOT_FOUND ? 0 : result;
    return left ? 0
                : hx_fail(token->host, HX_E_FULL,
                          "its persistent memory is full: remove a key or certificate that is not needed");
}

static int control(struct tpm_token *token, ESYS_TR object, TPM2_HANDLE handle, ESYS_TR *ret, const char *what)
{
    ESYS_TR session;
    int result = tpm_hierarchy_auth(token, ESYS_TR_RH_OWNER, "owner-auth");
    TSS2_RC rc;

    tpm_keys_forget(token); /* what was read a moment ago does not count as held */
    if (result || (result = tpm_session(token, &session)))
        return result;
    rc =
        Esys_EvictControl(token->tpm->esys, ESYS_TR_RH_OWNER, object, session, ESYS_TR_NONE, ESYS_TR_NONE, handle, ret);
    return rc ? tpm_fail_hierarchy(token, rc, what, "owner-auth") : 0;
}

int tpm_persistent_put(struct tpm_token *token, ESYS_TR loaded, TPM2_HANDLE handle)
{
    ESYS_TR made = ESYS_TR_NONE;
    int result = control(token, loaded, handle, &made, "make a key persistent");

    if (!result)
        Esys_TR_Close(token->tpm->esys, &made);
    return result;
}

int tpm_persistent_drop(struct tpm_token *token, TPM2_HANDLE handle)
{
    ESYS_TR object, none = ESYS_TR_NONE;
    TSS2_RC rc = tpm_resource_open(token->tpm, handle, &object);
    int result;

    if (rc)
        return tpm_fail(token, rc, "find a key");
    result = control(token, object, handle, &none, "remove a key");
    if (result)
        tpm_resource_close(token->tpm, &object);
    else
        tpm_resource_evicted(token->tpm, &object);
    return result;
}
