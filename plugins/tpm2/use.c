/* SPDX-License-Identifier: Apache-2.0 */
/* A key at work: its auth value, its slot, and the second try where the TPM has lost or has no room for it. */
#include "key.h"

#include <string.h>

/* A wrong auth value for such a key counts towards lockout (TPM 2.0 Part 1 §19.8). */
static bool is_guarded(const struct tpm_key *key)
{
    return !(key->public.publicArea.objectAttributes & TPMA_OBJECT_NODA);
}

/* May the empty auth value be tried on it?  Most keys have that one, and only trying tells.  While none counts as wrong
 * one try cannot lock a TPM; else the core shall say whether it was tried before. */
int tpm_check_empty(struct tpm_token *token, struct tpm_key *key)
{
    struct tpm_lockout state;
    int result;

    if (key->no_auth || token->logged_in || !is_guarded(key))
        return 0;
    if ((result = tpm_lockout(token, &state)))
        return result;
    if (!state.failures && !state.locked && state.most > 1)
        return 0;
    token->unproven = key;
    return hx_fail(token->host, HX_E_LOGIN, "whether the key's auth value is empty was not tried yet");
}

static int prepare_auth(struct tpm_token *token, struct tpm_key *key, TPM2B_AUTH *ret)
{
    *ret = (TPM2B_AUTH){ 0 };
    if (key->no_auth)
        return 0;
    if (!token->wants_pin && key->wants_auth)
        return hx_fail(token->host, HX_E_LOGIN, "the key wants an auth value");
    if (!token->wants_pin && !token->auth.size)
        return tpm_check_empty(token, key);
    if (!token->logged_in) {
        token->unproven = key;
        return hx_fail(token->host, HX_E_LOGIN, "the key's auth value is needed");
    }
    *ret = token->auth;
    return 0;
}

static int run(struct tpm_token *token, struct tpm_key *key, const TPM2B_AUTH *auth, tpm_command *command, void *arg,
               const char *what)
{
    struct tpm_use use = { .token = token, .esys = token->tpm->esys, .key = key->tr };
    int result = tpm_session(token, &use.session);
    TSS2_RC rc;

    if (result)
        return result;
    rc = Esys_TR_SetAuth(use.esys, use.key, auth);
    if (!rc)
        rc = command(&use, arg);
    if (rc)
        return tpm_fail(token, rc, what);
    key->no_auth = key->no_auth || !auth->size;
    return 0;
}

int tpm_use(struct tpm_token *token, struct tpm_key *key, tpm_command *command, void *arg, const char *what)
{
    TPM2B_AUTH auth;
    int result = prepare_auth(token, key, &auth);

    if (!result)
        result = run(token, key, &auth, command, arg, what);
    explicit_bzero(&auth, sizeof auth);
    return result;
}
