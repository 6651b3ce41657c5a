/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of the process: to the application's function, else to stderr. */
#ifndef LOG_H
#define LOG_H

#include <hsmux/types.h>
#include <stdarg.h>
#include <syslog.h>

void hx_log(int priority, const char *fmt, ...) HX_PRINTF(2, 3);
void hx_vlog(int priority, const char *fmt, va_list args) HX_PRINTF(2, 0);

#endif
