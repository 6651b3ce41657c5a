/* SPDX-License-Identifier: Apache-2.0 */
/* The slot of a key file's key.  Behind a resource manager it stays loaded; without one it has a slot only while it
 * works, since there are three or so for everybody. */
#ifndef TPM_SLOT_H
#define TPM_SLOT_H

#include "key.h"

/* Loads the key unless it is; one at a persistent handle always is. */
int tpm_slot_take(struct tpm_token *, struct tpm_key *);
/* After each operation. */
void tpm_slot_leave(struct tpm_token *, struct tpm_key *);
/* The TPM does not know it any more: it was reset, or somebody flushed the key. */
void tpm_slot_lost(struct tpm_token *, struct tpm_key *);

/* Frees the slots of this connection that keys stay in, since one has room for three objects only. */
void tpm_slots_clear(struct tpm_token *);

/* When a key file's key is no more wanted. */
void tpm_slot_drop(struct tpm_token *, struct tpm_key *);

#endif
