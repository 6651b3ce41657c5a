/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's own library context of libcrypto. */
#ifndef CRYPTO_H
#define CRYPTO_H

#include <openssl/types.h>

/* Made on first use, anew after fork(); NULL: out of memory, and nobody may pass that on, for it would mean the
 * application's context, in which our own provider may live. */
OSSL_LIB_CTX *crypto_context(void);

/* In a child: what the parent made is put aside, since a thread that is no more may hold its locks. */
void crypto_forked(void);

/* What libcrypto last complained of, in words; lives for ever. */
const char *crypto_reason(void);

#endif
