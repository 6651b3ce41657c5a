/* SPDX-License-Identifier: Apache-2.0 */
/* Implicit rejection (draft-irtf-cfrg-rsa-guidance §7): what a ciphertext with bad padding decrypts to. */
#ifndef REJECTION_H
#define REJECTION_H

#include "key.h"
#include "pkcs1.h"

/* The decoy for a ciphertext of size bytes, the modulus's width: the same for ever, and to be guessed by nobody without
 * the private key.  0: the reason is raised.  Wipe it after use. */
int rejection_decoy(struct key *, const unsigned char *cipher, size_t size, struct pkcs1_decoy *ret);

void rejection_free(struct rejection *); /* NULL is allowed */

#endif
