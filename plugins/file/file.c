/* SPDX-License-Identifier: Apache-2.0 */
/* The file plugin's table: a token that is a directory of keys, certificates, secrets and data.  Each callback leaves
 * the calling thread's OpenSSL error queue as it was. */
#include "crypto.h"
#include "list.h"
#include "login.h"
#include "make.h"
#include "object.h"
#include "store.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct hx_option options[] = {
    { "directory", "where the files lie; the usual place depends on the user", NULL, 0 },
    { "pin", "the passphrase of encrypted keys; with one, new keys are encrypted", NULL, HX_SECRET },
    { NULL, NULL, NULL, 0 },
};

static void file_close(void *p)
{
    struct token *token = p;
    if (token->held >= 0)
        close(token->held);
    pthread_mutex_destroy(&token->lock);
    free(token->path);
    explicit_bzero(token, sizeof *token);
    free(token);
}

static int file_open(const struct hx_host *host, const char *serial, void **ret)
{
    struct token *token = calloc(1, sizeof *token);
    if (!token)
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    token->host = host;
    token->held = -1;
    pthread_mutex_init(&token->lock, NULL);
    bool missing = false;
    int result = directory_path(host, &token->path);
    if (!result && serial && strcmp(serial, token->path))
        result = hx_fail(host, HX_E_NOT_FOUND, "there is no token '%s', but '%s'", serial, token->path);
    if (!result)
        result = directory_missing(token, &missing);
    if (!result && !missing)
        result = directory_open(token, false, &token->held);
    if (result) {
        file_close(token);
        return result;
    }
    *ret = token;
    return 0;
}

static int tell(struct token *token, struct hx_tokens *tokens)
{
    bool encrypted = false;
    int result = list_encrypted(token, &encrypted);
    if (result)
        return result;
    struct hx_token_info info = {
        .flags = encrypted ? HX_TOKEN_LOGIN : 0,
        .label = "file",
        .serial = token->path,
        .manufacturer = "hsmux",
        .model = "directory",
    };
    return hx_add(tokens, &info);
}

static int file_describe(void *token, struct hx_tokens *tokens)
{
    ERR_set_mark();
    int result = tell(token, tokens);
    ERR_pop_to_mark();
    return result;
}

static int file_list(void *token, struct hx_list *list)
{
    ERR_set_mark();
    int result = list_objects(token, list);
    ERR_pop_to_mark();
    return result;
}

static int file_load(void *token, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info, void **ret)
{
    ERR_set_mark();
    int result = object_load(token, kind, ref, ref_len, info, ret);
    ERR_pop_to_mark();
    return result;
}

static int file_login(void *token, const void *pin, size_t len)
{
    ERR_set_mark();
    int result = login_try(token, pin, len);
    ERR_pop_to_mark();
    return result;
}

static int file_sign(void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    ERR_set_mark();
    int result = object_sign(object, alg, in, len, out);
    ERR_pop_to_mark();
    return result;
}

static int file_decrypt(void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    ERR_set_mark();
    int result = object_decrypt(object, alg, in, len, out);
    ERR_pop_to_mark();
    return result;
}

static int file_derive(void *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    ERR_set_mark();
    int result = object_derive(object, alg, in, len, out);
    ERR_pop_to_mark();
    return result;
}

static int file_random(void *p, void *buf, size_t len)
{
    const struct token *token = p;
    OSSL_LIB_CTX *lib = crypto_context();
    ERR_set_mark();
    int result = lib && RAND_priv_bytes_ex(lib, buf, len, 256) > 0
                     ? 0
                     : hx_fail(token->host, HX_E_DEVICE, "no random bytes: %s", crypto_reason());
    ERR_pop_to_mark();
    return result;
}

static int file_generate(void *token, const struct hx_spec *spec, struct hx_out *ref)
{
    ERR_set_mark();
    int result = make_generate(token, spec, ref);
    ERR_pop_to_mark();
    return result;
}

static int file_import(void *token, const struct hx_spec *spec, const struct hx_buf *part, size_t parts,
                       struct hx_out *ref)
{
    ERR_set_mark();
    int result = make_import(token, spec, part, parts, ref);
    ERR_pop_to_mark();
    return result;
}

static int file_remove(void *token, uint32_t kind, const void *ref, size_t ref_len)
{
    ERR_set_mark();
    int result = store_remove(token, kind, ref, ref_len);
    ERR_pop_to_mark();
    return result;
}

HX_PLUGIN(.name = "file", .version = HSMUX_VERSION, .summary = "keys in a directory, encrypted if there is a PIN",
          .options = options, .flags = HX_THREADSAFE, .open = file_open, .close = file_close, .list = file_list,
          .load = file_load, .unload = object_unload, .read = object_read, .describe = file_describe,
          .login = file_login, .forked = crypto_forked, .sign = file_sign, .decrypt = file_decrypt,
          .derive = file_derive, .random = file_random, .generate = file_generate, .import = file_import,
          .remove = file_remove)
