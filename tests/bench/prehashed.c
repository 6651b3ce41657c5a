/* SPDX-License-Identifier: Apache-2.0 */
/* See prehashed.h. */
#include "prehashed.h"

#include "measure.h"

#include <openssl/rsa.h>
#include <openssl/store.h>
#include <string.h>

EVP_PKEY *prehashed_key(OSSL_LIB_CTX *libctx, const char *where)
{
    OSSL_STORE_CTX *store;
    EVP_PKEY *key = NULL;

    if (strncmp(where, "handle:", 7) != 0)
        return load_pem(libctx, where);
    store = OSSL_STORE_open_ex(where, libctx, "?provider=tpm2", NULL, NULL, NULL, NULL, NULL);
    while (store && !key && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (info)
            key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    if (!key)
        give_up("cannot load", where);
    return key;
}

void prehashed_sign(OSSL_LIB_CTX *libctx, EVP_PKEY *key)
{
    static const unsigned char digest[32] = "what is signed while it is timed";
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);
    unsigned char sig[1024];
    size_t len = sizeof sig;

    if (!ctx || EVP_PKEY_sign_init(ctx) != 1 ||
        (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1) ||
        EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) != 1 ||
        EVP_PKEY_sign(ctx, sig, &len, digest, sizeof digest) != 1)
        give_up("cannot sign with a key of type", EVP_PKEY_get0_type_name(key));
    EVP_PKEY_CTX_free(ctx);
}
