/* SPDX-License-Identifier: Apache-2.0 */
/* Activation: the identity key that a service has wrapped for this TPM (TPM 2.0 Part 1 §24 and §23) takes its place.
 * All that can fail comes before the old key goes; if power is lost right then, the same blob can be activated again.
 */
#include "blob.h"
#include "ek.h"
#include "label.h"
#include "object.h"
#include "parent.h"
#include "persistent.h"
#include "room.h"
#include "srk.h"
#include "turn.h"

#include <string.h>
#include <tss2/tss2_rc.h>

enum { INNER_KEY = 16 }; /* bytes */

struct activation {
    struct tpm_token *token;
    struct tpm_blob blob;
    struct tpm_parent srk;
    struct tpm_ek_use ek;
    ESYS_TR policy; /* the session that the EK's policy is fulfilled in */
    ESYS_TR made; /* the new key */
    TPM2B_DIGEST *inner; /* the inner wrap's key */
    TPM2B_PRIVATE *private;
};

enum step { REVEAL, IMPORT, LOAD };

/* What a TPM says of a blob that is not right, by the step in which it notices.  (What else it says of a parameter is
 * about the blob too: all of them come from there.) */
static const struct {
    enum step step;
    TPM2_RC rc;
    const char *words;
} wrongs[] = {
    { REVEAL, TPM2_RC_INTEGRITY,
      "the activation blob was made for another SRK than this TPM has now (register it again), or it is damaged" },
    { REVEAL, TPM2_RC_VALUE, "the activation blob is meant for another TPM, with another EK, or it is damaged" },
    /* libtpms, of a seed that its key does not decrypt; a TPM that has really failed would have said so before. */
    { REVEAL, TPM2_RC_FAILURE, "the activation blob is meant for another TPM, with another EK, or it is damaged" },
    { REVEAL, TPM2_RC_SIZE, "the activation blob is meant for another kind of EK, or it is damaged" },
    { REVEAL, TPM2_RC_TYPE, "the activation blob is meant for another kind of EK" },
    { IMPORT, TPM2_RC_INTEGRITY, "the activation blob is damaged: the key in it does not unwrap" },
    { IMPORT, TPM2_RC_VALUE, "the activation blob is damaged: the key in it is wrapped for another SRK" },
    { IMPORT, TPM2_RC_FAILURE, "the activation blob is damaged: the key in it is wrapped for another SRK" },
    { IMPORT, TPM2_RC_SIZE, "the activation blob is damaged: the key in it does not unwrap" },
    { IMPORT, TPM2_RC_ATTRIBUTES, "the activation blob's key is said to have never left its TPM, and is not imported" },
    { IMPORT, TPM2_RC_BINDING, "the activation blob is damaged: the parts of its key belong to different keys" },
    { LOAD, TPM2_RC_INTEGRITY, "the activation blob is damaged: its key does not load" },
    { LOAD, TPM2_RC_BINDING, "the activation blob is damaged: the parts of its key belong to different keys" },
    { LOAD, TPM2_RC_TYPE, "the activation blob is damaged: the parts of its key are of different kinds" },
    { LOAD, TPM2_RC_KEY_SIZE, "the activation blob is damaged: its key has a wrong size" },
};

static int explain(struct activation *a, enum step step, TSS2_RC rc, const char *what)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++)
        if (wrongs[i].step == step && wrongs[i].rc == tpm_rc(rc))
            return hx_fail(a->token->host, HX_E_INVALID, "%s (0x%x)", wrongs[i].words, rc);
    if (tpm_rc(rc) & TPM2_RC_FMT1 && rc & TPM2_RC_P)
        return hx_fail(a->token->host, HX_E_INVALID, "the activation blob is damaged: %s (0x%x)", Tss2_RC_Decode(rc),
                       rc);
    return tpm_parent_fail(a->token, &a->srk, rc, what);
}

