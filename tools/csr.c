/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux csr: a certificate signing request (PKCS#10, RFC 2986), made by libcrypto and signed by the token. */
#include "tool.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

/* One "CN=device-1" of the subject. */
static int add_name(X509_NAME *name, const char *type, const char *value)
{
    if (!*type || !*value)
        return misused("--subject: '%s=%s' lacks a type or a value", type, value);
    if (X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0))
        return DONE;
    ERR_clear_error();
    return misused("--subject: '%s=%s' is no part of a name: an unknown type, or a value too long or no UTF-8", type,
                   value);
}

/* "/O=Example/CN=a\/b": a backslash takes the next character as it is. */
static int parse_subject(const char *text, X509_NAME *name)
{
    AUTO_FREE char *copy = strdup(text);
    char *out, *type, *value;
    int status = DONE;

    if (!copy)
        return fail("out of memory");
    if (text[0] != '/' || !text[1])
        return misused("--subject: '%s' does not look like /CN=device-1", text);
    while (*text && !status) {
        out = type = copy;
        value = NULL;
        for (text++; *text && *text != '/'; text++) {
            if (*text == '\\' && text[1])
                *out++ = *++text;
            else if (*text == '=' && !value) {
                *out++ = 0;
                value = out;
            } else {
                *out++ = *text;
            }
        }
        *out = 0;
        status = add_name(name, type, value ? value : "");
    }
    return status;
}

/* libcrypto's own notation also reaches files and sections ("@", "otherName:"): only plain names may come in. */
static int check_alt_names(const char *text)
{
    static const char *const kinds[] = { "DNS:", "IP:", "URI:", "email:" };

    if (strpbrk(text, "\r\n"))
        return misused("--san: '%s' holds an end of line, where libcrypto would stop reading", text);
    for (const char *name = text; name; name = strchr(name, ',') ? strchr(name, ',') + 1 : NULL) {
        bool known = false;

        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            known |= !strncmp(name, kinds[i], strlen(kinds[i])) && !strchr(",", name[strlen(kinds[i])]);
        if (!known)
            return misused("--san: '%s' should be DNS:, IP:, URI: or email: and a name, separated by commas", text);
    }
    return DONE;
}

static int add_alt_names(X509_REQ *req, const char *text)
{
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    X509_EXTENSION *extension;
    X509V3_CTX context;
    bool done = false;

    X509V3_set_ctx(&context, NULL, NULL, req, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, text);
    if (extension && extensions && sk_X509_EXTENSION_push(extensions, extension))
        done = X509_REQ_add_extensions(req, extensions);
    else
        X509_EXTENSION_free(extension);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    ERR_clear_error();
    return done ? DONE : misused("--san: '%s' holds a malformed name", text);
}

static int set_name(const struct call *call, hx *context, const char *address, X509_REQ *req)
{
    AUTO_BYTES struct hx_bytes common_name = { 0 };
    const char *subject = option(call, O_SUBJECT), *name;
    X509_NAME *dn = X509_REQ_get_subject_name(req);

    if (subject)
        return parse_subject(subject, dn);
    if (!is_credential(address, &name) || hx_credential_get(context, name, "common-name", &common_name) ||
        common_name.len == 0)
        return misused("whose certificate shall it be? --subject /CN=device-1");
    return add_name(dn, "CN", (const char *)common_name.data);
}

/* RSASSA-PSS's parameters (RFC 4055 §3.1), for keys that can sign no other way. */
static ASN1_STRING *pss_parameters(const struct hx_alg *alg)
{
    RSA_PSS_PARAMS *pss = RSA_PSS_PARAMS_new();
    const EVP_MD *md = EVP_get_digestbyname(hash_word(alg->hash));
    ASN1_STRING *inner = NULL, *packed = NULL;

    if (pss && md) {
        pss->hashAlgorithm = X509_ALGOR_new();
        pss->maskGenAlgorithm = X509_ALGOR_new();
        pss->saltLength = ASN1_INTEGER_new();
    }
    if (pss && pss->hashAlgorithm && pss->maskGenAlgorithm && pss->saltLength) {
        X509_ALGOR_set_md(pss->hashAlgorithm, md);
        inner = ASN1_item_pack(pss->hashAlgorithm, ASN1_ITEM_rptr(X509_ALGOR), NULL);
    }
    if (inner && X509_ALGOR_set0(pss->maskGenAlgorithm, OBJ_nid2obj(NID_mgf1), V_ASN1_SEQUENCE, inner)) {
        inner = NULL;
        ASN1_INTEGER_set(pss->saltLength, alg->salt_len);
        packed = ASN1_item_pack(pss, ASN1_ITEM_rptr(RSA_PSS_PARAMS), NULL);
    }
    ASN1_STRING_free(inner);
    RSA_PSS_PARAMS_free(pss);
    return packed;
}

