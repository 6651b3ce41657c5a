/* SPDX-License-Identifier: Apache-2.0 */
/* One signature, and whether it is right. */
#include "signer.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

EVP_PKEY *signer_public(hx_key *key)
{
    struct hx_bytes spki = { NULL, 0 };
    if (hx_key_public(key, &spki))
        return NULL;
    const unsigned char *p = spki.data;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &p, (long)spki.len);
    hx_bytes_free(&spki);
    return public;
}

int signer_sign(hx_key *key, unsigned number, EVP_PKEY *public)
{
    static const struct hx_alg ecdsa = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    unsigned char digest[32] = { 0 };
    struct hx_bytes signature = { NULL, 0 };
    memcpy(digest, &number, sizeof number);
    int result = hx_sign(key, &ecdsa, digest, sizeof digest, &signature);
    if (!result && public) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(public, NULL);
        if (EVP_PKEY_verify_init(ctx) <= 0 ||
            EVP_PKEY_verify(ctx, signature.data, signature.len, digest, sizeof digest) != 1)
            result = HX_E_DEVICE;
        EVP_PKEY_CTX_free(ctx);
    }
    if (result)
        fprintf(stderr, "process %d: %s\n", (int)getpid(), hx_last_error());
    hx_bytes_free(&signature);
    return result;
}
