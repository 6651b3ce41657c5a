/* SPDX-License-Identifier: Apache-2.0 */
/* What the measuring programs share.  Whatever fails ends the program with the reason. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <openssl/evp.h>
#include <time.h>

#define ROUNDS_MAX 1000

/* Says what went wrong, and OpenSSL's reasons. */
void give_up(const char *what, const char *whom) __attribute__((noreturn));

/* Seconds: CLOCK_MONOTONIC, or processor time, which a busy machine does not stretch. */
double seconds(clockid_t);

double median(const double *values, int count);

/* Of the pairs' quotients, and of their differences: what changes in the machine meanwhile hits both of a pair. */
double median_ratio(const double *these, const double *those, int count);
double median_difference(const double *these, const double *those, int count);

EVP_PKEY *load_pem(OSSL_LIB_CTX *, const char *path);

/* One signature of 32 bytes with SHA-256, from EVP_MD_CTX_new() to EVP_MD_CTX_free(). */
void sign(OSSL_LIB_CTX *, EVP_PKEY *);

#endif
