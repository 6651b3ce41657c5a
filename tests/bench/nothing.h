/* SPDX-License-Identifier: Apache-2.0 */
/* A provider that does nothing: what is left is OpenSSL's own share of a signature. */
#ifndef BENCH_NOTHING_H
#define BENCH_NOTHING_H

#include <openssl/evp.h>

/* The provider's name is "nothing"; keys of type "EC" and "RSA". */
void nothing_load(OSSL_LIB_CTX *);
EVP_PKEY *nothing_key(OSSL_LIB_CTX *, const char *type);

#endif
