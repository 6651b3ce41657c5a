/* SPDX-License-Identifier: Apache-2.0 */
/* The tpm2 plugin: its options and its table.  Each callback holds the TPM's lock while it is in the rooms. */
#include "auth.h"
#include "crypto.h"

static const struct hx_option options[] = {
    { "tcti", "how the TPM is reached, as in tpm2-tss; unset: device:/dev/tpmrm0", NULL, 0 },
    { "pin", "the auth value of the keys", NULL, HX_SECRET },
    { "owner-auth", "the auth value of the owner hierarchy", NULL, HX_SECRET },
    { "endorsement-auth", "the auth value of the endorsement hierarchy", NULL, HX_SECRET },
    { "key-files", "a directory of TSS2 PRIVATE KEY files", NULL, 0 },
    { "directory", "where labels, certificates and sealed data lie; unset: the usual place", NULL, 0 },
    { "parameter-encryption", "yes: PINs and secrets are encrypted on the way to a discrete TPM", NULL, 0 },
    { NULL, NULL, NULL, 0 },
};

static int open_token(const struct hx_host *host, const char *serial, void **ret)
{
    struct tpm_token *token;
    int result = tpm_token_open(host, serial, &token);

    if (!result)
        *ret = token;
    return result;
}

static void close_token(void *token)
{
    tpm_token_close(token);
}

static int list(void *p, struct hx_list *objects)
{
    struct tpm_token *token = p;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_list(token, objects);
    tpm_leave(token);
    return result;
}

static int load(void *p, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info, void **ret)
{
    struct tpm_token *token = p;
    struct tpm_object *object;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_load(token, kind, ref, ref_len, info, &object);
    tpm_leave(token);
    if (!result)
        *ret = object;
    return result;
}

/* Also of a TPM that was lost: what it had of the object in this process goes. */
static void unload(void *p)
{
    struct tpm_object *object = p;
    struct tpm *tpm = object->token->tpm;

    tpm_lock(tpm);
    tpm_unload(object);
    tpm_unlock(tpm);
}

static int read_part(void *p, uint32_t part, struct hx_out *out)
{
    struct tpm_object *object = p;
    struct tpm_token *token = object->token;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_read(object, part, out);
    tpm_leave(token);
    return result;
}

static int describe(void *p, struct hx_tokens *tokens)
{
    struct tpm_token *token = p;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_token_describe(token, tokens);
    tpm_leave(token);
    return result;
}

static int login(void *p, const void *pin, size_t len)
{
    struct tpm_token *token = p;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_token_login(token, pin, len);
    tpm_leave(token);
    return result;
}

typedef int operate_fn(struct tpm_object *, const struct hx_alg *, const void *, size_t, struct hx_out *);

static int operate(operate_fn *fn, struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len,
                   struct hx_out *out)
{
    struct tpm_token *token = object->token;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = fn(object, alg, in, len, out);
    tpm_leave(token);
    return result;
}

static int sign(void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    return operate(tpm_sign, object, alg, in, len, out);
}

static int decrypt(void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    return operate(tpm_decrypt, object, alg, in, len, out);
}

static int derive(void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    return operate(tpm_derive, object, alg, in, len, out);
}

static int remove_object(void *p, uint32_t kind, const void *ref, size_t ref_len)
{
    struct tpm_token *token = p;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_remove(token, kind, ref, ref_len);
    tpm_leave(token);
    return result;
}

static void forked(void)
{
    tpm_forked();
    tpm_crypto_forked();
}

static int authorise(void *p, const void *pin, size_t len)
{
    struct tpm_object *object = p;
    struct tpm_token *token = object->token;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_authorise(object, pin, len);
    tpm_leave(token);
    return result;
}

static int activate(void *p, const void *blob, size_t len, struct hx_out *ref)
{
    struct tpm_token *token = p;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_activate(token, blob, len, ref);
    tpm_leave(token);
    return result;
}

static int get_random(void *p, void *buf, size_t len)
{
    struct tpm_token *token = p;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_token_random(token, buf, len);
    tpm_leave(token);
    return result;
}

static int generate(void *p, const struct hx_spec *spec, struct hx_out *ref)
{
    struct tpm_token *token = p;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_generate(token, spec, ref);
    tpm_leave(token);
    return result;
}

static int import(void *p, const struct hx_spec *spec, const struct hx_buf *part, size_t parts, struct hx_out *ref)
{
    struct tpm_token *token = p;
    int result = tpm_enter(token);

    if (result)
        return result;
    result = tpm_import(token, spec, part, parts, ref);
    tpm_leave(token);
    return result;
}

HX_PLUGIN(.name = "tpm2", .version = HSMUX_VERSION, .summary = "TPM 2.0: persistent keys, key files, attestation",
          .options = options, .flags = HX_THREADSAFE, .open = open_token, .close = close_token, .list = list,
          .load = load, .unload = unload, .read = read_part, .scan = tpm_token_scan, .describe = describe,
          .login = login, .forked = forked, .sign = sign, .decrypt = decrypt, .derive = derive, .random = get_random,
          .generate = generate, .import = import, .remove = remove_object, .activate = activate, .authorise = authorise)
