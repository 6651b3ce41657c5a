/* SPDX-License-Identifier: Apache-2.0 */
/* When may a PIN be sent?  The memory of refused PINs, shared by forked processes and kept over restarts. */
#ifndef LOGIN_H
#define LOGIN_H

#include "bytes.h"

#include <stdbool.h>

/* Makes the shared page; before any fork, so before any token. */
int login_prepare(void);

/* Root opens the memory while it can, for children that lose their rights. */
void login_ahead(void);

/* Sends the PIN by try(arg) unless it was refused before; serial names the token.  One attempt at a time for each PIN
 * among all forked processes.  HX_E_PIN: refused, now or earlier; the reason says which.  No PIN (len 0): the token's
 * pinpad, which is asked again only if it was answered well: nobody may be there. */
typedef int login_try(void *arg);
int login_once(const char *serial, const void *pin, size_t len, login_try *try, void *arg);

/* A number that stands for a PIN among the forked processes, never 0. */
int login_tag(const char *serial, const void *pin, size_t len, uint64_t *ret);
/* A PIN that was right was refused later: the key, or its PIN, is another now.  To the others too. */
void login_tag_refused(uint64_t tag);
bool login_tag_is_refused(uint64_t tag);

/* Remembers a PIN that was refused though login_once() did not send it: a person gave it. */
void login_refused(const char *serial, const void *pin, size_t len);

/* Forgets that this PIN was refused: a person has logged in with it. */
void login_forget(const char *serial, const void *pin, size_t len);
void login_forget_all(const char *serial); /* every PIN */

#endif
