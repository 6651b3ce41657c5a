/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of refused PINs: what outlives the process.  Holds salted, slow hashes only. */
#ifndef REFUSED_H
#define REFUSED_H

#include "statefile.h"

#include <stddef.h>

/* Root opens it while it can, for children that lose their rights; says nothing when that fails. */
void refused_ahead(void);

/* Waits, 10 s at most, while another process tries a PIN of this token; false: it has not come to an end.  With no
 * place to lock in, there is no waiting.  For statefile_close(), which lets the next one try. */
bool refused_lock(const char *serial, struct statefile *ret);

/* Was this PIN of this token written down?  *ret_kept: is there a file that could tell? */
bool refused_has(const char *serial, const void *pin, size_t len, bool *ret_kept);

/* Writes it down; false when there is no place for that. */
bool refused_add(const char *serial, const void *pin, size_t len);

/* Strikes it out. */
void refused_forget(const char *serial, const void *pin, size_t len);
void refused_forget_all(const char *serial); /* every PIN of this token */

#endif
