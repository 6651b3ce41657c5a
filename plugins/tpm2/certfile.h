/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates in PEM files, as they are in a token's directory. */
#ifndef TPM_CERTFILE_H
#define TPM_CERTFILE_H

#include "object.h"

/* certstore.c: writes LABEL.pem, or puts it in the place of the one in the file, which holds a certificate of that
 * label ("FILE" or "FILE#n"; NULL: there is none).  The file's mode stays. */
int tpm_certfile_store(struct tpm_token *, const char *label, const char *member, const void *der, size_t len,
                       char ret_ref[TPM_REF_SIZE]);
int tpm_certfile_remove(struct tpm_token *, uint32_t kind, const char *rest);

/* "FILE", or "FILE#n" for all but the first certificate in it. */
bool tpm_certfile_parse_ref(const char *rest, char ret_file[TPM_REF_SIZE], size_t *ret_index);

/* Is it called as a file of certificates is?  And what label that gives. */
bool tpm_certfile_label(const char *file, char ret[TPM_REF_SIZE]);

#endif
