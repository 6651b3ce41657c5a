/* SPDX-License-Identifier: Apache-2.0 */
/* struct hx_bytes: a growing buffer that is wiped wherever it moves from and when it is freed. */
#include "bytes.h"

#include "error.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void hx_bytes_free(struct hx_bytes *bytes)
{
    if (!bytes || !bytes->data)
        return;
    explicit_bzero(bytes->data, bytes->len);
    free(bytes->data);
    bytes->data = NULL;
    bytes->len = 0;
}

void bytes_reset(struct hx_bytes *bytes)
{
    if (bytes->data)
        explicit_bzero(bytes->data, bytes->len);
    bytes->len = 0;
}

int bytes_append(struct hx_bytes *bytes, const void *data, size_t len)
{
    unsigned char *grown;

    if (len > SIZE_MAX / 2 - bytes->len)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    grown = malloc(bytes->len + len + 1); /* not realloc: it would leave an unwiped copy behind */
    if (!grown)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    if (bytes->len)
        memcpy(grown, bytes->data, bytes->len);
    if (len)
        memcpy(grown + bytes->len, data, len);
    len += bytes->len;
    grown[len] = '\0';
    hx_bytes_free(bytes);
    bytes->data = grown;
    bytes->len = len;
    return HX_OK;
}

int bytes_text(struct hx_bytes *bytes, const char *text)
{
    return bytes_append(bytes, text, strlen(text));
}

int bytes_printf(struct hx_bytes *bytes, const char *fmt, ...)
{
    AUTO_WIPE char *text = NULL;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0) {
        text = NULL;
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    return bytes_append(bytes, text, (size_t)len);
}

void bytes_move(struct hx_bytes *ret, struct hx_bytes *from)
{
    *ret = *from;
    from->data = NULL;
    from->len = 0;
}

bool bytes_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
    return a_len == b_len && (a_len == 0 || !memcmp(a, b, a_len));
}

char *string_copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

void wipe_string(char **text)
{
    if (!*text)
        return;
    explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

int bytes_to_hex(struct hx_bytes *ret, const void *data, size_t len)
{
    int result = bytes_append(ret, "", 0);

    for (size_t i = 0; !result && i < len; i++)
        result = bytes_printf(ret, "%02X", ((const unsigned char *)data)[i]);
    return result;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int bytes_from_hex(struct hx_bytes *ret, const char *hex)
{
    AUTO_BYTES struct hx_bytes made = { 0 };

    for (; hex[0]; hex += 2) {
        unsigned char byte;
        int result;

        if (digit(hex[0]) < 0 || digit(hex[1]) < 0)
            return hx_error(HX_E_INVALID, "not an even number of hexadecimal digits");
        byte = (unsigned char)(digit(hex[0]) << 4 | digit(hex[1]));
        if ((result = bytes_append(&made, &byte, 1)))
            return result;
    }
    bytes_move(ret, &made);
    return HX_OK;
}
