/* SPDX-License-Identifier: Apache-2.0 */
/* See primary.h (TPM2_CreatePrimary, TPM 2.0 Part 3 §24.1).  It takes a slot, and what is made or loaded below it
 * another: all that a resource manager may have left. */
#include "primary.h"

#include "slot.h"

int tpm_primary_make(struct tpm_token *token, ESYS_TR hierarchy, const TPM2B_PUBLIC *template, ESYS_TR *ret,
                     TPM2B_PUBLIC *ret_public)
{
    static const TPM2B_SENSITIVE_CREATE no_auth;
    static const TPM2B_DATA no_data;
    static const TPML_PCR_SELECTION no_pcrs;
    const char *option = hierarchy == ESYS_TR_RH_OWNER ? "owner-auth" : "endorsement-auth";
    TPM2B_PUBLIC *public = NULL;
    ESYS_TR session;
    int result = tpm_hierarchy_auth(token, hierarchy, option);
    TSS2_RC rc;

    if (result || (result = tpm_session(token, &session)))
        return result;
    tpm_slots_clear(token);
    rc = Esys_CreatePrimary(token->tpm->esys, hierarchy, session, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, template,
                            &no_data, &no_pcrs, ret, &public, NULL, NULL, NULL);
    if (rc)
        return tpm_fail_hierarchy(token, rc, "make a primary key", option);
    *ret_public = *public;
    Esys_Free(public);
    return 0;
}
