/* SPDX-License-Identifier: Apache-2.0 */
/* The token: a directory, and the PIN once it was given. */
#ifndef TOKEN_H
#define TOKEN_H

#include <hsmux/plugin.h>
#include <pthread.h>
#include <stdbool.h>

#define TOKEN_PIN_MAX 1024

struct token {
    const struct hx_host *host;
    char *path; /* absolute, without links; also the serial */
    int held; /* the directory as open() found it, for after a chroot; -1: it did not exist */
    pthread_mutex_t lock; /* over the PIN */
    unsigned char pin[TOKEN_PIN_MAX];
    size_t pin_len; /* 0: not logged in */
};

/* A copy of the PIN, to be wiped; its length, 0 before login. */
size_t token_pin(struct token *, unsigned char ret[TOKEN_PIN_MAX]);

#endif
