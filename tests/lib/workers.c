/* SPDX-License-Identifier: Apache-2.0 */
/* A prefork server without its network: loads a key's reference, forks workers, and each, as another user if one is
 * named, signs and verifies.  Arguments: the reference's file, workers, signatures of each, threads of each [, user].
 * Exits with the number of workers that could not sign. */
#include <hsmux/hsmux.h>

#include <grp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    struct hx_bytes spki = { NULL, 0 };
    hx *context = NULL;
    long len = 0;
    int result = !file || !PEM_read(file, &name, &header, &der, &len) || hx_new(NULL, &context) ||
                 hx_key_from_reference(context, der, (size_t)len, &key) || hx_key_public(key, &spki);

    if (!result) {
        const unsigned char *p = spki.data;

        public = d2i_PUBKEY(NULL, &p, (long)spki.len);
    }
    if (file)
        fclose(file);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    hx_bytes_free(&spki);
    hx_free(context);
    return result || !public;
}

static int is_signature(const void *digest, size_t len, const struct hx_bytes *signature)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(public, NULL);
    int good = EVP_PKEY_verify_init(ctx) == 1 &&
               (!EVP_PKEY_is_a(public, "RSA") || EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1) &&
               EVP_PKEY_verify(ctx, signature->data, signature->len, digest, len) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static void *work(void *arg)
{
    const struct hx_alg alg = { .scheme = EVP_PKEY_is_a(public, "RSA") ? HX_RSA_PKCS1 : HX_ECDSA, .hash = HX_SHA256 };
    unsigned char digest[32] = { 0 };

    for (int i = 0; i < signatures; i++) {
        struct hx_bytes signature = { NULL, 0 };

        memcpy(digest, &i, sizeof i);
        if (hx_sign(key, &alg, digest, sizeof digest, &signature)) {
            fprintf(stderr, "worker: %s\n", hx_last_error());
            return arg;
        }
        if (!is_signature(digest, sizeof digest, &signature)) {
            fprintf(stderr, "worker: bad signature\n");
            return arg;
        }
        hx_bytes_free(&signature);
    }
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
        pthread_create(&thread[i], NULL, work, public);
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
        fprintf(stderr, "master: %s\n", hx_last_error());
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
