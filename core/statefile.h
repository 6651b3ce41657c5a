/* SPDX-License-Identifier: Apache-2.0 */
/* The file "refused" in the state directory, open: by its path, or, in a process that may not open it any more, as it
 * was opened ahead by root. */
#ifndef STATEFILE_H
#define STATEFILE_H

#include "cleanup.h"

#include <stdbool.h>

struct statefile {
    int fd; /* -1: not open */
    bool ahead; /* opened ahead: it stays open */
    long locked; /* the byte that is locked; -1: none */
};

/* Opens it; for writing, it is made if need be, and what is not ours gives way to a new one. */
bool statefile_open(bool write, struct statefile *ret);

/* Unlocks before it closes: a worker that was forked meanwhile has the same open file, and would keep the lock. */
void statefile_close(struct statefile *);
#define AUTO_STATEFILE CLEANUP(statefile_close)

/* Locks one byte, against other processes, and STATEFILE_CONTENT against other threads, too; for ms at most. */
#define STATEFILE_CONTENT 0
bool statefile_lock(struct statefile *, long byte, int ms);

/* From now on this is the file for this process and its children, whatever rights they lose; takes it over. */
void statefile_keep(struct statefile *);
bool statefile_is_kept(void);

#endif
