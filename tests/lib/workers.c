/* SPDX-License-Identifier: Apache-2.0 */
/* A prefork server without its network: loads a P-256 key's reference, forks workers, and each, as another user if one
 * is named, signs and verifies.  Arguments: the reference's file, workers, signatures of each thread, threads of each
 * [, user].  Exits with the number of workers that could not sign. */
#include "signer.h"

#include <grp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static hx_key *key;
static EVP_PKEY *public;
static int signatures;

static int load(const char *path)
{
    FILE *file = fopen(path, "re");
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    hx *context = NULL;
    long len = 0;
    int result = !file || !PEM_read(file, &name, &header, &der, &len) || hx_new(NULL, &context) ||
                 hx_key_from_reference(context, der, (size_t)len, &key);

    if (file)
        fclose(file);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    hx_free(context);
    return result || !(public = signer_public(key));
}

static void *work(void *arg)
{
    for (int i = 0; i < signatures; i++)
        if (signer_sign(key, (unsigned)i, public))
            return arg;
    return NULL;
}

static int worker(int threads, const char *user)
{
    const struct passwd *who = user ? getpwnam(user) : NULL;
    pthread_t thread[64];
    void *failed;
    int bad = 0;

    if (user && (!who || setgroups(0, NULL) || setgid(who->pw_gid) || setuid(who->pw_uid)))
        return 1;
    if (user) { /* as nginx does */
        unsetenv("HOME");
        unsetenv("XDG_STATE_HOME");
        unsetenv("STATE_DIRECTORY");
    }
    for (int i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, work, key);
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], &failed);
        bad += failed != NULL;
    }
    return bad > 0;
}

int main(int argc, char **argv)
{
    int workers = argc > 4 ? atoi(argv[2]) : 0, threads = argc > 4 ? atoi(argv[4]) : 0, status, bad = 0;

    if (workers < 1 || threads < 1 || threads > 64 || load(argv[1])) {
        fprintf(stderr, "%s\n", hx_last_error());
        return 100;
    }
    signatures = atoi(argv[3]);
    fflush(NULL);
    for (int i = 0; i < workers; i++)
        if (!fork())
            exit(worker(threads, argc > 5 ? argv[5] : NULL));
    for (int i = 0; i < workers; i++)
        bad += wait(&status) < 0 || status != 0;
    hx_key_close(key);
    EVP_PKEY_free(public);
    return bad;
}
