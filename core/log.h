/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of the process: to the application's function, else to stderr, else to syslog. */
#ifndef LOG_H
#define LOG_H

#include <hsmux/types.h>
#include <stdarg.h>
#include <stdbool.h>
#include <syslog.h>

void hx_log(int priority, const char *fmt, ...) HX_PRINTF(2, 3);
void hx_vlog(int priority, const char *fmt, va_list args) HX_PRINTF(2, 0);

/* The same line at most once a minute: what goes wrong at each handshake must not flood a log. */
void hx_log_seldom(int priority, const char *fmt, ...) HX_PRINTF(2, 3);

/* Has the application set a function of its own? */
bool log_is_taken(void);

/* The reason of this thread's last failure, which is that a key cannot be reached: rights, a chroot, a PIN are the
 * administrator's to mend, and many a program hides the reason.  Returns result. */
int log_unreachable(int result);

#endif
