/* SPDX-License-Identifier: Apache-2.0 */
/* first-esapi TCTI HANDLE TYPE COUNT: so many signatures by bare ESAPI; prints CLOCK_MONOTONIC as it was after the
 * first. */
#include "esapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv)
{
    struct esapi_key key;
    struct timespec t;

    if (argc != 5)
        return fprintf(stderr, "usage: first-esapi TCTI HANDLE TYPE COUNT\n"), 2;
    esapi_open(argv[1], (uint32_t)strtoul(argv[2], NULL, 16), !strcmp(argv[3], "rsa"), &key);
    esapi_sign(&key);
    clock_gettime(CLOCK_MONOTONIC, &t);
    printf("%.9f\n", (double)t.tv_sec + (double)t.tv_nsec / 1e9);
    for (int i = atoi(argv[4]); i > 1; i--)
        esapi_sign(&key);
    return 0;
}
