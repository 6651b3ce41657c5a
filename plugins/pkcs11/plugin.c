/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin: its options and its table.  Any PKCS#11 2.x module; libp11 loads it, and the module's own function
 * list does the rest, where libp11's ways would cost calls, sessions or the PIN's secrecy. */
#include "authorise.h"
#include "fork.h"
#include "object.h"

#include <openssl/err.h>

static const struct hx_option options[] = {
    { "module", "the PKCS#11 module, a shared library; unset: those registered with p11-kit", NULL, HX_LIBRARY },
    { "token", "the token's label", NULL, 0 },
    { "serial", "the token's serial number", NULL, 0 },
    { "pin", "the user PIN", NULL, HX_SECRET },
    { NULL, NULL, NULL, 0 },
};

static int open_token(const struct hx_host *host, const char *serial, void **ret)
{
    struct p11_token *token;
    int r = p11_token_open(host, serial, &token);

    if (!r)
        *ret = token;
    return r;
}

static void close_token(void *token)
{
    p11_token_close(token);
}

static int list(void *token, struct hx_list *objects)
{
    return p11_list(token, objects);
}

static int load(void *token, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info, void **ret)
{
    struct p11_object *object;
    int r = p11_load(token, kind, ref, ref_len, info, &object);

    if (!r)
        *ret = object;
    return r;
}

static void unload(void *object)
{
    p11_unload(object);
}

static int read_part(void *object, uint32_t part, struct hx_out *out)
{
    return p11_read(object, part, out);
}

static int describe(void *token, struct hx_tokens *tokens)
{
    return p11_token_describe(token, tokens);
}

static int login(void *token, const void *pin, size_t len)
{
    return p11_token_login(token, pin, len);
}

static int authorise(void *object, const void *pin, size_t len)
{
    return p11_authorise(object, pin, len);
}

/* What a module that is built on OpenSSL leaves in the thread's error queue is not the application's, and would tell
 * what was wrong with a ciphertext. */
static int quietly(hx_op *op, void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    int r;

    ERR_set_mark();
    r = op(object, alg, in, len, out);
    ERR_pop_to_mark();
    if (((struct p11_object *)object)->authorised)
        p11_authorise_over(object);
    return r;
}

static int sign(void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    return quietly(p11_sign, object, alg, in, len, out);
}

static int decrypt(void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    return quietly(p11_decrypt, object, alg, in, len, out);
}

static int derive(void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    return quietly(p11_derive, object, alg, in, len, out);
}

static int get_random(void *token, void *buf, size_t len)
{
    return p11_token_random(token, buf, len);
}

static int generate(void *token, const struct hx_spec *spec, struct hx_out *ref)
{
    return p11_generate(token, spec, ref);
}

static int import(void *token, const struct hx_spec *spec, const struct hx_buf *part, size_t parts, struct hx_out *ref)
{
    return p11_import(token, spec, part, parts, ref);
}

static int remove_object(void *token, uint32_t kind, const void *ref, size_t ref_len)
{
    return p11_remove(token, kind, ref, ref_len);
}

HX_PLUGIN(.name = "pkcs11", .version = HSMUX_VERSION, .summary = "PKCS#11 modules: smart cards, HSMs, SoftHSM",
          .options = options, .flags = HX_THREADSAFE, .open = open_token, .close = close_token, .list = list,
          .load = load, .unload = unload, .read = read_part, .scan = p11_token_scan, .describe = describe,
          .login = login, .forked = p11_forked, .sign = sign, .decrypt = decrypt, .derive = derive,
          .random = get_random, .generate = generate, .import = import, .remove = remove_object,
          .initialise = p11_token_initialise, .authorise = authorise)
