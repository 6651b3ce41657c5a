/* SPDX-License-Identifier: Apache-2.0 */
/* See wrap.h. */
#include "wrap.h"

#include "crypto.h"

#include <string.h>
#include <tss2/tss2_mu.h>

/* Integrity value and sensitive area, each with its size in front, encrypted together. */
static bool encrypt(const TPM2B_DATA *key, const TPM2B_NAME *name, const unsigned char *secret, size_t secret_len,
                    TPM2B_PRIVATE *ret)
{
    unsigned char hashed[sizeof(TPM2B_SENSITIVE) + sizeof(TPMU_NAME)];
    unsigned char *at = ret->buffer;
    bool ok;

    memcpy(hashed, secret, secret_len);
    memcpy(hashed + secret_len, name->name, name->size);
    at[0] = 0;
    at[1] = TPM2_SHA256_DIGEST_SIZE;
    at += 2;
    ok = tpm_sha256(hashed, secret_len + name->size, at);
    explicit_bzero(hashed, sizeof hashed);
    at += TPM2_SHA256_DIGEST_SIZE;
    memcpy(at, secret, secret_len);
    ret->size = (UINT16)((size_t)(at - ret->buffer) + secret_len);
    return ok && tpm_aes_cfb(key->buffer, ret->buffer, ret->size);
}

bool tpm_wrap(const TPM2B_PUBLIC *public, const TPM2B_SENSITIVE *sensitive, TPM2B_DATA *ret_key, TPM2B_PRIVATE *ret)
{
    unsigned char secret[sizeof(TPM2B_SENSITIVE)];
    TPM2B_NAME name;
    size_t len = 0;
    bool ok;

    *ret_key = (TPM2B_DATA){ .size = TPM_AES };
    ok = !Tss2_MU_TPM2B_SENSITIVE_Marshal(sensitive, secret, sizeof secret, &len) &&
         len + 2 + TPM2_SHA256_DIGEST_SIZE <= sizeof ret->buffer && tpm_public_name(public, &name) &&
         tpm_random_key(ret_key->buffer) && encrypt(ret_key, &name, secret, len, ret);
    explicit_bzero(secret, sizeof secret);
    if (!ok)
        explicit_bzero(ret, sizeof *ret);
    return ok;
}
