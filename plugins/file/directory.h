/* SPDX-License-Identifier: Apache-2.0 */
/* The directory itself: where it is, whether it may be believed, its files, its lock. */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include "token.h"

#include <dirent.h>
#include <sys/stat.h>

/* The option, or the usual place; absolute and without links as far as it exists.  *ret: for free(). */
int directory_path(const struct hx_host *, char **ret);

/* Opens it and checks owner and mode.  HX_E_NOT_FOUND: there is none; with create, it is made. */
int directory_open(struct token *, bool create, int *ret_fd);

/* A directory that does not exist is an empty token. */
int directory_missing(struct token *, bool *ret);

/* The names in it that are ours, sorted.  *ret: for directory_free_names(). */
int directory_names(struct token *, int dir, struct dirent ***ret, size_t *ret_count);
void directory_free_names(struct dirent **, size_t count);

/* Reads a whole regular file, plus a NUL.  *ret: for directory_wipe(). */
int directory_read(struct token *, int dir, const char *file, unsigned char **ret, size_t *ret_len,
                   struct stat *ret_stat);
void directory_wipe(unsigned char *, size_t len);

/* A key or secret file must be ours or root's, and nobody else's to read. */
int directory_check_secret(struct token *, const char *file, const struct stat *);

/* One writer at a time, threads and processes alike; HX_E_BUSY after two seconds.  Made if there is none. */
int directory_lock(struct token *, int *ret_dir);
void directory_unlock(int dir);

/* The result for an errno, with "what 'path/file': why" as its reason; file may be NULL. */
int directory_error(const struct token *, int error, const char *what, const char *file);

#endif
