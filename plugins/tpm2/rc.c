/* SPDX-License-Identifier: Apache-2.0 */
/* What the TPM says (TPM 2.0 Part 2 §6.6), in our results and in words that say what to do. */
#include "auth.h"

#include <stdio.h>
#include <tss2/tss2_rc.h>

TPM2_RC tpm_rc(TSS2_RC rc)
{
    TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

    if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER)
        return 0;
    rc &= ~TSS2_RC_LAYER_MASK;
    return rc & TPM2_RC_FMT1 ? rc & (TPM2_RC_FMT1 | 0x3f) : rc;
}

static const struct {
    TPM2_RC rc;
    int result;
    const char *words; /* NULL: the TPM's own */
} answers[] = {
    { TPM2_RC_OBJECT_MEMORY, HX_E_BUSY,
      "all of its object slots are taken, perhaps by a process that was killed: use /dev/tpmrm0, or free them with "
      "`tpm2_flushcontext --transient-object`" },
    { TPM2_RC_OBJECT_HANDLES, HX_E_BUSY, "it has no object handles left" },
    { TPM2_RC_SESSION_MEMORY, HX_E_BUSY,
      "it has no room for a session, perhaps because of a process that was killed: use /dev/tpmrm0, or free it with "
      "`tpm2_flushcontext --loaded-session`" },
    { TPM2_RC_SESSION_HANDLES, HX_E_BUSY, "it has no session handles left: `tpm2_flushcontext --saved-session`" },
    { TPM2_RC_MEMORY, HX_E_BUSY, "it is out of memory" },
    { TPM2_RC_YIELDED, HX_E_BUSY, NULL },
    { TPM2_RC_CANCELED, HX_E_BUSY, NULL },
    { TPM2_RC_TESTING, HX_E_BUSY, "it is testing itself" },
    { TPM2_RC_NV_RATE, HX_E_BUSY, "it limits how often its memory is written" },
    { TPM2_RC_RETRY, HX_E_BUSY, NULL },
    { TPM2_RC_NV_UNAVAILABLE, HX_E_BUSY, "its memory cannot be written just now" },
    { TPM2_RC_HANDLE, HX_E_NOT_FOUND, "there is nothing at this handle" },
    { TPM2_RC_NV_SPACE, HX_E_FULL,
      "its persistent memory is full: remove a key or certificate that is not needed, or place the key in a file "
      "(key-files =, and --place NAME.tss)" },
    { TPM2_RC_NV_DEFINED, HX_E_EXISTS, "that handle or index is taken" },
    { TPM2_RC_NO_RESULT, HX_E_INVALID, "the input fits no key" },
    { TPM2_RC_SCHEME, HX_E_UNSUPPORTED, "the key is made for another scheme, or the TPM has none like it" },
    { TPM2_RC_HASH, HX_E_UNSUPPORTED, "it does not have this hash" },
    { TPM2_RC_CURVE, HX_E_UNSUPPORTED, "it does not have this curve" },
    { TPM2_RC_KEY_SIZE, HX_E_UNSUPPORTED, "it does not have keys of this size" },
    { TPM2_RC_ASYMMETRIC, HX_E_UNSUPPORTED, "it does not have this algorithm" },
    { TPM2_RC_TYPE, HX_E_UNSUPPORTED, NULL },
    { TPM2_RC_ATTRIBUTES, HX_E_UNSUPPORTED, "the key's attributes do not allow it" },
    { TPM2_RC_KEY, HX_E_UNSUPPORTED, "the key is of a type that cannot do it" },
    { TPM2_RC_COMMAND_CODE, HX_E_UNSUPPORTED, "it does not have this command" },
    { TPM2_RC_POLICY_FAIL, HX_E_UNSUPPORTED, "the key wants a policy" },
    { TPM2_RC_AUTH_UNAVAILABLE, HX_E_UNSUPPORTED, "the key wants a policy, not an auth value" },
    { TPM2_RC_AUTH_TYPE, HX_E_UNSUPPORTED, "the key wants another kind of authorisation" },
    { TPM2_RC_FAILURE, HX_E_DEVICE, "it has failed its self-test or lost its state: it wants a reset" },
};

