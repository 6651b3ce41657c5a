/* SPDX-License-Identifier: Apache-2.0 */
/* The file of refused PINs: what outlives the process.  Holds salted, slow hashes only. */
#ifndef REFUSED_H
#define REFUSED_H

#include <stdbool.h>
#include <stddef.h>

/* Waits, 10 s at most, while another process tries a PIN of this token.  For refused_unlock(), which lets the next one
 * try; -1: there is no directory to lock in; REFUSED_BUSY: the other one has not come to an end. */
enum { REFUSED_BUSY = -2 };
int refused_lock(const char *serial);
void refused_unlock(const int *fd); /* negative is allowed */

/* Was this PIN of this token written down?  *ret_kept: is there a file that could tell? */
bool refused_has(const char *serial, const void *pin, size_t len, bool *ret_kept);

/* Writes it down; false when no directory is writable. */
bool refused_add(const char *serial, const void *pin, size_t len);

/* Strikes it out. */
void refused_forget(const char *serial, const void *pin, size_t len);

#endif
