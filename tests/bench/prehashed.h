/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of a digest that is there already, by OpenSSL: tpm2-openssl would have the TPM hash a message. */
#ifndef BENCH_PREHASHED_H
#define BENCH_PREHASHED_H

#include <openssl/evp.h>

/* "handle:..." of tpm2-openssl, else a PEM file. */
EVP_PKEY *prehashed_key(OSSL_LIB_CTX *, const char *where);
void prehashed_sign(OSSL_LIB_CTX *, EVP_PKEY *);

#endif
