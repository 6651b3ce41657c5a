/* SPDX-License-Identifier: Apache-2.0 */
/* Object slots of a TPM without a resource manager.  There are three or so for everybody; those of a killed process
 * stay taken, and even a persistent key wants one for a moment. */
#ifndef TPM_ROOM_H
#define TPM_ROOM_H

#include "token.h"

/* Runs a step that wants slots.  Where it finds none free, another program's object is saved, the step is run again,
 * and the object gets back to its handle.  A step that failed has no object of its own loaded any more.  Within
 * another such step it is just run: the outer one is what runs again.  HX_E_BUSY: there is no room to be made. */
typedef int tpm_step(struct tpm_token *, void *arg);
int tpm_with_room(struct tpm_token *, tpm_step *, void *arg);

#endif
