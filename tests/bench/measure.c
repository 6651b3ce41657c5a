/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, medians and a signature. */
#include "measure.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void give_up(const char *what, const char *whom)
{
    fprintf(stderr, "bench: %s '%s'\n", what, whom);
    ERR_print_errors_fp(stderr);
    exit(1);
}

double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median(const double *values, int count)
{
    double sorted[ROUNDS_MAX];

    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    return sorted[count / 2];
}

double median_ratio(const double *these, const double *those, int count)
{
    double ratio[ROUNDS_MAX];

    for (int i = 0; i < count; i++)
        ratio[i] = these[i] / those[i];
    return median(ratio, count);
}

double median_difference(const double *these, const double *those, int count)
{
    double difference[ROUNDS_MAX];

    for (int i = 0; i < count; i++)
        difference[i] = these[i] - those[i];
    return median(difference, count);
}

EVP_PKEY *load_pem(OSSL_LIB_CTX *libctx, const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey_ex(bio, NULL, NULL, NULL, libctx, NULL) : NULL;

    BIO_free(bio);
    if (!key)
        give_up("cannot load", path);
    return key;
}

void sign(OSSL_LIB_CTX *libctx, EVP_PKEY *key)
{
    static const unsigned char message[32] = "what is signed while it is timed";
    unsigned char sig[1024];
    size_t len = sizeof sig;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (EVP_DigestSignInit_ex(ctx, NULL, "SHA256", libctx, NULL, key, NULL) != 1 ||
        EVP_DigestSign(ctx, sig, &len, message, sizeof message) != 1)
        give_up("cannot sign with a key of type", EVP_PKEY_get0_type_name(key) ? EVP_PKEY_get0_type_name(key) : "?");
    EVP_MD_CTX_free(ctx);
}
