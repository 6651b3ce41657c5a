/* SPDX-License-Identifier: Apache-2.0 */
/* A host that keeps the reason of a failure to itself: what is wrong with one file must not hide the others. */
#ifndef TPM_QUIET_H
#define TPM_QUIET_H

#include <hsmux/plugin.h>

struct tpm_quiet {
    struct hx_host host; /* first; it has no options */
    char reason[768];
};

void tpm_quiet_init(struct tpm_quiet *);

#endif
