/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates in reach: on tokens, in files, in the certificate directory; paired with keys, joined to chains. */
#include "certificate.h"

#include "error.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FILE_MAX (1u << 20)
#define CHAIN_MAX 10

static void certificate_free(struct certificate *certificate)
{
    hx_bytes_free(&certificate->der);
    cert_facts_free(&certificate->facts);
    hx_bytes_free(&certificate->id);
    free(certificate->where);
}

void pool_free(struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        certificate_free(&pool->certificate[i]);
    free(pool->certificate);
    *pool = (struct pool){ 0 };
}

static int add(struct pool *pool, const struct token *token, const struct hx_buf *id, const char *where,
               const void *der, size_t len)
{
    struct certificate *grown = realloc(pool->certificate, (pool->count + 1) * sizeof *grown), *made;
    int result;

    if (!grown)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    pool->certificate = grown;
    made = &grown[pool->count];
    *made = (struct certificate){ .token = token, .where = string_copy(where) };
    result = cert_facts(der, len, &made->facts);
    if (!result)
        result = bytes_append(&made->der, der, len);
    if (!result && id)
        result = bytes_append(&made->id, id->data, id->len);
    if (result) {
        certificate_free(made);
        return result;
    }
    pool->count++;
    return HX_OK;
}

/* Any other failure may pass, and must not decide who this device is. */
static bool stays_unreadable(int result)
{
    return result == HX_E_UNSUPPORTED || result == HX_E_INVALID || result == HX_E_NOT_FOUND || result == HX_E_LOGIN ||
           result == HX_E_ACCESS;
}

static int add_object(struct pool *pool, struct hx *ctx, struct token *token, const struct object *object)
{
    AUTO_BYTES struct hx_bytes where = { 0 };
    AUTO_BYTES struct hx_bytes der = { 0 };
    int result = address_print(context_name(ctx, token), &object->info, true, &where);

    if (result)
        return result;
    result = object_read(ctx, token, object, HX_VALUE, &der);
    if (result && !stays_unreadable(result))
        return result;
    if (result || (result = add(pool, token, &object->info.id, (char *)where.data, der.data, der.len)))
        hx_log(LOG_INFO, "certificate '%s' is passed over: %s", (char *)where.data, hx_last_error());
    return result == HX_E_NO_MEMORY ? result : HX_OK;
}

int pool_add_token(struct pool *pool, struct hx *ctx, struct token *token)
{
    AUTO_OBJECTS struct object_list list = { 0 };
    struct hx_object want = { .kind = HX_CERTIFICATE };
    int result = object_list(ctx, token, &want, &list);

    for (size_t i = 0; i < list.count && !result; i++)
        if (list.object[i].info.kind == HX_CERTIFICATE)
            result = add_object(pool, ctx, token, &list.object[i]);
    return result;
}

struct filing {
    struct pool *pool;
    const char *path;
};

static int add_from_file(void *arg, const void *der, size_t len)
{
    const struct filing *filing = arg;

    return add(filing->pool, NULL, NULL, filing->path, der, len);
}

