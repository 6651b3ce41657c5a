/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that use a TPM without a resource manager take turns, where one of them keeps objects in its few slots from
 * one command to the next, or takes out those of others. */
#ifndef TPM_TURN_H
#define TPM_TURN_H

#include "tpm.h"

/* Waits for it some seconds at most: who has it that long may hang, or mean harm.  They nest. */
void tpm_turn_take(struct tpm *);
void tpm_turn_give(struct tpm *);

/* With the connection; the last one takes the lock's files away. */
void tpm_turn_end(struct tpm *);

/* In a child: a turn that was under way is the parent's. */
void tpm_turn_forked(struct tpm *inherited);

#endif