static int fail_locked(struct tpm_token *token, const char *what)
{
    struct tpm_lockout state = { 0 };

    if (tpm_lockout(token, &state))
        return hx_fail(token->host, HX_E_LOCKED, "%s: the TPM is in lockout after too many wrong auth values", what);
    return hx_fail(token->host, HX_E_LOCKED,
                   "%s: the TPM is in lockout after %u wrong auth values: it takes the next one in %u s at most, or at "
                   "once after `tpm2_dictionarylockout --clear-lockout`",
                   what, state.failures, state.seconds);
}

/* Kernels and resource managers do it, a bare software TPM's users may have to.  Another process may have been faster.
 */
bool tpm_restarted(struct tpm_token *token, TSS2_RC rc)
{
    if (tpm_rc(rc) != TPM2_RC_INITIALIZE)
        return false;
    rc = Esys_Startup(token->tpm->esys, TPM2_SU_CLEAR);
    return !rc || tpm_rc(rc) == TPM2_RC_INITIALIZE;
}

bool tpm_is_stale(TSS2_RC full)
{
    TPM2_RC rc = tpm_rc(full);

    return (rc >= TPM2_RC_REFERENCE_H0 && rc <= TPM2_RC_REFERENCE_H6) ||
           (rc >= TPM2_RC_REFERENCE_S0 && rc <= TPM2_RC_REFERENCE_S6);
}

static int fail_lost(struct tpm_token *token, const char *what, const char *why)
{
    atomic_store(&token->tpm->lost, true);
    return hx_fail(token->host, HX_E_LOST, "%s: %s (TCTI '%s')", what, why, token->tpm->tcti);
}

static int fail_tpm(struct tpm_token *token, TSS2_RC full, TPM2_RC rc, const char *what)
{
    token->tpm->full = token->tpm->full || rc == TPM2_RC_OBJECT_MEMORY;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (answers[i].rc == rc)
            return hx_fail(token->host, answers[i].result, "%s: %s (0x%x)", what,
                           answers[i].words ? answers[i].words : Tss2_RC_Decode(full), full);
    return hx_fail(token->host, HX_E_DEVICE, "%s: %s (0x%x)", what, Tss2_RC_Decode(full), full);
}

int tpm_fail(struct tpm_token *token, TSS2_RC full, const char *what)
{
    TPM2_RC rc = tpm_rc(full);

    if (full == TSS2_ESYS_RC_BAD_SEQUENCE) /* ESAPI takes no further command then, for ever */
        return fail_lost(token, what, "the TPM did not answer the command before");
    if (!rc && (full & TSS2_RC_LAYER_MASK) == TSS2_ESAPI_RC_LAYER)
        return hx_fail(token->host, HX_E_DEVICE, "%s: %s", what, Tss2_RC_Decode(full));
    if (!rc)
        return fail_lost(token, what, "the TPM does not answer");
    if (rc == TPM2_RC_INITIALIZE) {
        tpm_restarted(token, full);
        return fail_lost(token, what, "the TPM was reset");
    }
    if (tpm_is_stale(full))
        return fail_lost(token, what, "the TPM was reset, or another program flushed what is ours");
    if (rc == TPM2_RC_LOCKOUT)
        return fail_locked(token, what);
    if (tpm_is_wrong_auth(full))
        return hx_fail(token->host, HX_E_PIN, "%s: the key's auth value (its PIN) is another", what);
    return fail_tpm(token, full, rc, what);
}

int tpm_fail_hierarchy(struct tpm_token *token, TSS2_RC rc, const char *what, const char *option)
{
    if (tpm_is_wrong_auth(rc))
        return hx_fail(token->host, HX_E_CONFIG,
                       "%s: the TPM refuses the auth value of this hierarchy: set %s-file = in "
                       "the token's section",
                       what, option);
    return tpm_fail(token, rc, what);
}
