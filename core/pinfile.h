/* SPDX-License-Identifier: Apache-2.0 */
/* A file that holds a PIN and nothing else. */
#ifndef PINFILE_H
#define PINFILE_H

#include "bytes.h"

/* Its one line, without the line end (LF or CRLF); what: "PIN file", for messages.  HX_E_NOT_FOUND, HX_E_ACCESS, or
 * HX_E_CONFIG with a reason that names the path: it must be trusted with a secret (trust.h) and not be empty. */
int pinfile_read(const char *path, const char *what, struct hx_bytes *ret);

/* Takes one line end away from the end, if there is one. */
void pinfile_strip(struct hx_bytes *);

#endif
