/* SPDX-License-Identifier: Apache-2.0 */
/* The PIN of one operation, for keys with CKA_ALWAYS_AUTHENTICATE. */
#ifndef P11_AUTHORISE_H
#define P11_AUTHORISE_H

#include "object.h"

/* After C_SignInit or C_DecryptInit in that session: sends the PIN if the key wants one. */
CK_RV p11_authorise_session(struct p11_session *, struct p11_object *);

/* The operation is over: wipes the PIN. */
void p11_authorise_over(struct p11_object *);

#endif
