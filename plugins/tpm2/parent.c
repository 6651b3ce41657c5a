/* SPDX-License-Identifier: Apache-2.0 */
/* Storage keys: a persistent one, or the owner's primary key, made anew each time. */
#include "parent.h"

#include "auth.h"
#include "label.h"
#include "slot.h"
#include "turn.h"

/* It takes a slot, and what is made or loaded below it another: all that a resource manager may have left. */
static int make_primary(struct tpm_token *token, struct tpm_parent *ret)
{
    static const TPM2B_SENSITIVE_CREATE nothing_secret;
    static const TPM2B_DATA nothing_more;
    static const TPML_PCR_SELECTION no_pcr;
    struct tpm_parent parent = { .handle = TPM2_RH_OWNER };
    ESYS_TR session;
    int result = tpm_session(token, &session);
    TSS2_RC rc;

    if (result || (result = tpm_hierarchy_auth(token, ESYS_TR_RH_OWNER, "owner-auth")))
        return result;
    tpm_slots_clear(token);
    tpm_turn_take(token->tpm);
    rc = Esys_CreatePrimary(token->tpm->esys, ESYS_TR_RH_OWNER, session, ESYS_TR_NONE, ESYS_TR_NONE, &nothing_secret,
                            &tpm_owner_primary_template, &nothing_more, &no_pcr, &parent.tr, NULL, NULL, NULL, NULL);
    if (rc) {
        tpm_turn_give(token->tpm);
        return tpm_fail_hierarchy(token, rc, "make the owner's primary key", "owner-auth");
    }
    *ret = parent;
    return 0;
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
