/* SPDX-License-Identifier: Apache-2.0 */
/* Files that come and go as a whole, a power cut notwithstanding.  All under directory_lock(). */
#ifndef WRITE_H
#define WRITE_H

#include "token.h"

/* Writes a file of mode 0600 under a temporary name, and renames.  HX_E_EXISTS: the name is taken, and replace is
 * false. */
int write_file(struct token *, int dir, const char *file, const void *data, size_t len, bool replace);
int write_remove(struct token *, int dir, const char *file);

/* Removes what crashed writers left behind; only they can have, since we hold the lock. */
void write_sweep(int dir);

#endif