static int read_file(const char *path, struct hx_bytes *ret)
{
    AUTO_FREE char *text = NULL;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    ssize_t got = -1;

    if (fd < 0 || fstat(fd, &st))
        return hx_error(errno == EACCES ? HX_E_ACCESS : HX_E_CONFIG, "certificate file '%s': %s", path,
                        strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        return hx_error(HX_E_CONFIG, "certificate file '%s': no regular file of at most 1 MiB", path);
    if ((text = malloc((size_t)st.st_size + 1)))
        got = read(fd, text, (size_t)st.st_size);
    if (got < 0)
        return hx_error(HX_E_CONFIG, "certificate file '%s': %s", path, strerror(errno));
    return bytes_append(ret, text, (size_t)got);
}

int pool_add_file(struct pool *pool, const char *path, size_t *ret_first)
{
    AUTO_BYTES struct hx_bytes text = { 0 };
    struct filing filing = { pool, path };
    size_t first = pool->count;
    int result = read_file(path, &text);

    if (result)
        return result;
    if ((result = cert_each(text.data, text.len, add_from_file, &filing)))
        return hx_error_in(result, "certificate file '%s'", path);
    if (pool->count == first)
        return hx_error(HX_E_CONFIG, "certificate file '%s': there is no certificate in it", path);
    *ret_first = first;
    return HX_OK;
}

int pool_add_named(struct pool *pool, struct hx *ctx, const char *where, size_t *ret_first)
{
    AUTO_TOKEN struct token *token = NULL;
    AUTO_OBJECT struct object object = { 0 };
    AUTO_BYTES struct hx_bytes der = { 0 };
    int result;

    if (strncmp(where, "hsm:", 4) && strncmp(where, "pkcs11:", 7))
        return pool_add_file(pool, where, ret_first);
    if ((result = object_find(ctx, where, HX_CERTIFICATE, &token, &object)) ||
        (result = object_read(ctx, token, &object, HX_VALUE, &der)) ||
        (result = add(pool, token, &object.info.id, where, der.data, der.len)))
        return result;
    *ret_first = pool->count - 1;
    return HX_OK;
}

static int is_certificate(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && dot &&
           (!strcmp(dot, ".pem") || !strcmp(dot, ".crt") || !strcmp(dot, ".cer") || !strcmp(dot, ".der"));
}

int pool_add_directory(struct pool *pool, const struct hx *ctx)
{
    AUTO_BYTES struct hx_bytes directory = { 0 };
    const char *slash = strrchr(ctx->config->path, '/');
    struct dirent **names = NULL;
    int count, result = HX_OK;

    if ((result = bytes_append(&directory, ctx->config->path, slash ? (size_t)(slash - ctx->config->path) + 1 : 0)) ||
        (result = bytes_text(&directory, "certs")))
        return result;
    count = scandir((char *)directory.data, &names, is_certificate, alphasort);
    for (int i = 0; i < count; i++) {
        AUTO_BYTES struct hx_bytes path = { 0 };
        size_t first;

        if (!result && !(result = bytes_printf(&path, "%s/%s", (char *)directory.data, names[i]->d_name)) &&
            pool_add_file(pool, (char *)path.data, &first))
            hx_log(LOG_WARNING, "%s: passed over", hx_last_error());
        free(names[i]);
    }
    free(names);
    return result;
}

const char *certificate_problem(const struct certificate *certificate)
{
    int64_t now = time(NULL);

    if (now < certificate->facts.not_before)
        return "not yet valid";
    return now > certificate->facts.not_after ? "expired" : NULL;
}

static bool better(const struct certificate *a, const struct certificate *b)
{
    bool valid = !certificate_problem(a), other_valid = !certificate_problem(b);

    if (a->facts.is_ca != b->facts.is_ca)
        return !a->facts.is_ca;
    if (valid != other_valid)
        return valid;
    if (a->facts.not_before != b->facts.not_before)
        return a->facts.not_before > b->facts.not_before;
    return a->facts.not_after > b->facts.not_after;
}

const struct certificate *pool_leaf(const struct pool *pool, const struct hx_bytes *spki)
{
    const struct certificate *best = NULL;

    for (size_t i = 0; i < pool->count; i++) {
        const struct certificate *c = &pool->certificate[i];

        if (bytes_equal(c->facts.spki.data, c->facts.spki.len, spki->data, spki->len) && (!best || better(c, best)))
            best = c;
    }
    return best;
}

static bool self_issued(const struct certificate *c)
{
    return bytes_equal(c->facts.subject.data, c->facts.subject.len, c->facts.issuer.data, c->facts.issuer.len);
}

static const struct certificate *issuer_of(const struct pool *pool, const struct certificate *c)
{
    for (size_t i = 0; i < pool->count; i++) {
        const struct certificate *issuer = &pool->certificate[i];

        if (issuer != c && issuer->facts.is_ca &&
            cert_issued_by(c->der.data, c->der.len, issuer->der.data, issuer->der.len))
            return issuer;
    }
    return NULL;
}

int pool_chain(const struct pool *pool, const struct certificate *leaf, struct hx_bytes *ret)
{
    int result = cert_to_pem(leaf->der.data, leaf->der.len, ret);
    const struct certificate *c = self_issued(leaf) ? NULL : issuer_of(pool, leaf);

    for (int depth = 0; c && !self_issued(c) && depth < CHAIN_MAX && !result; depth++) {
        result = cert_to_pem(c->der.data, c->der.len, ret);
        c = issuer_of(pool, c);
    }
    return result;
}
