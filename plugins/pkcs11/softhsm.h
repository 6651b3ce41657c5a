/* SPDX-License-Identifier: Apache-2.0 */
/* What SoftHSM does not see of a token while another process writes to it, and how to make it look again. */
#ifndef P11_SOFTHSM_H
#define P11_SOFTHSM_H

#include "token.h"

bool p11_is_softhsm(const CK_TOKEN_INFO *);

/* C_GetTokenInfo, asked again for a moment where the answer is that of a token just being written. */
CK_RV p11_token_info(CK_FUNCTION_LIST *, CK_SLOT_ID, CK_TOKEN_INFO *ret);

/* Starts each SoftHSM in reach anew that may be: no token of it is open here, and it holds none at all, or was
 * initialised by us a moment ago, so that nobody else in the process can have a session.  Was there one? */
bool p11_softhsm_restart(const struct hx_host *);

/* It reads the list of its tokens only when it is initialised, and never again one whose directory was moved, or closed
 * to this user, for a moment.  Starts that module anew, once a second at most, where this host asked it for a token
 * before and got it, or where it shows none at all.  Was there one? */
bool p11_softhsm_heal(const struct hx_host *, const char *serial);

/* The same as the first for the module of a token that nobody else uses, and finds the token's slot again. */
bool p11_softhsm_restart_under(struct p11_token *);

/* Does a login that failed so deserve another try?  SoftHSM said so before it looked at the PIN. */
bool p11_softhsm_unread(struct p11_token *, CK_RV);

/* Waits for try 0, 1, 2...: 5 ms, 10, 20 and so on. */
void p11_pause(unsigned try);

#endif
