/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux cert: the credential's certificate chain, or one certificate object, as PEM. */
#include "tool.h"

#include <openssl/pem.h>

/* A certificate object is DER on the token. */
static int print_der(const struct call *call, const struct hx_bytes *der)
{
    AUTO_BIO BIO *out = BIO_new(BIO_s_mem());
    const unsigned char *at = der->data;
    X509 *cert = d2i_X509(NULL, &at, (long)der->len);
    bool done = cert && out && PEM_write_bio_X509(out, cert);
    char *pem;
    long len;

    X509_free(cert);
    if (!done)
        return fail_crypto("this object is no X.509 certificate");
    len = BIO_get_mem_data(out, &pem);
    return emit(call, pem, (size_t)len);
}

int cert_run(const struct call *call)
{
    const char *address = call->args ? call->arg[0] : "hsm:", *name;
    AUTO_HX hx *context = NULL;
    AUTO_BYTES struct hx_bytes bytes = { 0 };

    if (open_context(call, &context))
        return FAILED;
    if (is_credential(address, &name)) {
        if (hx_credential_get(context, name, "certificate", &bytes))
            return fail_hx();
        return emit(call, bytes.data, bytes.len);
    }
    if (hx_read(context, address, HX_VALUE, &bytes))
        return fail_hx();
    return print_der(call, &bytes);
}