static TSS2_RC activate_credential(struct activation *a, ESYS_TR session)
{
    tpm_encrypt(a->token->tpm->esys, session, TPMA_SESSION_ENCRYPT);
    return Esys_ActivateCredential(a->token->tpm->esys, a->srk.tr, a->ek.tr, session, a->policy, ESYS_TR_NONE,
                                   &a->blob.credential, &a->blob.credential_seed, &a->inner);
}

static TSS2_RC import(struct activation *a, ESYS_TR session)
{
    static const TPMT_SYM_DEF_OBJECT aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
    TPM2B_DATA inner = { .size = INNER_KEY };
    TSS2_RC rc;

    memcpy(inner.buffer, a->inner->buffer, INNER_KEY);
    tpm_encrypt(a->token->tpm->esys, session, TPMA_SESSION_DECRYPT);
    rc = Esys_Import(a->token->tpm->esys, a->srk.tr, session, ESYS_TR_NONE, ESYS_TR_NONE, &inner, &a->blob.public,
                     &a->blob.duplicate, &a->blob.duplicate_seed, &aes, &a->private);
    explicit_bzero(&inner, sizeof inner);
    return rc;
}

static TSS2_RC load(struct activation *a, ESYS_TR session)
{
    TSS2_RC rc = Esys_Load(a->token->tpm->esys, a->srk.tr, session, ESYS_TR_NONE, ESYS_TR_NONE, a->private,
                           &a->blob.public, &a->made);

    if (rc)
        a->made = ESYS_TR_NONE;
    return rc;
}

static int run(struct activation *a, enum step step)
{
    static const struct {
        TSS2_RC (*command)(struct activation *, ESYS_TR session);
        const char *what;
    } steps[] = {
        [REVEAL] = { activate_credential, "activate a credential" },
        [IMPORT] = { import, "import the identity key" },
        [LOAD] = { load, "load the identity key" },
    };
    ESYS_TR session;
    int result = tpm_session(a->token, &session);
    TSS2_RC rc;

    if (result)
        return result;
    rc = steps[step].command(a, session);
    return rc ? explain(a, step, rc, steps[step].what) : 0;
}

/* Policy A of the EK Credential Profile: who knows the endorsement hierarchy's auth value may use the EK. */
static int begin_policy(struct activation *a)
{
    static const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
    struct tpm_token *token = a->token;
    ESYS_CONTEXT *esys = token->tpm->esys;
    ESYS_TR session;
    int result = tpm_hierarchy_auth(token, ESYS_TR_RH_ENDORSEMENT, "endorsement-auth");
    TSS2_RC rc;

    if (result || (result = tpm_session(token, &session)))
        return result;
    rc = Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
                               TPM2_SE_POLICY, &none, TPM2_ALG_SHA256, &a->policy);
    if (rc) {
        a->policy = ESYS_TR_NONE;
        return tpm_fail(token, rc, "begin a session");
    }
    rc = Esys_PolicySecret(esys, ESYS_TR_RH_ENDORSEMENT, a->policy, session, ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL,
                           NULL, 0, NULL, NULL);
    return rc ? tpm_fail_hierarchy(token, rc, "use the EK", "endorsement-auth") : 0;
}

static void flush(struct activation *a, ESYS_TR *what)
{
    if (*what != ESYS_TR_NONE && !atomic_load(&a->token->tpm->lost))
        Esys_FlushContext(a->token->tpm->esys, *what);
    *what = ESYS_TR_NONE;
}

/* The inner wrap's key.  EK and SRK take two of a TPM's slots here; then the EK leaves its own to the new key. */
static int reveal(struct activation *a)
{
    int result = tpm_ek_get(a->token, &a->ek);

    if (!result)
        result = begin_policy(a);
    if (!result)
        result = run(a, REVEAL);
    flush(a, &a->policy);
    tpm_ek_put(a->token, &a->ek);
    if (!result && a->inner->size != INNER_KEY)
        result = hx_fail(a->token->host, HX_E_INVALID,
                         "the activation blob's credential has %u bytes, not the %d of an AES-128 key", a->inner->size,
                         INNER_KEY);
    return result;
}

