/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures by libhsmux, without OpenSSL around it. */
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include <hsmux/hsmux.h>

struct library_key {
    hx *context;
    hx_key *key;
    struct hx_alg alg;
};

/* Whatever fails ends the program with the reason. */
void library_open(const char *reference, struct library_key *ret);
void library_sign(const struct library_key *);
void library_close(struct library_key *);

#endif
