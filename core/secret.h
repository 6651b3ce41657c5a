/* SPDX-License-Identifier: Apache-2.0 */
/* Where the value of a secret option comes from: the INI, a file, a systemd credential, an object of another token. */
#ifndef SECRET_H
#define SECRET_H

#include "bytes.h"
#include "host.h"

/* The secret's value; ret stays empty when none is configured.  NAME-credential = hsm:... is read through the context,
 * which may open another token: the caller holds no lock. */
int secret_fetch(struct hx *, const struct host *, const char *name, struct hx_bytes *ret);

/* The systemd credential of that name ($CREDENTIALS_DIRECTORY); HX_E_NOT_FOUND if there is none. */
int secret_credential(const char *name, struct hx_bytes *ret);

#endif
