/* SPDX-License-Identifier: Apache-2.0 */
/* What a provisioning service sends to a TPM whose endorsement key it knows: an HMAC key that this TPM alone can
 * unwrap, made in software, right or wrong in a chosen way. */
#ifndef TPM_BLOB_H
#define TPM_BLOB_H

#include <hsmux/types.h>

/* The parts, in their order; each begins with its size, 2 bytes. */
enum tpm_blob_part {
    TPM_BLOB_CREDENTIAL, /* TPM2B_ID_OBJECT: the inner key, for the EK, bound to the SRK's name */
    TPM_BLOB_CREDENTIAL_SEED, /* TPM2B_ENCRYPTED_SECRET to the EK, "IDENTITY" */
    TPM_BLOB_DUPLICATE, /* TPM2B_PRIVATE: the HMAC key, wrapped with the inner key, and that for the SRK */
    TPM_BLOB_DUPLICATE_SEED, /* TPM2B_ENCRYPTED_SECRET to the SRK, "DUPLICATE" */
    TPM_BLOB_PUBLIC, /* TPM2B_PUBLIC of the HMAC key */
    TPM_BLOB_REST, /* of the service's own */
    TPM_BLOB_PARTS,
};

/* Each is whole and authentic but for the one thing; what is damaged on its way is for the caller to damage. */
enum tpm_blob_fault {
    TPM_BLOB_GOOD,
    TPM_BLOB_OTHER_NAME, /* the credential is for another key than the SRK */
    TPM_BLOB_SHORT_INNER, /* the inner key has 8 bytes */
    TPM_BLOB_LONG_INNER, /* or 32, as of AES-256 */
    TPM_BLOB_OTHER_INNER, /* the inner key in the credential is another one */
    TPM_BLOB_NO_INNER, /* there is an outer wrap only */
    TPM_BLOB_INNER_INTEGRITY, /* the hash within the inner wrap is wrong */
    TPM_BLOB_UNIQUE, /* the public area belongs to another key */
    TPM_BLOB_FIXED, /* it says that the key has never left its TPM */
    TPM_BLOB_SEALED, /* it is sealed data, no key */
    TPM_BLOB_SHA1, /* it is a key for HMAC with SHA-1 */
    TPM_BLOB_RESTRICTED, /* the key makes HMACs of the TPM's own words only */
    TPM_BLOB_POLICY, /* no auth value will do for it */
    TPM_BLOB_AUTH, /* it has an auth value */
    TPM_BLOB_FAULTS,
};

struct tpm_blob_order {
    struct hx_buf ek, srk; /* TPM2B_PUBLIC of RSA-2048, SHA-256, AES-128-CFB */
    struct hx_buf key; /* 64 bytes at most */
    struct hx_buf rest; /* without its size */
    enum tpm_blob_fault fault;
};

struct tpm_blob {
    unsigned char data[4096];
    size_t len;
    size_t start[TPM_BLOB_PARTS + 1]; /* of each part; the last: len */
    unsigned char inner[16]; /* the inner key, which the service tells nobody else */
};

/* 0, or -1: the EK or SRK is none, the key is too long, or libcrypto failed. */
int tpm_blob_make(const struct tpm_blob_order *, struct tpm_blob *ret);

/* "good", "other-name" and so on; NULL: no such fault. */
const char *tpm_blob_fault_name(int fault);

#endif
