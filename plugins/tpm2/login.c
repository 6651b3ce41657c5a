/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM has no login; an auth value is tried on a key when the key is used.  So that a wrong one is tried once, it is
 * tried here, on the key that asked for it, by a command that changes nothing (TPM2_PolicySecret, Part 3 §23.4). */
#include "auth.h"

#include <string.h>

static TSS2_RC prove_command(const struct tpm_use *use, void *arg)
{
    static const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
    ESYS_TR session;
    TSS2_RC rc = Esys_StartAuthSession(use->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                       NULL, TPM2_SE_TRIAL, &none, TPM2_ALG_SHA256, &session);

    (void)arg;
    if (rc)
        return rc;
    rc = Esys_PolicySecret(use->esys, use->key, session, use->session, ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0,
                           NULL, NULL);
    Esys_FlushContext(use->esys, session);
    return rc;
}

static bool takes_auth(const struct tpm_key *key)
{
    TPMA_OBJECT attributes = key->public.publicArea.objectAttributes;

    return attributes & TPMA_OBJECT_USERWITHAUTH && !(attributes & TPMA_OBJECT_RESTRICTED) && !key->no_auth &&
           key->auth_state != TPM_AUTH_PROVEN;
}

/* The key that asked, or one that takes an auth value.  *ret NULL: there is none. */
static int pick(struct tpm_token *token, struct tpm_key **ret)
{
    TPM2_HANDLE handles[TPM_PERSISTENT_MAX];
    size_t count;
    int result;

    *ret = token->unproven ? tpm_key_retain(token->unproven) : NULL;
    if (*ret)
        return 0;
    result = tpm_handles(token, TPM_PERSISTENT_FIRST, handles, TPM_PERSISTENT_MAX, &count);
    for (size_t i = 0; i < count && !result; i++) {
        result = tpm_key_listed(token, handles[i], ret);
        if (!result && takes_auth(*ret) && (!token->unborn || (*ret)->wants_auth))
            return 0;
        if (!result)
            tpm_key_release(token, *ret);
        *ret = NULL;
    }
    return result;
}

static int prove(struct tpm_token *token, const void *pin, size_t len)
{
    struct tpm_key *key;
    int result = pick(token, &key);

    if (result || !key)
        return result;
    result = tpm_auth_give(token, key, pin, len);
    if (!result)
        result = tpm_use(token, key, prove_command, NULL, "try the PIN");
    tpm_key_release(token, key);
    return result;
}

int tpm_token_login(struct tpm_token *token, const void *pin, size_t len)
{
    int result = prove(token, pin, len);

    token->unborn = false;
    if (result)
        return result;
    token->auth = (TPM2B_AUTH){ .size = (UINT16)len };
    if (len)
        memcpy(token->auth.buffer, pin, len);
    token->logged_in = true;
    return 0;
}