/* Its auth value has to be empty, as a service's is, or the key could not be used later.  Only for a key without
 * noDA would a wrong try count, and that one is believed. */
static int try_key(struct activation *a)
{
    static const TPM2B_MAX_BUFFER nothing = { 0 };
    TPM2B_DIGEST *mac = NULL;
    TSS2_RC rc;

    if (!(a->blob.public.publicArea.objectAttributes & TPMA_OBJECT_NODA))
        return 0;
    rc = Esys_HMAC(a->token->tpm->esys, a->made, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &nothing,
                   TPM2_ALG_SHA256, &mac);
    Esys_Free(mac);
    if (tpm_rc(rc) == TPM2_RC_COMMAND_CODE) /* it may have the sequence alone */
        return 0;
    if (tpm_rc(rc) == TPM2_RC_BAD_AUTH)
        return hx_fail(a->token->host, HX_E_INVALID,
                       "the activation blob's key wants an auth value, and none is known: the service has to send "
                       "another");
    return rc ? tpm_fail(a->token, rc, "try the activation blob's key") : 0;
}

static int unwrap(struct activation *a)
{
    int result = run(a, IMPORT);

    if (!result)
        result = run(a, LOAD);
    return result ? result : try_key(a);
}

/* Is it free, or does it hold what a service has sent before?  Another key there is somebody's. */
static int check_place(struct tpm_token *token, bool *ret_taken)
{
    struct hx_object info;
    struct tpm_key *old;
    int result;

    *ret_taken = tpm_has_handle(token, TPM_HANDLE_IDENTITY, &result);
    if (result)
        return result;
    if (!*ret_taken)
        return tpm_persistent_room(token);
    if ((result = tpm_key_at(token, TPM_HANDLE_IDENTITY, &old)))
        return result;
    if (!tpm_public_facts(&old->public.publicArea, &info) || info.kind != HX_SECRET_KEY)
        result = hx_fail(token->host, HX_E_EXISTS,
                         "handle 0x%08x, where the identity key belongs, holds another kind of key: remove that first",
                         TPM_HANDLE_IDENTITY);
    tpm_key_release(token, old);
    return result;
}

/* A wrong owner-auth shows at the first command, before anything is gone. */
static int replace(struct activation *a, bool taken)
{
    int result = taken ? tpm_persistent_drop(a->token, TPM_HANDLE_IDENTITY) : 0;

    return result ? result : tpm_persistent_put(a->token, a->made, TPM_HANDLE_IDENTITY);
}

static void end(struct activation *a)
{
    flush(a, &a->made);
    if (a->inner)
        explicit_bzero(a->inner, sizeof *a->inner);
    Esys_Free(a->inner);
    Esys_Free(a->private);
    a->inner = NULL;
    a->private = NULL;
}

/* Where a slot is wanting this is run again from the start: none is wanted any more once the old key has gone. */
static int attempt(struct tpm_token *token, void *arg)
{
    struct activation *a = arg;
    bool taken = false;
    int result = check_place(token, &taken);

    if (!result)
        result = tpm_srk_make(token);
    if (!result)
        result = tpm_parent_get(token, TPM_HANDLE_SRK, &a->srk);
    if (result)
        return result;
    result = reveal(a);
    if (!result)
        result = unwrap(a);
    if (!result)
        result = replace(a, taken);
    end(a);
    tpm_parent_put(token, &a->srk);
    return result;
}

int tpm_activate(struct tpm_token *token, const void *blob, size_t len, struct hx_out *ref)
{
    struct activation a = { .token = token, .ek.tr = ESYS_TR_NONE, .policy = ESYS_TR_NONE, .made = ESYS_TR_NONE };
    char name[TPM_REF_SIZE];
    int result = tpm_blob_parse(token, blob, len, &a.blob);

    if (result)
        return result;
    tpm_turn_take(token->tpm);
    result = tpm_with_room(token, attempt, &a);
    tpm_turn_give(token->tpm);
    if (result)
        return result;
    tpm_handle_ref(TPM_HANDLE_IDENTITY, name);
    return hx_put(ref, name, strlen(name));
}
