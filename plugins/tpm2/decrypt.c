/* SPDX-License-Identifier: Apache-2.0 */
/* RSA's private operation (TPM2_RSA_Decrypt, TPM 2.0 Part 3 §14.3), bare or with OAEP. */
#include "object.h"

#include <string.h>

struct decryption {
    TPM2B_PUBLIC_KEY_RSA in, *out;
    TPMT_RSA_DECRYPT scheme;
    TSS2_RC rc;
};

static TSS2_RC decrypt_command(const struct tpm_use *use, void *arg)
{
    static const TPM2B_DATA no_label;
    struct decryption *decryption = arg;

    tpm_encrypt(use->esys, use->session, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT);
    decryption->rc = Esys_RSA_Decrypt(use->esys, use->key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &decryption->in,
                                      &decryption->scheme, &no_label, &decryption->out);
    return decryption->rc;
}

static int run(struct tpm_object *object, struct decryption *decryption, struct hx_out *out)
{
    int result = tpm_use(object->token, object->key, decrypt_command, decryption, "TPM2_RSA_Decrypt");

    if (result)
        return result;
    result = hx_put(out, decryption->out->buffer, decryption->out->size);
    explicit_bzero(decryption->out, sizeof *decryption->out);
    Esys_Free(decryption->out);
    return result;
}

/* Numbers from n on are told apart here: not each TPM finds words for them. */
static int keep_input(const struct tpm_object *object, const void *in, size_t len, TPM2B_PUBLIC_KEY_RSA *ret)
{
    const TPMT_PUBLIC *public = &object->key->public.publicArea;
    const TPM2B_PUBLIC_KEY_RSA *n = &public->unique.rsa;
    size_t width = (size_t) public->parameters.rsaDetail.keyBits / 8;

    if (len != width || len > sizeof ret->buffer)
        return hx_fail(object->token->host, HX_E_INVALID, "%zu bytes, where the key takes %zu", len, width);
    if (n->size == len && memcmp(in, n->buffer, len) >= 0)
        return hx_fail(object->token->host, HX_E_INVALID, "the input is nothing for this key");
    ret->size = (UINT16)len;
    memcpy(ret->buffer, in, len);
    return 0;
}

int tpm_raw(struct tpm_object *object, const void *in, size_t len, struct hx_out *out)
{
    struct decryption decryption = { .scheme.scheme = TPM2_ALG_NULL };
    int result = tpm_check_key(object, TPM2_ALG_RSA, TPMA_OBJECT_DECRYPT, TPM2_ALG_NULL);

    if (!result)
        result = keep_input(object, in, len, &decryption.in);
    return result ? result : run(object, &decryption, out);
}

/* Those on libcrypto call it a failure, without being in failure mode. */
static bool is_bad_padding(TPM2_RC rc)
{
    return rc == TPM2_RC_VALUE || rc == TPM2_RC_SIZE || rc == TPM2_RC_FAILURE;
}

/* A TPM's label is a text and ends with a NUL, which is part of it: no label is all that it shares with others.  What
 * is wrongly padded may be all a TPM's own failure to it, and has it told on stderr: the core undoes the padding of the
 * raw operation, where a key has that. */
static int decrypt_oaep(struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len,
                        struct hx_out *out)
{
    struct decryption decryption = { .scheme = { .scheme = TPM2_ALG_OAEP,
                                                 .details.oaep.hashAlg = tpm_hash_of(alg->hash) } };
    int result = tpm_check_key(object, TPM2_ALG_RSA, TPMA_OBJECT_DECRYPT, TPM2_ALG_OAEP);

    if (result)
        return result;
    if (object->key->public.publicArea.parameters.rsaDetail.scheme.scheme == TPM2_ALG_NULL)
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "OAEP is not left to the TPM where it does raw RSA");
    if (decryption.scheme.details.oaep.hashAlg == TPM2_ALG_NULL || alg->param.len ||
        (alg->mgf_hash && alg->mgf_hash != alg->hash))
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "a TPM's OAEP takes no label, and one hash");
    if ((result = keep_input(object, in, len, &decryption.in)))
        return result;
    result = run(object, &decryption, out);
    return result && is_bad_padding(tpm_rc(decryption.rc))
               ? hx_fail(object->token->host, HX_E_INVALID, "the input is nothing for this key")
               : result;
}

int tpm_decrypt(struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    switch (alg->scheme) {
    case HX_RSA_RAW:
        return tpm_raw(object, in, len, out);
    case HX_RSA_OAEP:
        return decrypt_oaep(object, alg, in, len, out);
    default:
        return hx_fail(object->token->host, HX_E_UNSUPPORTED,
                       "a TPM decrypts with OAEP, or leaves the padding to hsmux");
    }
}
