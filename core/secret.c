/* SPDX-License-Identifier: Apache-2.0 */
/* Where the value of a secret option comes from: the INI, a file, a systemd credential, an object of another token. */
#include "secret.h"

#include "error.h"
#include "pinfile.h"

#include <string.h>

int secret_credential(const char *name, struct hx_bytes *ret)
{
    const char *directory = secure_getenv("CREDENTIALS_DIRECTORY");
    AUTO_BYTES struct hx_bytes path = { 0 };
    int result;

    if (!directory || !*name || strchr(name, '/') || name[0] == '.')
        return hx_error(HX_E_NOT_FOUND, "no systemd credential '%s'", name);
    if ((result = bytes_printf(&path, "%s/%s", directory, name)))
        return result;
    return pinfile_read((char *)path.data, "systemd credential", ret);
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
    if (!result)
        pinfile_strip(ret); /* it was a PIN file once */
    if (!result && !ret->len)
        result = hx_error(HX_E_CONFIG, "it is empty");
    return result ? hx_error_in(result, "pin-credential '%s'", address) : HX_OK;
}

static int fetch(struct hx *ctx, const struct host *host, const struct option_value *value, struct hx_bytes *ret)
{
    if (value->value)
        return bytes_text(ret, value->value);
    if (value->file)
        return pinfile_read(value->file, "PIN file", ret);
    if (!value->credential)
        return HX_OK;
    if (!strncmp(value->credential, "hsm:", 4))
        return from_object(ctx, host, value->credential, ret);
    return secret_credential(value->credential, ret);
}

int secret_fetch(struct hx *ctx, const struct host *host, const char *name, struct hx_bytes *ret)
{
    const struct option_value *value = host_value(host, name);
    int result = value ? fetch(ctx, host, value, ret) : HX_OK;

    /* Not found would mean that there is no such key or token, and another would be taken for it. */
    return result == HX_E_NOT_FOUND ? HX_E_CONFIG : result;
}
