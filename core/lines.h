/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of INI to a configuration's sections and settings. */
#ifndef LINES_H
#define LINES_H

#include "bytes.h"
#include "config.h"

/* Appends to the config's sections what text says; the text is spoilt.  Does not know which keys there are. */
int lines_parse(struct config *, struct hx_bytes *text);

#endif
