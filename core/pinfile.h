/* SPDX-License-Identifier: Apache-2.0 */
/* The file that an address's pin-source names. */
#ifndef PINFILE_H
#define PINFILE_H

/* Its first line, without the line end (LF or CRLF), for wipe_string().  0, or HX_E_CONFIG or HX_E_ACCESS with a reason
 * that names the path: the file must be there, trusted with a secret (trust.h), and the line not empty. */
int pinfile_read(const char *path, char **ret);

#endif
