/* SPDX-License-Identifier: Apache-2.0 */
/* CK_RV: its name, what it means to the core, and whether the session it came from is worth keeping. */
#ifndef P11_ERROR_H
#define P11_ERROR_H

#include <hsmux/plugin.h>
#include <p11-kit/pkcs11.h>
#include <stdbool.h>

/* Says what is wrong with a PIN in words, of all else "function on 'where': CKR_..." and returns the enum hx_result for
 * it; never 0, CKR_OK counts as a failure. */
int p11_fail(const struct hx_host *, const char *where, const char *function, CK_RV);

/* The enum hx_result for it, without a word. */
int p11_result(CK_RV);

/* The name of a CK_RV, or NULL for one that PKCS#11 v2.40 does not know. */
const char *p11_rv_name(CK_RV);

/* After this the session must not be used again. */
bool p11_session_is_dead(CK_RV);

/* After this every session of the process on that token is gone, and its handle may already be another's. */
bool p11_sessions_are_gone(CK_RV);

#endif
