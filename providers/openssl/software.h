/* SPDX-License-Identifier: Apache-2.0 */
/* Everything public is computed by OpenSSL's default provider, in a library context of our own: one fetched from the
 * application's would come back to us. */
#ifndef SOFTWARE_H
#define SOFTWARE_H

#include "provider.h"

#include <openssl/bio.h>
#include <openssl/evp.h>

struct digest {
    struct digest *next;
    EVP_MD *md;
    int nid;
    uint32_t hash; /* enum hx_hash; 0: one that tokens do not know */
    size_t size;
    char name[]; /* as the application called it */
};

/* Changes when the process forks: what has locks and was made before belongs to the parent. */
unsigned software_generation(void);

/* The private library context; NULL: out of memory. */
OSSL_LIB_CTX *software_libctx(struct provider *);

/* A digest by any of its names, fetched once and kept; NULL with the reason raised. */
const struct digest *software_digest(struct provider *, const char *name);

/* Our libcrypto's view of a BIO of the application's libcrypto. */
BIO *software_bio(struct provider *, OSSL_CORE_BIO *);

void software_free(struct software *);

#endif
