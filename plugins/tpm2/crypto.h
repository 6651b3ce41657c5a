/* SPDX-License-Identifier: Apache-2.0 */
/* libcrypto, in a library context of the plugin's own: the application's might lead a call back into our provider. */
#ifndef TPM_CRYPTO_H
#define TPM_CRYPTO_H

#include <stdbool.h>
#include <tss2/tss2_tpm2_types.h>

#define TPM_ID 20

/* The id of what lies in a file: a hash of its label. */
bool tpm_label_id(const char *label, unsigned char ret[TPM_ID]);

/* The Name of an object with this public area (TPM 2.0 Part 1 §16). */
bool tpm_public_name(const TPM2B_PUBLIC *, TPM2B_NAME *ret);

void tpm_crypto_forked(void); /* in a child: the parent's context is left alone */

#endif
