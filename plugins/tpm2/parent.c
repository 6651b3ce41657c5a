/* SPDX-License-Identifier: Apache-2.0 */
/* Storage keys: a persistent one, or the owner's primary key, made anew each time. */
#include "parent.h"

#include "auth.h"
#include "label.h"
#include "primary.h"
#include "turn.h"

static int make_primary(struct tpm_token *token, struct tpm_parent *ret)
{
    struct tpm_parent parent = { .handle = TPM2_RH_OWNER };
    TPM2B_PUBLIC public;
    int result;

    tpm_turn_take(token->tpm);
    result = tpm_primary_make(token, ESYS_TR_RH_OWNER, &tpm_owner_primary_template, &parent.tr, &public);
    if (result)
        tpm_turn_give(token->tpm);
    else
        *ret = parent;
    return result;
}

static int fail_auth(struct tpm_token *token, TPM2_HANDLE handle)
{
    return hx_fail(token->host, HX_E_CONFIG,
                   "the storage key at handle 0x%08x wants an auth value, and storage keys have none here", handle);
}

int tpm_parent_fail(struct tpm_token *token, const struct tpm_parent *parent, TSS2_RC rc, const char *what)
{
    TPM2_RC answer = tpm_rc(rc);

    if (!parent->key || (answer != TPM2_RC_AUTH_FAIL && answer != TPM2_RC_BAD_AUTH))
        return tpm_fail(token, rc, what);
    token->bad_parent = parent->handle;
    return fail_auth(token, parent->handle);
}

static bool is_storage_key(const TPMT_PUBLIC *public)
{
    return public->objectAttributes & TPMA_OBJECT_RESTRICTED && public->objectAttributes & TPMA_OBJECT_DECRYPT;
}

static int get_persistent(struct tpm_token *token, TPM2_HANDLE handle, struct tpm_parent *ret)
{
    static const TPM2B_AUTH none;
    struct tpm_parent parent = { .handle = handle };
    int result = handle == token->bad_parent ? fail_auth(token, handle) : tpm_key_at(token, handle, &parent.key);

    if (result)
        return result;
    if (!is_storage_key(&parent.key->public.publicArea))
        result = hx_fail(token->host, HX_E_CONFIG, "what is at handle 0x%08x is no storage key", handle);
    else
        result = tpm_auth_empty(token, parent.key);
    if (!result && Esys_TR_SetAuth(token->tpm->esys, parent.key->tr, &none))
        result = hx_fail(token->host, HX_E_DEVICE, "the storage key at 0x%08x cannot be used", handle);
    if (result) {
        tpm_key_release(token, parent.key);
        return result;
    }
    parent.tr = parent.key->tr;
    *ret = parent;
    return 0;
}

int tpm_parent_get(struct tpm_token *token, TPM2_HANDLE handle, struct tpm_parent *ret)
{
    int result;

    if (handle && handle != TPM2_RH_OWNER)
        return get_persistent(token, handle, ret);
    if (!handle) {
        result = get_persistent(token, TPM_HANDLE_SRK, ret);
        if (result != HX_E_NOT_FOUND)
            return result;
    }
    return make_primary(token, ret);
}

void tpm_parent_put(struct tpm_token *token, struct tpm_parent *parent)
{
    if (parent->key) {
        tpm_key_release(token, parent->key);
        return;
    }
    if (!atomic_load(&token->tpm->lost))
        Esys_FlushContext(token->tpm->esys, parent->tr);
    tpm_turn_give(token->tpm);
}
