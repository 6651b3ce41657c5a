/* SPDX-License-Identifier: Apache-2.0 */
/* What the TPM tells of itself (TPM2_GetCapability, TPM 2.0 Part 3 §30.2). */
#include "token.h"

#include <string.h>

static int get(struct tpm_token *token, TPM2_CAP cap, uint32_t first, uint32_t count, TPMI_YES_NO *ret_more,
               TPMS_CAPABILITY_DATA **ret)
{
    ESYS_CONTEXT *esys = token->tpm->esys;
    TSS2_RC rc = Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, cap, first, count, ret_more, ret);

    if (tpm_restarted(token, rc))
        rc = Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, cap, first, count, ret_more, ret);
    return rc ? tpm_fail(token, rc, "look at it") : 0;
}

int tpm_lockout(struct tpm_token *token, struct tpm_lockout *ret)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    struct tpm_lockout state = { 0 };
    TPMI_YES_NO more;
    int result = get(token, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_PERMANENT,
                     TPM2_PT_LOCKOUT_RECOVERY - TPM2_PT_PERMANENT + 1, &more, &data);

    if (result)
        return result;
    for (uint32_t i = 0; i < data->data.tpmProperties.count; i++) {
        const TPMS_TAGGED_PROPERTY *property = &data->data.tpmProperties.tpmProperty[i];

        switch (property->property) {
        case TPM2_PT_PERMANENT:
            state.locked = property->value & TPMA_PERMANENT_INLOCKOUT;
            break;
        case TPM2_PT_LOCKOUT_COUNTER:
            state.failures = property->value;
            break;
        case TPM2_PT_MAX_AUTH_FAIL:
            state.most = property->value;
            break;
        case TPM2_PT_LOCKOUT_INTERVAL:
            state.seconds = property->value;
            break;
        }
    }
    Esys_Free(data);
    state.locked = state.locked && state.most; /* one that has failed its self-test tells no numbers, and lies */
    *ret = state;
    return 0;
}

int tpm_property(struct tpm_token *token, TPM2_PT property, uint32_t *ret)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;
    int result = get(token, TPM2_CAP_TPM_PROPERTIES, property, 1, &more, &data);

    if (result)
        return result;
    if (data->data.tpmProperties.count != 1 || data->data.tpmProperties.tpmProperty[0].property != property)
        result = HX_E_NOT_FOUND;
    else
        *ret = data->data.tpmProperties.tpmProperty[0].value;
    Esys_Free(data);
    return result;
}

int tpm_handles(struct tpm_token *token, TPM2_HANDLE first, TPM2_HANDLE *ret, size_t max, size_t *ret_count)
{
    TPMI_YES_NO more = TPM2_YES;
    size_t count = 0;

    while (more && count < max) {
        TPMS_CAPABILITY_DATA *data = NULL;
        int result = get(token, TPM2_CAP_HANDLES, first, (uint32_t)(max - count), &more, &data);
        const TPML_HANDLE *handles = result ? NULL : &data->data.handles;

        if (result)
            return result;
        for (uint32_t i = 0; i < handles->count && count < max; i++)
            ret[count++] = handles->handle[i];
        if (!handles->count || handles->handle[handles->count - 1] == UINT32_MAX)
            more = TPM2_NO;
        else
            first = handles->handle[handles->count - 1] + 1;
        Esys_Free(data);
    }
    *ret_count = count;
    return 0;
}

bool tpm_has_handle(struct tpm_token *token, TPM2_HANDLE handle, int *ret_result)
{
    TPM2_HANDLE found = 0;
    size_t count = 0;

    *ret_result = tpm_handles(token, handle, &found, 1, &count);
    return !*ret_result && count == 1 && found == handle;
}
