/* SPDX-License-Identifier: Apache-2.0 */
/* A directory whose files are read whole and written whole.  What others could have written is not believed. */
#ifndef TPM_DIRECTORY_H
#define TPM_DIRECTORY_H

#include <dirent.h>
#include <hsmux/plugin.h>
#include <stdbool.h>
#include <sys/types.h>

struct tpm_directory {
    const struct hx_host *host;
    const char *path; /* the caller's: it outlives this */
    int fd;
    int lock; /* -1: it is not locked */
};

/* HX_E_NOT_FOUND: there is none, or none that this user can get at: it is empty.  *ret: for tpm_directory_close(). */
int tpm_directory_open(const struct hx_host *, const char *path, struct tpm_directory *ret);
void tpm_directory_close(struct tpm_directory *);

/* The files in it, sorted, without those that begin with a dot.  *ret: for tpm_directory_free_names(). */
int tpm_directory_names(const struct tpm_directory *, struct dirent ***ret, size_t *ret_count);
void tpm_directory_free_names(struct dirent **, size_t count);

/* Reads a whole regular file, plus a NUL; secret: nobody else may read it.  HX_E_NOT_FOUND.  *ret: for free(). */
int tpm_directory_read(const struct tpm_directory *, const char *file, bool secret, unsigned char **ret,
                       size_t *ret_len);

/* The result for an errno, with "cannot what 'path/file': why" as its reason; file may be NULL. */
int tpm_directory_error(const struct tpm_directory *, int error, const char *what, const char *file);

/* write.c: opened for one writer at a time, threads and processes alike; made if there is none.  HX_E_BUSY after two
 * seconds.  What crashed writers left behind is removed. */
int tpm_directory_lock(const struct hx_host *, const char *path, struct tpm_directory *ret);

/* Under the lock.  The old file is there or the new one, whenever it stops.  HX_E_EXISTS: there is one already, and
 * replace is false. */
int tpm_directory_write(const struct tpm_directory *, const char *file, mode_t mode, const void *data, size_t len,
                        bool replace);
int tpm_directory_remove(const struct tpm_directory *, const char *file); /* HX_E_NOT_FOUND */

#endif
