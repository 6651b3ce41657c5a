/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's key management: load, ask, compare, export the public half, generate on a token. */
#ifndef KEYMGMT_H
#define KEYMGMT_H

#include "keytype.h"

/* The parameters of "openssl genpkey -pkeyopt" that are ours. */
#define PARAM_TOKEN "hsm-token"
#define PARAM_LABEL "hsm-label"

extern const OSSL_DISPATCH keymgmt_functions[]; /* what all rows of keytypes share */
extern const OSSL_DISPATCH keygen_functions[];

/* State of one key generation; for keymgmt's gen_init. */
void *keygen_new(struct provider *, const struct keytype *, int selection, const OSSL_PARAM params[]);

#endif
