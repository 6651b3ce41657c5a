/* SPDX-License-Identifier: Apache-2.0 */
/* The files of all places as if in one directory: one of the first place hides what has its name in another. */
#ifndef TPM_MERGED_H
#define TPM_MERGED_H

#include "directory.h"
#include "name.h"
#include "places.h"

struct tpm_merged {
    const struct hx_host *host;
    struct tpm_places places;
    struct tpm_directory directory[TPM_PLACES];
    size_t count; /* of those that exist */
};

int tpm_merged_open(const struct hx_host *, struct tpm_merged *ret); /* *ret is for tpm_merged_close() */
void tpm_merged_close(struct tpm_merged *);

/* Ends when fn returns other than 0, with that. */
typedef int tpm_file_fn(void *arg, const struct tpm_merged *, const char *file);
int tpm_merged_each(const struct tpm_merged *, tpm_file_fn *, void *arg);

/* As tpm_directory_read(), of the one that is not hidden. */
int tpm_merged_read(const struct tpm_merged *, const char *file, bool secret, unsigned char **ret, size_t *ret_len);
bool tpm_merged_has(const struct tpm_merged *, const char *file);

/* Locks the place to write to.  file: to take something of it away; NULL: to add something. */
int tpm_merged_lock(const struct tpm_merged *, const char *file, struct tpm_directory *ret);

/* The same, for a listing: one bad file must not fail it, so what is wrong with it is only logged.  false: go on with
 * the next one. */
bool tpm_merged_try(const struct tpm_merged *, const char *file, unsigned char **ret, size_t *ret_len);
void tpm_merged_warn(const struct tpm_merged *, const char *file, const char *wrong);

/* The path, for reasons; cut if it is too long. */
#define TPM_PATH_SIZE 512
const char *tpm_merged_path(const struct tpm_merged *, const char *file, char ret[TPM_PATH_SIZE]);

#endif
