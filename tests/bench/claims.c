/* SPDX-License-Identifier: Apache-2.0 */
/* See claims.h. */
#include "claims.h"

#include <stdio.h>

static struct claim {
    char what[80];
    double value, bound;
    bool at_least;
} claims[40];
static size_t claim_count;

void claim(const char *what, const char *whom, double value, bool at_least, double bound)
{
    struct claim *made = &claims[claim_count++];

    *made = (struct claim){ .value = value, .bound = bound, .at_least = at_least };
    snprintf(made->what, sizeof made->what, "%s%s%s", whom ? whom : "", whom ? ": " : "", what);
}

int claims_print(void)
{
    int missed = 0;

    printf("\n%-68s %9s %9s\n", "claim", "measured", "bound");
    for (size_t i = 0; i < claim_count; i++) {
        const struct claim *made = &claims[i];
        bool holds = made->at_least ? made->value >= made->bound : made->value <= made->bound;

        printf("%-68s %9.5g %s %6g  %s\n", made->what, made->value, made->at_least ? ">=" : "<=", made->bound,
               holds ? "yes" : "NO");
        missed += !holds;
    }
    return missed;
}
