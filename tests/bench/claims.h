/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of hsmux, what was measured, and whether it holds. */
#ifndef BENCH_CLAIMS_H
#define BENCH_CLAIMS_H

#include <stdbool.h>

/* whom may be NULL; at_least: value >= bound, else value <= bound. */
void claim(const char *what, const char *whom, double value, bool at_least, double bound);

/* All of them, a line each; how many do not hold. */
int claims_print(void);

#endif
