/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux tpm: what a service needs to know of a TPM to enrol it, and the identity key that it sends in return.  (Azure's
 * device provisioning calls this TPM attestation.) */
#include "tool.h"

#include <stdio.h>
#include <string.h>

#define EK_CERT "ek-cert" /* the label of the one in NV index 0x01c00002, for the RSA key; others begin with it */

/* The token that was named, or else the only TPM.  No token is touched: another one's PIN would be sent for nothing. */
static int find_tpm(const struct call *call, hx *context, char **ret)
{
    AUTO_BYTES struct hx_bytes name = { 0 };
    int result = hx_tpm_name(context, option(call, O_TOKEN), &name);

    if (result == HX_E_NOT_FOUND && !option(call, O_TOKEN))
        return fail("%s; a TPM is one at /dev/tpmrm0, or at the tcti = of a [token] section", hx_last_error());
    if (result)
        return fail_making(call, result);
    *ret = strdup((const char *)name.data);
    return *ret ? DONE : fail("out of memory");
}

struct tpm_key {
    char *token, *address;
    struct hx_bytes public; /* TPM2B_PUBLIC */
};

static void tpm_key_free(struct tpm_key *key)
{
    free(key->token);
    free(key->address);
    hx_bytes_free(&key->public);
}

/* rest: of its address.  A TPM that has to make the key first takes its time. */
static int read_key(const struct call *call, const char *rest, struct tpm_key *key)
{
    AUTO_HX hx *context = NULL;
    int status = open_context(call, &context), result;

    if (!status)
        status = find_tpm(call, context, &key->token);
    if (!status)
        status = token_address(key->token, rest, &key->address);
    if (status)
        return status;
    progress_start("waiting for the TPM's key", key->token);
    result = hx_read(context, key->address, HX_TPM2B_PUBLIC, &key->public);
    progress_end();
    return result ? fail_hx() : DONE;
}

static int print_json_key(const struct tpm_key *key, const char *text)
{
    AUTO_JSON json_t *json = json_object();

    json_object_set_new(json, "token", json_text(key->token));
    json_object_set_new(json, "address", json_text(key->address));
    json_object_set_new(json, "public", json_text(text));
    return print_json(json);
}

static int print_key(const struct call *call, const char *rest)
{
    CLEANUP(tpm_key_free) struct tpm_key key = { 0 };
    AUTO_FREE char *text = NULL, *line = NULL;

    if (option(call, O_JSON) && (option(call, O_RAW) || option(call, O_OUT)))
        return misused("either '--json' or '%s'", option(call, O_RAW) ? "--raw" : "--out");
    if (read_key(call, rest, &key))
        return FAILED;
    if (option(call, O_RAW))
        return emit_binary(call, key.public.data, key.public.len);
    text = encode_base64(key.public.data, key.public.len);
    line = text ? text_of("%s\n", text) : NULL;
    if (!line)
        return fail("out of memory");
    return option(call, O_JSON) ? print_json_key(&key, text) : emit(call, line, strlen(line));
}

int tpm_ek_run(const struct call *call)
{
    return print_key(call, "key/ek");
}

int tpm_srk_run(const struct call *call)
{
    return print_key(call, "key/srk");
}

static bool is_ek_cert(const struct hx_object *object)
{
    return object->label && !strncmp(object->label, EK_CERT, sizeof EK_CERT - 1);
}

static int fail_no_cert(hx *context, const char *token)
{
    AUTO_FREE char *where = NULL;
    AUTO_FOUND struct found others = { 0 };

    if (token_address(token, "cert", &where))
        return FAILED;
    if (find_fitting(context, where, is_ek_cert, &others))
        return fail_hx();
    if (others.count)
        return fail("token '%s' has no EK certificate in NV 0x01c00002; 'hsmux cert' prints %s", token, others.all);
    return fail("token '%s' has no EK certificate in NV 0x01c00002", token);
}

int tpm_ek_cert_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_FREE char *token = NULL, *address = NULL;
    AUTO_FOUND struct found found = { 0 };
    int status = open_context(call, &context);

    if (!status)
        status = find_tpm(call, context, &token);
    if (!status)
        status = token_address(token, "cert/" EK_CERT, &address);
    if (!status)
        status = find_objects(context, address, &found);
    if (status)
        return status;
    if (found.count == 0)
        return fail_no_cert(context, token);
    return print_cert(call, context, address);
}

enum { HASH = 32, BASE32 = (HASH * 8 + 4) / 5 };

/* RFC 4648 §6, in lower case and without padding. */
static void base32(const unsigned char in[static HASH], char ret[static BASE32 + 1])
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t bits = 0;
    int count = 0;

    for (int i = 0; i < HASH; i++) {
        bits = bits << 8 | in[i];
        for (count += 8; count >= 5; count -= 5)
            *ret++ = digits[bits >> (count - 5) & 31];
    }
    if (count)
        *ret++ = digits[bits << (5 - count) & 31];
    *ret = 0;
}

int tpm_registration_id_run(const struct call *call)
{
    CLEANUP(tpm_key_free) struct tpm_key key = { 0 };
    AUTO_MD EVP_MD *md = NULL;
    unsigned char hash[HASH];
    char id[BASE32 + 1];

    if (read_key(call, "key/ek", &key))
        return FAILED;
    md = EVP_MD_fetch(libctx(), "SHA256", NULL);
    if (!md || !EVP_Digest(key.public.data, key.public.len, hash, NULL, md, NULL))
        return fail_crypto("cannot hash");
    base32(hash, id);
    puts(id);
    return DONE;
}

/* The blob itself begins with the size of a small structure, and so with a zero byte, which no text has. */
static int read_blob(const char *path, struct blob *ret)
{
    if (read_input(path, ret))
        return FAILED;
    if (!strcmp(path, "-"))
        path = "standard input";
    if (ret->len == 0)
        return fail("'%s': is empty", path);
    if (!memchr(ret->data, 0, ret->len) && decode_base64(ret))
        return fail("'%s': is neither an activation blob nor the base64 of one", path);
    return DONE;
}

int tpm_activate_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_BLOB struct blob blob = { 0 };
    AUTO_BYTES struct hx_bytes address = { 0 };
    AUTO_FREE char *token = NULL;
    int result;

    if (open_context(call, &context))
        return FAILED;
    if (find_tpm(call, context, &token)) /* before the blob is waited for */
        return FAILED;
    if (read_blob(call->args ? call->arg[0] : "-", &blob))
        return FAILED;
    progress_start("waiting for the TPM's key", token);
    result = hx_activate(context, token, blob.data, blob.len, &address);
    progress_end();
    if (result)
        return fail_hx();
    print_clean((const char *)address.data);
    putchar('\n');
    return DONE;
}