static int set_algorithm(X509_REQ *req, EVP_PKEY *pkey, const struct hx_alg *alg)
{
    X509_ALGOR *algorithm = X509_ALGOR_new();
    int nid = NID_undef, type = alg->scheme == HX_RSA_PKCS1 ? V_ASN1_NULL : V_ASN1_UNDEF;
    ASN1_STRING *parameters = NULL;
    bool done = false;

    if (alg->scheme == HX_RSA_PSS) {
        nid = NID_rsassaPss;
        type = V_ASN1_SEQUENCE;
        parameters = pss_parameters(alg);
    } else if (alg->scheme == HX_EDDSA) {
        nid = NID_ED25519;
    } else {
        OBJ_find_sigid_by_algs(&nid, OBJ_txt2nid(hash_word(alg->hash)), EVP_PKEY_get_base_id(pkey));
    }
    if (algorithm && nid != NID_undef && (parameters || type != V_ASN1_SEQUENCE) &&
        X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), type, parameters)) {
        parameters = NULL;
        done = X509_REQ_set1_signature_algo(req, algorithm);
    }
    ASN1_STRING_free(parameters);
    X509_ALGOR_free(algorithm);
    return done ? DONE : fail_crypto("a request cannot be signed with this key's scheme and hash");
}

static int set_signature(X509_REQ *req, const struct hx_bytes *signature)
{
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();

    if (!bits || !ASN1_BIT_STRING_set(bits, signature->data, (int)signature->len)) {
        ASN1_BIT_STRING_free(bits);
        return fail("out of memory");
    }
    bits->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 7); /* no unused bits, however the signature ends */
    bits->flags |= ASN1_STRING_FLAG_BITS_LEFT;
    X509_REQ_set0_signature(req, bits);
    return DONE;
}

/* Everything but the signature is in req. */
static int sign_request(const struct call *call, hx_key *key, EVP_PKEY *pkey, X509_REQ *req)
{
    AUTO_CRYPTO unsigned char *tbs = NULL;
    AUTO_BYTES struct hx_bytes signature = { 0 };
    struct hx_object info = { 0 };
    struct hx_alg alg;
    uint32_t hash = 0;
    int len, status;

    if (hx_key_info(key, &info))
        return fail_hx();
    if (option(call, O_HASH) && parse_hash(option(call, O_HASH), &hash))
        return MISUSED;
    status = choose_alg(&info, hash, false, &alg);
    if (!status)
        status = set_algorithm(req, pkey, &alg);
    if (status)
        return status;
    len = i2d_re_X509_REQ_tbs(req, &tbs);
    if (len <= 0)
        return fail_crypto("the request cannot be encoded");
    if (sign_message(key, &alg, tbs, (size_t)len, &signature) || set_signature(req, &signature))
        return FAILED;
    if (X509_REQ_verify_ex(req, pkey, libctx(), NULL) != 1)
        return fail_crypto("the token's signature of the request does not fit its public key");
    return DONE;
}

static int print_request(const struct call *call, X509_REQ *req)
{
    AUTO_BIO BIO *out = BIO_new(BIO_s_mem());
    char *pem;
    long len;

    if (!out || !PEM_write_bio_X509_REQ(out, req))
        return fail_crypto("the request cannot be encoded");
    len = BIO_get_mem_data(out, &pem);
    return emit(call, pem, (size_t)len);
}

int csr_run(const struct call *call)
{
    const char *address = call->args ? call->arg[0] : "hsm:", *names = option(call, O_SAN);
    AUTO_HX hx *context = NULL;
    AUTO_KEY hx_key *key = NULL;
    AUTO_PKEY EVP_PKEY *pkey = NULL;
    AUTO_REQ X509_REQ *req = X509_REQ_new_ex(libctx(), NULL);
    int status;

    if (names && check_alt_names(names))
        return MISUSED;
    if (open_context(call, &context))
        return FAILED;
    if (!req || !X509_REQ_set_version(req, X509_REQ_VERSION_1))
        return fail("out of memory");
    status = set_name(call, context, address, req);
    if (!status && names)
        status = add_alt_names(req, names);
    if (status)
        return status;
    if (hx_key_open(context, address, &key))
        return fail_hx();
    if (public_key(key, &pkey))
        return FAILED;
    if (!X509_REQ_set_pubkey(req, pkey))
        return fail_crypto("the key's public half does not go into a request");
    status = sign_request(call, key, pkey, req);
    return status ? status : print_request(call, req);
}
