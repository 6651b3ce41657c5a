/* SPDX-License-Identifier: Apache-2.0 */
/* DigestInfo (RFC 8017 §9.2): a digest and which hash it is of, as PKCS#1 v1.5 signs them. */
#ifndef TPM_DIGESTINFO_H
#define TPM_DIGESTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpm_digest_info {
    uint32_t hash; /* enum hx_hash */
    unsigned char der[96], digest[64];
    size_t len, digest_len;
};

/* false: the hash is unknown, or the digest not as long as its. */
bool tpm_digest_info_make(uint32_t hash, const void *digest, size_t len, struct tpm_digest_info *ret);

/* false: it is something else. */
bool tpm_digest_info_parse(const void *der, size_t len, struct tpm_digest_info *ret);

#endif
