/* SPDX-License-Identifier: Apache-2.0 */
/* make-p12 OUT PASSPHRASE FILE...: PKCS#12 files that the openssl command does not write: several keys (.key), a key
 * with somebody else's certificate (.pem), and the integrity check of no passphrase at all ("null"). */
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdio.h>
#include <string.h>

static int add_file(STACK_OF(PKCS12_SAFEBAG) * *bags, const char *path, const char *pass)
{
    size_t len = strlen(path);
    FILE *in = fopen(path, "r");
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    int done = 0;

    if (in && len > 4 && !strcmp(path + len - 4, ".key")) {
        key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
        done = key && PKCS12_add_key(bags, key, 0, 0, NID_aes_256_cbc, pass);
    } else if (in) {
        cert = PEM_read_X509(in, NULL, NULL, NULL);
        done = cert && PKCS12_add_cert(bags, cert);
    }
    EVP_PKEY_free(key);
    X509_free(cert);
    if (in)
        fclose(in);
    return done;
}

int main(int argc, char **argv)
{
    const char *pass = argc > 2 && strcmp(argv[2], "null") ? argv[2] : NULL;
    STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
    STACK_OF(PKCS7) *safes = NULL;
    PKCS12 *p12 = NULL;
    FILE *out = argc > 3 ? fopen(argv[1], "w") : NULL;
    int done = out != NULL;

    for (int i = 3; i < argc && done; i++)
        done = add_file(&bags, argv[i], pass);
    done = done && PKCS12_add_safe(&safes, bags, -1, 0, NULL) && (p12 = PKCS12_add_safes(safes, 0)) &&
           PKCS12_set_mac(p12, pass, -1, NULL, 0, 2048, NULL) && i2d_PKCS12_fp(out, p12);
    PKCS12_free(p12);
    sk_PKCS7_pop_free(safes, PKCS7_free);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    if (out)
        fclose(out);
    return !done;
}
