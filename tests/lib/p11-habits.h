/* SPDX-License-Identifier: Apache-2.0 */
/* What modules other than SoftHSM do, for the counting module to do it too.  By environment:
 *   P11_COUNTER_LOCK     a file that remembers wrong PINs: after three the PIN is locked, until the file is removed
 *   P11_COUNTER_WRAPPED  while set, C_DeriveKey takes a peer's point only wrapped in an OCTET STRING
 *   P11_COUNTER_SHORT    while set, a value and what was decrypted come without their leading zeros */
#ifndef P11_HABITS_H
#define P11_HABITS_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

#define TRIES 3

/* The number of wrong PINs so far, changed by change (0: made 0; or +1), or only read when change is negative. */
int habit_wrong_pins(int change);

bool habit_refuses_point(const CK_MECHANISM *);
void habit_shorten(unsigned char *number, CK_ULONG *len);

#endif
