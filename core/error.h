/* SPDX-License-Identifier: Apache-2.0 */
/* The reason for this thread's last failure: one line, outermost reason first. */
#ifndef ERROR_H
#define ERROR_H

#include <hsmux/types.h>
#include <stdarg.h>

/* Sets the reason and returns result.  Lower case, no full stop, names in single quotes; never a secret. */
int hx_error(int result, const char *fmt, ...) HX_PRINTF(2, 3);
int hx_verror(int result, const char *fmt, va_list args) HX_PRINTF(2, 0);

/* Puts "<prefix>: " before the present reason and returns result: context on the way out. */
int hx_error_in(int result, const char *fmt, ...) HX_PRINTF(2, 3);

/* Forgets the reason, so that a reason found later is not this one. */
void hx_error_clear(void);

#endif
