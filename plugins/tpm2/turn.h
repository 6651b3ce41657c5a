/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that use a TPM without a resource manager take turns, where one of them keeps objects in its few slots from
 * one command to the next, or takes out those of others. */
#ifndef TPM_TURN_H
#define TPM_TURN_H

#include "tpm.h"

/* Waits for it a second at most: who has it that long may hang, or mean harm.  They nest. */
void tpm_turn_take(struct tpm *);
void tpm_turn_give(struct tpm *);

#endif
