/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates in a PEM file, and where they stand in it, so that one can be exchanged and all else stays. */
#include "certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

void tpm_pem_free(struct tpm_pem *pem)
{
    for (size_t i = 0; i < pem->count; i++)
        free(pem->block[i].der);
    free(pem->block);
    memset(pem, 0, sizeof *pem);
}

static bool add(struct tpm_pem *pem, const void *der, size_t len, size_t start, size_t end)
{
    struct tpm_pem_block *grown = reallocarray(pem->block, pem->count + 1, sizeof *grown);
    unsigned char *copy = malloc(len + 1);

    pem->block = grown ? grown : pem->block;
    if (!grown || !copy) {
        free(copy);
        return false;
    }
    memcpy(copy, der, len);
    grown[pem->count++] = (struct tpm_pem_block){ .der = copy, .len = len, .start = start, .end = end };
    return true;
}

static const char *divide(BIO *bio, size_t len, struct tpm_pem *pem)
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long der_len;
    size_t start = 0, end;
    bool ok = true;

    while (ok && PEM_read_bio(bio, &name, &header, &der, &der_len)) {
        end = len - BIO_ctrl_pending(bio);
        if (!strcmp(name, PEM_STRING_X509) || !strcmp(name, PEM_STRING_X509_OLD))
            ok = add(pem, der, (size_t)der_len, start, end);
        else
            pem->others++;
        start = end;
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)der_len);
    }
    if (!ok)
        return "out of memory";
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? NULL : "it is no good PEM";
}

const char *tpm_pem_divide(const void *text, size_t len, struct tpm_pem *ret)
{
    struct tpm_pem pem = { .count = 0 };
    const char *wrong;
    BIO *bio;

    if (len && tpm_certificate_length(text, len) == len) { /* as .crt files often are */
        wrong = add(&pem, text, len, 0, len) ? NULL : "out of memory";
    } else {
        ERR_set_mark();
        bio = len <= INT32_MAX ? BIO_new_mem_buf(text, (int)len) : NULL;
        wrong = bio ? divide(bio, len, &pem) : "out of memory";
        BIO_free(bio);
        ERR_pop_to_mark();
    }
    if (!wrong && !pem.count && !pem.others)
        wrong = "there is no certificate in it";
    if (wrong)
        tpm_pem_free(&pem);
    else
        *ret = pem;
    return wrong;
}

bool tpm_pem_print(const void *der, size_t der_len, char **ret, size_t *ret_len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL, *copy = NULL;
    long len = 0;

    ERR_set_mark();
    if (bio && der_len <= INT32_MAX && PEM_write_bio(bio, PEM_STRING_X509, "", der, (long)der_len) > 0) {
        len = BIO_get_mem_data(bio, &text);
        copy = strndup(text, (size_t)len);
    }
    BIO_free(bio);
    ERR_pop_to_mark();
    if (!copy)
        return false;
    *ret = copy;
    *ret_len = (size_t)len;
    return true;
}
