/* SPDX-License-Identifier: Apache-2.0 */
/* New objects. */
#ifndef MAKE_H
#define MAKE_H

#include <hsmux/plugin.h>

int make_generate(void *token, const struct hx_spec *, struct hx_out *ret_ref);
int make_import(void *token, const struct hx_spec *, const struct hx_buf *part, size_t parts, struct hx_out *ret_ref);

#endif
