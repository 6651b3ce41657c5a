/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a P-256 key, keeps its token busy from a second thread, and forks children at that moment, each of which signs
 * and verifies.  Arguments: the key's address, children, signatures of each, runs, "open" or "reference", and perhaps
 * the address of another P-256 key: the second thread keeps that one's token busy, and the children sign with both. */
#include "signer.h"

#include <openssl/pem.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_bool stop;
static atomic_uint busy;

/* Whatever kind of key: the reference's DER is what the PEM decoder of an application would hand in. */
static int from_reference(hx *context, hx_key *opened, hx_key **ret)
{
    struct hx_bytes pem = { NULL, 0 };
    int result = hx_key_reference(opened, &pem);
    if (result)
        return result;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    result = PEM_read_bio(bio, &name, &header, &der, &len) ? hx_key_from_reference(context, der, (size_t)len, ret)
                                                           : HX_E_INVALID;
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    hx_bytes_free(&pem);
    return result;
}

static void *keep_busy(void *key)
{
    while (!stop) {
        if (signer_sign(key, busy, NULL))
            break;
        busy++;
    }
    return NULL;
}

/* Frees all that it inherited. */
static void child(hx *context, hx_key *key, hx_key *other, EVP_PKEY *public, int signatures)
{
    alarm(30);
    for (int i = 0; i < signatures; i++) {
        if (signer_sign(key, (unsigned)getpid() * 100 + (unsigned)i, public) ||
            (other && signer_sign(other, (unsigned)i, NULL)))
            _exit(1);
    }
    hx_key_close(key);
    hx_key_close(other);
    hx_free(context);
    _exit(0);
}

/* Returns how many children did not do all their work. */
static int fork_once(hx *context, hx_key *key, hx_key *other, EVP_PKEY *public, int children, int signatures)
{
    pid_t pid[64];
    int bad = 0, status;
    fflush(NULL);
    for (int i = 0; i < children; i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            child(context, key, other, public, signatures);
    }
    for (int i = 0; i < children; i++) {
        if (waitpid(pid[i], &status, 0) < 0 || status != 0) {
            fprintf(stderr, "child %d: %s\n", i, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "failed");
            bad++;
        }
    }
    return bad;
}

int main(int argc, char **argv)
{
    hx *context = NULL;
    hx_key *opened = NULL, *key = NULL, *other = NULL;
    if (argc < 6 || argc > 7 || atoi(argv[2]) > 64 || hx_new(NULL, &context) ||
        hx_key_open(context, argv[1], &opened) || (argc == 7 && hx_key_open(context, argv[6], &other))) {
        fprintf(stderr, "%s\n", hx_last_error());
        return 1;
    }
    if (!strcmp(argv[5], "open"))
        key = hx_key_retain(opened);
    else if (from_reference(context, opened, &key))
        return 1;
    EVP_PKEY *public = signer_public(key);
    pthread_t thread;
    pthread_create(&thread, NULL, keep_busy, other ? other : opened);
    int bad = public ? 0 : 1;
    for (int run = 0; run < atoi(argv[4]) && !bad; run++)
        bad = fork_once(context, key, other, public, atoi(argv[2]), atoi(argv[3]));
    stop = 1;
    pthread_join(thread, NULL);
    printf("%u signatures by the parent meanwhile\n", busy);
    EVP_PKEY_free(public);
    hx_key_close(key);
    hx_key_close(opened);
    hx_key_close(other);
    hx_free(context);
    return bad || !busy ? 1 : 0;
}
