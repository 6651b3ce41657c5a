/* SPDX-License-Identifier: Apache-2.0 */
/* RSA decryption on the token: OAEP, and PKCS#1 v1.5 where the administrator allowed it. */
#ifndef ASYMCIPHER_H
#define ASYMCIPHER_H

#include <openssl/core.h>

extern const OSSL_DISPATCH asymcipher_functions[];

#endif
