/* SPDX-License-Identifier: Apache-2.0 */
/* A key file's key is loaded below its parent once.  From then on its saved context comes and goes, which is one
 * command and no decryption, until a reset of the TPM makes that void (TPM 2.0 Part 1 §30.3). */
#include "slot.h"

#include "keyfile.h"
#include "parent.h"
#include "turn.h"

#include <string.h>

static void forget_context(struct tpm_key *key)
{
    Esys_Free(key->saved);
    key->saved = NULL;
}

static void note_resident(struct tpm *tpm, struct tpm_key *key)
{
    memmove(tpm->resident + 1, tpm->resident, sizeof *tpm->resident * (TPM_RESIDENTS - 1));
    tpm->resident[0] = key;
}

static void strike_resident(struct tpm *tpm, const struct tpm_key *key)
{
    size_t kept = 0;

    for (size_t i = 0; i < TPM_RESIDENTS; i++)
        if (tpm->resident[i] && tpm->resident[i] != key)
            tpm->resident[kept++] = tpm->resident[i];
    while (kept < TPM_RESIDENTS)
        tpm->resident[kept++] = NULL;
}

/* Without its context it is loaded from the file the next time. */
static void save(struct tpm_token *token, struct tpm_key *key)
{
    TPMS_CONTEXT *context = NULL;

    if (!key->saved && !Esys_ContextSave(token->tpm->esys, key->tr, &context))
        key->saved = context;
}

static void flush(struct tpm_token *token, struct tpm_key *key)
{
    ESYS_CONTEXT *esys = token->tpm->esys;

    strike_resident(token->tpm, key);
    if (atomic_load(&token->tpm->lost) || Esys_FlushContext(esys, key->tr))
        Esys_TR_Close(esys, &key->tr);
    key->tr = ESYS_TR_NONE;
}

void tpm_slot_lost(struct tpm_token *token, struct tpm_key *key)
{
    strike_resident(token->tpm, key);
    if (key->tr != ESYS_TR_NONE) {
        Esys_TR_Close(token->tpm->esys, &key->tr);
        key->tr = ESYS_TR_NONE;
        tpm_turn_give(token->tpm);
    }
    forget_context(key);
}

void tpm_slot_drop(struct tpm_token *token, struct tpm_key *key)
{
    if (key->tr != ESYS_TR_NONE)
        flush(token, key);
    forget_context(key);
}

static void vacate(struct tpm_token *token, size_t left)
{
    for (size_t i = TPM_RESIDENTS; i-- > left;) {
        struct tpm_key *key = token->tpm->resident[i];

        if (key) {
            save(token, key);
            flush(token, key);
        }
    }
}

void tpm_slots_clear(struct tpm_token *token)
{
    vacate(token, 0);
}

static int fail_load(struct tpm_token *token, const struct tpm_parent *parent, TSS2_RC rc)
{
    switch (tpm_rc(rc)) {
    case TPM2_RC_INTEGRITY:
    case TPM2_RC_BINDING:
        return hx_fail(
            token->host, HX_E_CONFIG,
            "load the key file: it was made by another TPM, or before this one was cleared, or below another "
            "storage key than %s",
            parent->key ? "that which is at its parent's handle now" : "the owner's primary one");
    default:
        return tpm_parent_fail(token, parent, rc, "load the key file");
    }
}

static int load_below(struct tpm_token *token, struct tpm_key *key, const struct tpm_parent *parent)
{
    ESYS_TR session;
    int result = tpm_session(token, &session);
    TSS2_RC rc;

    if (result)
        return result;
    rc = Esys_Load(token->tpm->esys, parent->tr, session, ESYS_TR_NONE, ESYS_TR_NONE, &key->file->private,
                   &key->file->public, &key->tr);
    if (!rc)
        return 0;
    key->tr = ESYS_TR_NONE;
    return fail_load(token, parent, rc);
}

static int load(struct tpm_token *token, struct tpm_key *key)
{
    struct tpm_parent parent;
    int result = tpm_parent_get(token, key->file->parent, &parent);

    if (result)
        return result;
    result = load_below(token, key, &parent);
    tpm_parent_put(token, &parent);
    if (!result && !token->tpm->managed)
        save(token, key);
    return result;
}

/* Whatever else than a full TPM keeps a saved context out: the file is there still. */
static int load_saved(struct tpm_token *token, struct tpm_key *key)
{
    TSS2_RC rc = Esys_ContextLoad(token->tpm->esys, key->saved, &key->tr);

    if (tpm_restarted(token, rc))
        rc = Esys_ContextLoad(token->tpm->esys, key->saved, &key->tr);
    if (!rc)
        return 0;
    key->tr = ESYS_TR_NONE;
    if (!tpm_rc(rc) || tpm_rc(rc) == TPM2_RC_OBJECT_MEMORY || tpm_rc(rc) == TPM2_RC_INITIALIZE)
        return tpm_fail(token, rc, "load the key again");
    forget_context(key);
    return load(token, key);
}

int tpm_slot_take(struct tpm_token *token, struct tpm_key *key)
{
    int result;

    if (key->tr != ESYS_TR_NONE || !key->file)
        return 0;
    vacate(token, TPM_RESIDENTS - 1);
    tpm_turn_take(token->tpm);
    result = key->saved ? load_saved(token, key) : load(token, key);
    if (!result && token->tpm->managed)
        note_resident(token->tpm, key);
    if (result)
        tpm_turn_give(token->tpm);
    return result;
}

void tpm_slot_leave(struct tpm_token *token, struct tpm_key *key)
{
    if (!key->file || key->tr == ESYS_TR_NONE || token->tpm->managed)
        return;
    flush(token, key);
    tpm_turn_give(token->tpm);
}
