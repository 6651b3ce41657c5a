/* SPDX-License-Identifier: Apache-2.0 */
/* Signs with a P-256 key, and then forks children, one after the other, and goes on after each: one that just exits,
 * one that signs, one that frees what it inherited, one that does both.  Arguments: the key's address, and what a
 * child's signature shall come to: a result's number. */
#include "signer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIGN = 1, FREE = 2 };

static int heir(hx *context, hx_key *key, int what, int wanted)
{
    int result = wanted;

    alarm(20);
    if (what & SIGN)
        result = signer_sign(key, 1, NULL);
    if (what & FREE) {
        hx_key_close(key);
        hx_free(context);
    }
    return result != wanted;
}

int main(int argc, char **argv)
{
    hx *context = NULL;
    hx_key *key = NULL;
    int status, bad = 0;

    if (argc != 3 || hx_new(NULL, &context) || hx_key_open(context, argv[1], &key) || signer_sign(key, 0, NULL)) {
        fprintf(stderr, "%s\n", hx_last_error());
        return 1;
    }
    for (int what = 0; what <= (SIGN | FREE); what++) {
        fflush(NULL);
        if (!fork())
            exit(heir(context, key, what, atoi(argv[2])));
        if (wait(&status) < 0 || status) {
            fprintf(stderr, "child %d: status %d\n", what, status);
            bad++;
        }
        bad += signer_sign(key, 2, NULL) != 0;
    }
    hx_key_close(key);
    hx_free(context);
    return bad;
}
