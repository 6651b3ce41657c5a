/* SPDX-License-Identifier: Apache-2.0 */
/* The key reference (PEM label HSMUX KEY REFERENCE) to a key. */
#ifndef DECODER_H
#define DECODER_H

#include "keytype.h"

extern const OSSL_DISPATCH decoder_pem_functions[];
extern const OSSL_DISPATCH decoder_der_functions[]; /* without newctx, which each row of keytypes has */

/* State of a der -> key decoder that takes keys of one type only. */
void *decoder_new(struct provider *, const struct keytype *);

#endif
