/* SPDX-License-Identifier: Apache-2.0 */
/* What fork() does to a module: no call is under way when it happens, and the child starts from nothing. */
#ifndef P11_FORK_H
#define P11_FORK_H

#include <stdbool.h>

/* Every use of a module lies between these two; they nest.  fork() waits for the last to leave, since a lock that
 * another thread holds inside the module would stay locked in the child for ever. */
void p11_gate_enter(void);
void p11_gate_leave(void);

/* The other side: nobody else is inside until p11_gate_open().  false: the caller is inside itself, or somebody else is
 * and does not come out, as where a device hangs. */
bool p11_gate_close(void);
void p11_gate_open(void);

/* Registers the handlers, once a process. */
void p11_fork_watch(void);

/* Grows with each fork() on the way down to this process: what was opened under another number is a parent's. */
unsigned p11_generation(void);

/* The plugin's forked(). */
void p11_forked(void);

#endif
