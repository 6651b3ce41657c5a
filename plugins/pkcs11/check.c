/* SPDX-License-Identifier: Apache-2.0 */
/* Is an open token still where it was?  Cards are swapped in their reader, and directories moved away. */
#include "error.h"
#include "fork.h"
#include "softhsm.h"

/* SoftHSM says CKR_GENERAL_ERROR of one that it cannot read.  A blank token may have been given its names since. */
int p11_token_check(struct p11_token *token, CK_TOKEN_INFO *ret)
{
    CK_TOKEN_INFO info;
    CK_RV rv;

    p11_gate_enter();
    rv = p11_token_info(token->fn, token->slot, &info);
    p11_gate_leave();
    if (rv == CKR_GENERAL_ERROR && token->softhsm)
        return hx_fail(token->host, HX_E_LOST, "SoftHSM cannot read token '%s' any more%s", token->label,
                       p11_rights_advice());
    if (rv != CKR_OK)
        return p11_fail(token->host, token->label, "C_GetTokenInfo", rv);
    if ((token->label[0] || token->serial[0]) && !p11_token_is(token, &info))
        return hx_fail(token->host, HX_E_LOST, "another token is in the place of '%s' (serial %s)", token->label,
                       token->serial);
    if (ret)
        *ret = info;
    return 0;
}
