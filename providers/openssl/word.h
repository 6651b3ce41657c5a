/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters that are words: a padding, a salt's length, a digest. */
#ifndef WORD_H
#define WORD_H

#include <openssl/core.h>

struct digest;

struct word {
    int value;
    const char *name; /* NULL ends the table; of two with one value the first is shown */
};

/* A parameter that is a word, or the number that it stands for; and a number that has no word. */
int word_get(const OSSL_PARAM *param, const struct word *words, int *ret);
int word_put(OSSL_PARAM *param, const struct word *words, int value);

/* The digest's name, "" for none, if the parameter of that name is asked for. */
int word_put_digest(OSSL_PARAM params[], const char *name, const struct digest *digest);

/* A parameter that says the digest's name, as the application said it to us. */
OSSL_PARAM word_digest_param(const char *name, const struct digest *digest);

#endif
