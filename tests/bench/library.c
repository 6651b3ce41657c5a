/* SPDX-License-Identifier: Apache-2.0 */
/* See library.h. */
#include "library.h"

#include "measure.h"

#include <openssl/pem.h>

static void must(int result, const char *what)
{
    if (result)
        give_up(what, hx_last_error());
}

void library_open(const char *reference, struct library_key *ret)
{
    BIO *bio = BIO_new_file(reference, "r");
    struct hx_object info;
    char *name, *header;
    unsigned char *der;
    long len;

    if (!bio || PEM_read_bio(bio, &name, &header, &der, &len) != 1)
        give_up("cannot read", reference);
    must(hx_new(NULL, &ret->context), "no context:");
    must(hx_key_from_reference(ret->context, der, (size_t)len, &ret->key), "cannot load:");
    must(hx_key_info(ret->key, &info), "nothing known of it:");
    ret->alg = (struct hx_alg){ .scheme = info.type == HX_RSA ? HX_RSA_PKCS1 : HX_ECDSA, .hash = HX_SHA256 };
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
}

void library_sign(const struct library_key *key)
{
    static const unsigned char digest[32] = "what is signed while it is timed";
    struct hx_bytes signature = { 0 };

    must(hx_sign(key->key, &key->alg, digest, sizeof digest, &signature), "cannot sign:");
    hx_bytes_free(&signature);
}

void library_close(struct library_key *key)
{
    hx_key_close(key->key);
    hx_free(key->context);
}
