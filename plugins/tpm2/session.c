/* SPDX-License-Identifier: Apache-2.0 */
/* What authorises a command: the auth value as it is, which is right for a TPM in the same housing. */
#include "token.h"

int tpm_session(struct tpm_token *token, ESYS_TR *ret)
{
    (void)token;
    *ret = ESYS_TR_PASSWORD;
    return 0;
}
