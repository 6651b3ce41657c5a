/* SPDX-License-Identifier: Apache-2.0 */
/* What a key reference looks like from outside: enough to leave foreign DER alone without asking the core. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#define REFERENCE_LABEL "HSMUX KEY REFERENCE"

/* The value of "structure" that ties our decoders together. */
#define REFERENCE_STRUCTURE "hsmux"

/* The longest reference that makes sense: an address of some thousand bytes, the SubjectPublicKeyInfo of RSA-16384. */
enum { REFERENCE_MAX = 16384 };

/* Is it a reference?  If so, *ret_nid is the algorithm of its public key, NID_undef when it holds none. */
bool reference_peek(const void *der, size_t len, int *ret_nid);

#endif
