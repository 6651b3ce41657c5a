/* SPDX-License-Identifier: Apache-2.0 */
/* first-library REFERENCE COUNT: so many signatures by libhsmux, without OpenSSL around it; prints CLOCK_MONOTONIC as
 * it was after the first. */
#include "measure.h"

#include <hsmux/hsmux.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int result, const char *what)
{
    if (result)
        give_up(what, hx_last_error());
}

static void hsmux_sign(hx_key *key, const struct hx_alg *alg)
{
    static const unsigned char digest[32] = "what is signed while it is timed";
    struct hx_bytes signature = { 0 };

    must(hx_sign(key, alg, digest, sizeof digest, &signature), "cannot sign:");
    hx_bytes_free(&signature);
}

static hx_key *load(hx *context, const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    char *name, *header;
    unsigned char *der;
    hx_key *key;
    long len;

    if (!bio || PEM_read_bio(bio, &name, &header, &der, &len) != 1)
        give_up("cannot read", path);
    must(hx_key_from_reference(context, der, (size_t)len, &key), "cannot load:");
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    return key;
}

int main(int argc, char **argv)
{
    struct hx_alg alg = { .hash = HX_SHA256 };
    struct hx_object info;
    hx_key *key;
    hx *context;

    if (argc != 3)
        return fprintf(stderr, "usage: first-library REFERENCE COUNT\n"), 2;
    must(hx_new(NULL, &context), "no context:");
    key = load(context, argv[1]);
    must(hx_key_info(key, &info), "nothing known of it:");
    alg.scheme = info.type == HX_RSA ? HX_RSA_PKCS1 : HX_ECDSA;
    hsmux_sign(key, &alg);
    printf("%.9f\n", seconds(CLOCK_MONOTONIC));
    for (int i = atoi(argv[2]); i > 1; i--)
        hsmux_sign(key, &alg);
    hx_key_close(key);
    hx_free(context);
    return 0;
}
