/* SPDX-License-Identifier: Apache-2.0 */
/* first-openssl KEY COUNT: so many signatures with that key in OpenSSL's own context; prints CLOCK_MONOTONIC as it was
 * after the first. */
#include "measure.h"
#include "prehashed.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    EVP_PKEY *key;

    if (argc != 3)
        return fprintf(stderr, "usage: first-openssl KEY COUNT\n"), 2;
    key = prehashed_key(NULL, argv[1]);
    prehashed_sign(NULL, key);
    printf("%.9f\n", seconds(CLOCK_MONOTONIC));
    for (int i = atoi(argv[2]); i > 1; i--)
        prehashed_sign(NULL, key);
    EVP_PKEY_free(key);
    return 0;
}
