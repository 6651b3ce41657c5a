/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses for messages.  What is shown is what is known to be public: so a PIN whose attribute is misspelt, or that
 * holds a separator, is hidden as well. */
#include "address.h"

#include <string.h>
#include <strings.h>

static bool is_public(const char *name, size_t len)
{
    static const char *const names[] = { "token", "manufacturer", "model", "serial", "object", "type", "id" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == len && !memcmp(names[i], name, len))
            return true;
    return false;
}

static bool names_pin(const char *name, size_t len)
{
    for (size_t i = 0; i + 3 <= len; i++)
        if (!strncasecmp(name + i, "pin", 3))
            return true;
    return false;
}

/* One piece between separators.  plain: it may be shown where it is no attribute at all. */
static int redact_piece(struct hx_bytes *shown, const char *piece, size_t len, bool plain, bool *after_pin)
{
    const char *equals = memchr(piece, '=', len);
    size_t name_len = equals ? (size_t)(equals - piece) : 0;
    int result;

    if (!equals)
        return plain || !len ? bytes_append(shown, piece, len) : bytes_text(shown, "...");
    if (is_public(piece, name_len) && !memchr(equals + 1, '=', len - name_len - 1))
        return bytes_append(shown, piece, len);
    if (!*after_pin && (result = bytes_append(shown, piece, name_len + 1)))
        return result;
    *after_pin |= names_pin(piece, name_len);
    return bytes_text(shown, "...");
}

int address_redact(const char *text, struct hx_bytes *ret)
{
    AUTO_BYTES struct hx_bytes shown = { 0 };
    bool plain = strncmp(text, "pkcs11:", 7), after_pin = false;
    size_t len = plain ? 0 : 7;
    int result = bytes_append(&shown, text, len);

    for (text += len; !result; text += len + 1) {
        len = strcspn(text, ";&?");
        result = redact_piece(&shown, text, len, plain, &after_pin);
        if (!text[len])
            break;
        if (!result)
            result = bytes_append(&shown, text + len, 1);
        plain = false;
    }
    if (result)
        return result;
    bytes_move(ret, &shown);
    return HX_OK;
}
