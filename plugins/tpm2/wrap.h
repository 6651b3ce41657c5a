/* SPDX-License-Identifier: Apache-2.0 */
/* The inner wrap of a key that is imported (TPM 2.0 Part 1 §23.3.2.2), AES-128-CFB: what goes over the bus is encrypted
 * with a key that goes there encrypted itself. */
#ifndef TPM_WRAP_H
#define TPM_WRAP_H

#include <stdbool.h>
#include <tss2/tss2_tpm2_types.h>

/* public: complete, with SHA-256 for its Name.  Both are for wiping, unless it is false: out of memory. */
bool tpm_wrap(const TPM2B_PUBLIC *, const TPM2B_SENSITIVE *, TPM2B_DATA *ret_key, TPM2B_PRIVATE *ret);

#endif
