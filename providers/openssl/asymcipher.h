/* SPDX-License-Identifier: Apache-2.0 */
/* RSA decryption on the token: OAEP, and PKCS#1 v1.5 where the administrator allowed it. */
#ifndef ASYMCIPHER_H
#define ASYMCIPHER_H

#include "key.h"
#include "software.h"

extern const OSSL_DISPATCH asymcipher_functions[];

struct cipher {
    struct provider *provider;
    struct key *key;
    const struct digest *digest, *mgf_digest; /* OAEP's; NULL: not set; mgf_digest: the same as digest */
    unsigned char *label; /* OAEP's */
    size_t label_len;
    int padding; /* RSA_*_PADDING */
    unsigned client, negotiated; /* TLS versions; 0: not said */
};

/* Parameters (cipherparams.c). */
int cipher_set_params(void *cipher, const OSSL_PARAM params[]);
int cipher_get_params(void *cipher, OSSL_PARAM params[]);
const OSSL_PARAM *cipher_settable(void *cipher, void *provider);
const OSSL_PARAM *cipher_gettable(void *cipher, void *provider);

/* The token's private operation on a number below the modulus, both of size bytes, its width.  0: the reason is raised.
 * The answer is secret. */
int cipher_raw(struct key *, const unsigned char *number, size_t size, unsigned char *ret);

#endif
