/* SPDX-License-Identifier: Apache-2.0 */
/* A second instance of a module, for a child whose parent goes on using the first. */
#ifndef P11_COPY_H
#define P11_COPY_H

#include <p11-kit/pkcs11.h>

/* Loads the file at path once more, with variables of its own.  NULL, or a static text: what went wrong. */
const char *p11_copy(const char *path, CK_FUNCTION_LIST **ret);

#endif
