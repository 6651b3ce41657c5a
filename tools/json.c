/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from what tokens and plugins say, whatever bytes that holds. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

/* A label that is no UTF-8 is shown as Latin-1 would be: every byte survives, and it stays JSON. */
json_t *json_text(const char *text)
{
    AUTO_FREE char *wide = NULL;
    json_t *json;
    char *out;

    if (!text)
        return json_null();
    json = json_string(text);
    if (json)
        return json;
    wide = out = calloc(2, strlen(text) + 1);
    if (!wide)
        return NULL;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c >= 0x80)
            *out++ = (char)(0xc0 | *c >> 6);
        *out++ = (char)(*c >= 0x80 ? 0x80 | (*c & 0x3f) : *c);
    }
    *out = 0;
    return json_string(wide);
}

json_t *json_hex(struct hx_buf buf)
{
    AUTO_FREE char *digits = malloc(2 * buf.len + 1);
    const unsigned char *bytes = buf.data;

    if (!digits)
        return NULL;
    digits[0] = 0;
    for (size_t i = 0; i < buf.len; i++)
        snprintf(digits + 2 * i, 3, "%02X", bytes[i]);
    return json_string(digits);
}

int print_json(json_t *json)
{
    AUTO_FREE char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;

    if (!text)
        return fail("out of memory");
    puts(text);
    return DONE;
}
