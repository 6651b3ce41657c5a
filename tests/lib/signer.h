/* SPDX-License-Identifier: Apache-2.0 */
/* Signing with a P-256 key and verifying by libcrypto, for programs that do so from many threads or processes. */
#ifndef SIGNER_H
#define SIGNER_H

#include <hsmux/hsmux.h>
#include <openssl/evp.h>

/* NULL on failure; for EVP_PKEY_free(). */
EVP_PKEY *signer_public(hx_key *);

/* Signs a digest made of number; with public, verifies.  Says on stderr what failed. */
int signer_sign(hx_key *, unsigned number, EVP_PKEY *public);

#endif
