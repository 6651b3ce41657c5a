/* SPDX-License-Identifier: Apache-2.0 */
/* Handles that have a meaning by themselves (TCG Registry of Reserved TPM 2.0 Handles, and Azure's for its key). */
#include "label.h"

#include <stdio.h>
#include <string.h>

static const struct {
    TPM2_HANDLE handle;
    uint32_t kind, flags;
    const char *label;
} reserved[] = {
    { TPM_HANDLE_SRK, HX_PRIVATE_KEY, HX_RESTRICTED, "srk" },
    { TPM_HANDLE_EK, HX_PRIVATE_KEY, HX_RESTRICTED, "ek" },
    { TPM_HANDLE_IDENTITY, HX_SECRET_KEY, 0, "identity" },
};
#define RESERVED (sizeof reserved / sizeof *reserved)

bool tpm_label_of(struct tpm_token *token, const struct tpm_key *key, char ret[TPM_LABEL_SIZE])
{
    struct hx_object info;

    (void)token;
    if (!tpm_public_facts(&key->public.publicArea, &info))
        return false;
    for (size_t i = 0; i < RESERVED; i++)
        if (reserved[i].handle == key->handle && reserved[i].kind == info.kind &&
            (info.flags & reserved[i].flags) == reserved[i].flags) {
            snprintf(ret, TPM_LABEL_SIZE, "%s", reserved[i].label);
            return true;
        }
    return false;
}

bool tpm_label_may_be(struct tpm_token *token, TPM2_HANDLE handle, const char *label)
{
    (void)token;
    for (size_t i = 0; i < RESERVED; i++)
        if (reserved[i].handle == handle && !strcmp(reserved[i].label, label))
            return true;
    return false;
}
