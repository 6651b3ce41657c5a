/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM has no login; an auth value is tried on a key when the key is used.  So that a wrong one is tried once, it is
 * tried here, before a key is made with it, by a command that changes nothing (TPM2_PolicySecret, Part 3 §23.4). */
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

struct proof {
    const void *pin;
    size_t len;
    bool right, refused, counted;
};

static bool takes_auth(const struct tpm_key *key)
{
    TPMA_OBJECT attributes = key->public.publicArea.objectAttributes;

    return attributes & TPMA_OBJECT_USERWITHAUTH && !(attributes & TPMA_OBJECT_RESTRICTED) && !key->no_auth &&
           key->auth_state != TPM_AUTH_PROVEN;
}

/* Where something is to be made, only keys that are known to have one, and that count no wrong one. */
static bool is_asked(const struct tpm_token *token, const struct tpm_key *key, bool guarded)
{
    return takes_auth(key) && tpm_is_guarded(key) == guarded && (!token->unborn || (key->wants_auth && !guarded));
}

/* That a key has no auth value at all says nothing of the PIN. */
static int ask(struct tpm_token *token, struct tpm_key *key, struct proof *proof)
{
    int result = tpm_auth_give(token, key, proof->pin, proof->len);

    if (!result)
        result = tpm_use(token, key, prove_command, NULL, "try the PIN");
    proof->right = !result && key->auth.size == proof->len;
    proof->refused = proof->refused || result == HX_E_PIN;
    proof->counted = proof->counted || tpm_is_guarded(key);
    return result == HX_E_PIN ? 0 : result;
}

static int ask_all(struct tpm_token *token, struct proof *proof, bool guarded)
{
    TPM2_HANDLE handles[TPM_PERSISTENT_MAX];
    size_t count;
    int result = tpm_handles(token, TPM_PERSISTENT_FIRST, handles, TPM_PERSISTENT_MAX, &count);

    for (size_t i = 0; !result && i < count && !proof->right && !proof->counted; i++) {
        struct tpm_key *key;

        if ((result = tpm_key_listed(token, handles[i], &key)))
            break;
        if (is_asked(token, key, guarded))
            result = ask(token, key, proof);
        tpm_key_release(token, key);
    }
    return result;
}

/* Keys may have different ones: those first that are asked for nothing, then one at most that counts. */
static int prove(struct tpm_token *token, const void *pin, size_t len)
{
    struct proof proof = { .pin = pin, .len = len };
    int result = ask_all(token, &proof, false);

    if (!result && !proof.right)
        result = ask_all(token, &proof, true);
    if (!result && proof.refused && !proof.right)
        result = hx_fail(token->host, HX_E_PIN, "try the PIN: the auth value (PIN) of the keys is another");
    return result;
}

int tpm_token_login(struct tpm_token *token, const void *pin, size_t len)
{
    int result = len > sizeof token->auth.buffer ? tpm_auth_too_long(token) : prove(token, pin, len);

    token->unborn = false;
    if (result)
        return result;
    token->auth = (TPM2B_AUTH){ .size = (UINT16)len };
    if (len)
        memcpy(token->auth.buffer, pin, len);
    token->logged_in = true;
    return 0;
}
