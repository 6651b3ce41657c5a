/* SPDX-License-Identifier: Apache-2.0 */
/* Which directories hold what a TPM does not: labels, certificates, sealed data. */
#ifndef TPM_PLACES_H
#define TPM_PLACES_H

#include <hsmux/plugin.h>

#define TPM_PLACES 2

struct tpm_places {
    char *write; /* NULL: this user has none, and reads the system's only */
    char *read[TPM_PLACES]; /* what stands first counts first; NULL: no more */
};

/* The option 'directory' alone; without it the system's, and for others than root their own before it.  Nothing of it
 * need exist. */
int tpm_places_find(const struct hx_host *, struct tpm_places *ret);
void tpm_places_free(struct tpm_places *);

/* The place to write to; HX_E_CONFIG says why there is none. */
int tpm_places_writable(const struct hx_host *, const struct tpm_places *, const char **ret);

#endif
