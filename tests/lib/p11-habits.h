/* SPDX-License-Identifier: Apache-2.0 */
/* What modules other than SoftHSM do, for the counting module to do it too.  By environment:
 *   P11_COUNTER_LOCK     a file that remembers wrong PINs: after three the PIN is locked, until the file is removed
 *   P11_COUNTER_MUTE     while set, the token tells nothing of the tries that are left
 *   P11_COUNTER_PINPAD   while set, the token has a pinpad, and takes no PIN from programs; the value is what somebody
 *                        types there, "" if nobody is there
 *   P11_COUNTER_WRAPPED  while set, C_DeriveKey takes a peer's point only wrapped in an OCTET STRING
 *   P11_COUNTER_SHORT    while set, a value and what was decrypted come without their leading zeros;
 *                        "all": without a byte
 *   P11_COUNTER_WIDE     while set, each RSA key says that it has 16384 bits, and what comes out is as long, whatever
 *                        the room for it
 *   P11_COUNTER_FORKLESS while set, a child's C_Initialize says that its parent's was enough
 *   P11_COUNTER_VENDOR   while set, DSA keys are of a type of the vendor's own
 *   P11_COUNTER_SWAP     while set, each token says that it is another: its serial number begins with an X
 *   P11_COUNTER_SESSIONS there are so many sessions, of all kinds together, and no more
 *   P11_COUNTER_HANG     FUNCTION:FILE: the function does not return while the file is there */
#ifndef P11_HABITS_H
#define P11_HABITS_H

#include <p11-kit/pkcs11.h>
#include <stdatomic.h>
#include <stdbool.h>

#define TRIES 3
#define WIDE 2048 /* bytes */

/* p11-counter.c, for p11-sessions.c: counts a call; false: it is not to be made, and returns *ret. */
bool counter_pass(const char *function, CK_RV *ret);
CK_FUNCTION_LIST *counter_real(void);

/* The number of wrong PINs so far, changed by change (0: made 0; or +1), or only read when change is negative. */
int habit_wrong_pins(int change);

/* What was typed at the pinpad, if there is one; false: nobody was there, or a program gave a PIN. */
bool habit_asks_pad(CK_BYTE **pin, CK_ULONG *len);

bool habit_refuses_point(const CK_MECHANISM *);
bool habit_ignores_fork(void);
CK_RV habit_disguise(CK_RV, CK_INFO *); /* as no SoftHSM */
void habit_rename_types(CK_ATTRIBUTE *, CK_ULONG count);
void habit_shorten(unsigned char *number, CK_ULONG *len);
void habit_widen(CK_ATTRIBUTE *, CK_ULONG count, bool has_room);
bool habit_overflows(CK_ULONG *len); /* nothing is written */
void habit_describe(CK_TOKEN_INFO *);
void habit_hang(const char *function);
/* Looked up by tests: an order of events that the thread sanitizer sees. */
extern __attribute__((visibility("default"))) atomic_bool habit_hanging;

/* Before one is opened, false: there is no more; after one was closed, or all (SESSIONS_ALL). */
#define SESSIONS_ALL 0
bool habit_take_session(void);
void habit_give_sessions(unsigned count);

#endif
