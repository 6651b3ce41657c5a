/* SPDX-License-Identifier: Apache-2.0 */
/* The token's PIN: the passphrase of its encrypted files. */
#ifndef LOGIN_H
#define LOGIN_H

#include "token.h"

/* HX_E_PIN: there are encrypted files, and it opens none of them. */
int login_try(struct token *, const void *pin, size_t len);

#endif
