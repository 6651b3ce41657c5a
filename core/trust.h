/* SPDX-License-Identifier: Apache-2.0 */
/* May this file be loaded or believed?  By owner and mode of it and of every directory above it. */
#ifndef TRUST_H
#define TRUST_H

#include <hsmux/types.h>

/* A library to be loaded: it and each parent directory must belong to root or the running (effective) user and not be
 * writable by others; a sticky directory (/tmp) is allowed above one of our own.  *ret: its real path, to be
 * loaded instead of the given one, for free().  0, HX_E_NOT_FOUND, or HX_E_CONFIG with the chmod or chown that helps.
 */
int trust_library(const char *path, char **ret);

/* A file that holds a secret (what: "PIN file", "configuration"), already open: a regular file of root or the running
 * user that others can neither read nor write; the group may read it. */
int trust_secret(int fd, const char *path, const char *what);

/* Is it a file that others may read? */
int trust_readable_by_others(int fd);

#endif
