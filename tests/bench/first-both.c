/* SPDX-License-Identifier: Apache-2.0 */
/* first-both TCTI HANDLE TYPE KEY: what a program pays that has OpenSSL, for which a key's PEM file stands, and makes
 * its signature by bare ESAPI; prints CLOCK_MONOTONIC as it was after both. */
#include "esapi.h"
#include "measure.h"
#include "prehashed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct esapi_key key;

    if (argc != 5)
        return fprintf(stderr, "usage: first-both TCTI HANDLE TYPE KEY\n"), 2;
    prehashed_sign(NULL, prehashed_key(NULL, argv[4]));
    esapi_open(argv[1], (uint32_t)strtoul(argv[2], NULL, 16), !strcmp(argv[3], "rsa"), &key);
    esapi_sign(&key);
    printf("%.9f\n", seconds(CLOCK_MONOTONIC));
    return 0;
}
