/* SPDX-License-Identifier: Apache-2.0 */
/* first-library REFERENCE COUNT: so many signatures by libhsmux; prints CLOCK_MONOTONIC as it was after the first. */
#include "library.h"
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct library_key key;

    if (argc != 3)
        return fprintf(stderr, "usage: first-library REFERENCE COUNT\n"), 2;
    library_open(argv[1], &key);
    library_sign(&key);
    printf("%.9f\n", seconds(CLOCK_MONOTONIC));
    for (int i = atoi(argv[2]); i > 1; i--)
        library_sign(&key);
    library_close(&key);
    return 0;
}
