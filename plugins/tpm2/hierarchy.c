/* SPDX-License-Identifier: Apache-2.0 */
/* A hierarchy's auth value, which the section of the token sets.  Wrong ones do not count towards lockout. */
#include "token.h"

#include <string.h>

int tpm_hierarchy_auth(struct tpm_token *token, ESYS_TR hierarchy, const char *option)
{
    const char *value = token->host->option(token->host, option);
    size_t len = value ? strlen(value) : 0;
    TPM2B_AUTH auth = { .size = (UINT16)len };
    TSS2_RC rc;

    if (len > sizeof auth.buffer)
        return hx_fail(token->host, HX_E_CONFIG, "%s is longer than a TPM's auth values, which have %zu bytes at most",
                       option, sizeof auth.buffer);
    if (len)
        memcpy(auth.buffer, value, len);
    rc = Esys_TR_SetAuth(token->tpm->esys, hierarchy, &auth);
    explicit_bzero(&auth, sizeof auth);
    return rc ? tpm_fail(token, rc, option) : 0;
}
