/* SPDX-License-Identifier: Apache-2.0 */
/* libcrypto, in a library context of the plugin's own: the application's might lead a call back into our provider. */
#ifndef TPM_CRYPTO_H
#define TPM_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <tss2/tss2_tpm2_types.h>

#define TPM_ID 20

/* The id of what lies in a file: a hash of its label. */
bool tpm_label_id(const char *label, unsigned char ret[TPM_ID]);

/* The Name of an object with this public area (TPM 2.0 Part 1 §16). */
bool tpm_public_name(const TPM2B_PUBLIC *, TPM2B_NAME *ret);

bool tpm_sha256(const void *data, size_t len, unsigned char ret[TPM2_SHA256_DIGEST_SIZE]);

#define TPM_AES 16 /* bytes of a key */
bool tpm_random_key(unsigned char ret[TPM_AES]);
/* AES-128-CFB with an initial vector of zeroes, in place. */
bool tpm_aes_cfb(const unsigned char key[TPM_AES], unsigned char *data, size_t len);

void tpm_crypto_forked(void); /* in a child: the parent's context is left alone */

#endif
