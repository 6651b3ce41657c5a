/* SPDX-License-Identifier: Apache-2.0 */
/* A key at work: its auth value, its slot, and the second try where the TPM has lost or has no room for it. */
#include "auth.h"

#include <string.h>

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
    return tpm_auth_result(token, key, auth, rc, what);
}

int tpm_use(struct tpm_token *token, struct tpm_key *key, tpm_command *command, void *arg, const char *what)
{
    TPM2B_AUTH auth;
    int result = tpm_auth_of(token, key, &auth);

    if (!result)
        result = run(token, key, &auth, command, arg, what);
    explicit_bzero(&auth, sizeof auth);
    return result;
}
