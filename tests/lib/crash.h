/* SPDX-License-Identifier: Apache-2.0 */
/* Stops the process at the n-th call that could matter to a file, as a power cut would, or has that call fail, as a bad
 * disk would; for --wrap. */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>

#define CRASHED 77 /* the exit status */

/* n counts from 1; 0: never.  A write() that is stopped has written half. */
void crash_at(int n);
void crash_fail_at(int n); /* that call does nothing and fails with EIO instead; close() still closes */
int crash_calls(void); /* how many there were since crash_at() or crash_fail_at() */

/* As on a file system that knows no RENAME_NOREPLACE. */
extern bool crash_no_renameat2;

#endif
