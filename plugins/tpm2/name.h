/* SPDX-License-Identifier: Apache-2.0 */
/* Labels as words of a line and as file names: percent-encoded. */
#ifndef TPM_NAME_H
#define TPM_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define TPM_NAME_SIZE 256 /* NAME_MAX and a NUL */

/* false: it does not fit, or there is no label. */
bool tpm_name_encode(const char *label, char *ret, size_t size);
/* As long as the text at most; false: it is empty, or has a NUL in it. */
bool tpm_name_decode(const char *text, size_t len, char *ret);

/* "label" and ".pem" <-> "label.pem".  false: the name would be too long; it has another suffix, or begins with a dot.
 */
bool tpm_name_print(const char *label, const char *suffix, char ret[TPM_NAME_SIZE]);
bool tpm_name_parse(const char *file, const char *suffix, char ret_label[TPM_NAME_SIZE]);

#endif
