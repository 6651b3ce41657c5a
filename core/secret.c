/* SPDX-License-Identifier: Apache-2.0 */
/* Where the value of a secret option comes from: the INI, a file, a systemd credential, an object of another token. */
#include "secret.h"

#include "error.h"
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SECRET_MAX 1024

static int read_all(int fd, const char *path, struct hx_bytes *ret)
{
    unsigned char text[SECRET_MAX + 1];
    size_t len = 0;
    ssize_t got;
    int result;

    while (len < sizeof text && (got = read(fd, text + len, sizeof text - len)) != 0) {
        if (got < 0 && errno != EINTR)
            return hx_error(HX_E_CONFIG, "'%s': %s", path, strerror(errno));
        len += got > 0 ? (size_t)got : 0;
    }
    result = len > SECRET_MAX ? hx_error(HX_E_CONFIG, "'%s' is longer than %d bytes: no PIN", path, SECRET_MAX)
                              : bytes_append(ret, text, len);
    explicit_bzero(text, sizeof text);
    return result;
}

/* An editor leaves a line end behind the PIN; anything else that is no text is a mistake. */
static int trim(struct hx_bytes *secret, const char *path)
{
    if (secret->len && secret->data[secret->len - 1] == '\n')
        secret->data[--secret->len] = '\0';
    if (secret->len && secret->data[secret->len - 1] == '\r')
        secret->data[--secret->len] = '\0';
    if (!secret->len)
        return hx_error(HX_E_CONFIG, "'%s' is empty", path);
    if (memchr(secret->data, '\n', secret->len) || memchr(secret->data, '\0', secret->len))
        return hx_error(HX_E_CONFIG, "'%s' holds more than one line or a NUL: write the PIN alone", path);
    return HX_OK;
}

static int read_file(const char *path, const char *what, struct hx_bytes *ret)
{
    AUTO_BYTES struct hx_bytes secret = { 0 };
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int result;

    if (fd < 0 && errno == ENOENT)
        return hx_error(HX_E_NOT_FOUND, "no %s '%s'", what, path);
    if (fd < 0)
        return hx_error(errno == EACCES ? HX_E_ACCESS : HX_E_CONFIG, "%s '%s': %s", what, path, strerror(errno));
    if ((result = trust_secret(fd, path, what)) || (result = read_all(fd, path, &secret)) ||
        (result = trim(&secret, path)))
        return result;
    bytes_move(ret, &secret);
    return HX_OK;
}

int secret_credential(const char *name, struct hx_bytes *ret)
{
    const char *directory = secure_getenv("CREDENTIALS_DIRECTORY");
    AUTO_BYTES struct hx_bytes path = { 0 };
    int result;

    if (!directory || !*name || strchr(name, '/') || name[0] == '.')
        return hx_error(HX_E_NOT_FOUND, "no systemd credential '%s'", name);
    if ((result = bytes_printf(&path, "%s/%s", directory, name)))
        return result;
    return read_file((char *)path.data, "systemd credential", ret);
}

static int from_object(struct hx *ctx, const struct host *host, const char *address, struct hx_bytes *ret)
{
    static _Thread_local const struct host *resolving[8]; /* the tokens whose PIN waits for another token's PIN */
    static _Thread_local size_t depth;
    int result;

    for (size_t i = 0; i < depth; i++)
        if (resolving[i] == host || depth == sizeof resolving / sizeof *resolving)
            return hx_error(HX_E_CONFIG, "pin-credential of token '%s' leads back to itself", host->name);
    resolving[depth++] = host;
    result = hx_read(ctx, address, HX_VALUE, ret);
    depth--;
    return result ? hx_error_in(result, "pin-credential '%s'", address) : HX_OK;
}

int secret_fetch(struct hx *ctx, const struct host *host, const char *name, struct hx_bytes *ret)
{
    const struct option_value *value = host_value(host, name);

    if (!value)
        return HX_OK;
    if (value->value)
        return bytes_text(ret, value->value);
    if (value->file)
        return read_file(value->file, "PIN file", ret);
    if (!value->credential)
        return HX_OK;
    if (!strncmp(value->credential, "hsm:", 4))
        return from_object(ctx, host, value->credential, ret);
    return secret_credential(value->credential, ret);
}
