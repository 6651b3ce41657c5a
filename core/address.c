/* SPDX-License-Identifier: Apache-2.0 */
/* "hsm:" and "pkcs11:" addresses: parse, print, match.  redact.c makes them fit for messages. */
#include "address.h"

#include "error.h"
#include "pinfile.h"

#include <ctype.h>
#include <string.h>

#define MAX_ADDRESS 4096

static const struct kind {
    uint32_t kind;
    const char *name, *type; /* in hsm: and in pkcs11: */
} kinds[] = {
    { HX_PRIVATE_KEY, "key", "private" },
    { HX_PUBLIC_KEY, "pubkey", "public" },
    { HX_SECRET_KEY, "secret", "secret-key" },
    { HX_CERTIFICATE, "cert", "cert" },
    { HX_DATA, "data", "data" },
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* An address on its way in. */
struct parse {
    const char *text;
    struct address made;
    char *pin_source;
};

const char *kind_name(uint32_t kind)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return NULL;
}

void address_free(struct address *address)
{
    char **text[] = { &address->credential,   &address->token, &address->label, &address->serial,
                      &address->manufacturer, &address->model, &address->pin };

    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        wipe_string(text[i]);
    hx_bytes_free(&address->id);
    memset(address, 0, sizeof *address);
}

static int HX_PRINTF(2, 3) refuse(const struct parse *parse, const char *fmt, ...)
{
    AUTO_BYTES struct hx_bytes shown = { 0 };
    char what[256];
    va_list args;
    int result;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if ((result = address_redact(parse->text, &shown)))
        return result;
    return hx_error(HX_E_INVALID, "address '%.400s%s': %s", (const char *)shown.data, shown.len > 400 ? "..." : "",
                    what);
}

/* Percent decoding (RFC 3986 §2.1), in place.  ret is empty before. */
static int decode(const struct parse *parse, const char *from, size_t len, struct hx_bytes *ret)
{
    int result = bytes_append(ret, from, len);
    size_t out = 0;

    for (size_t i = 0; !result && i < len; i++) {
        unsigned char c = (unsigned char)from[i];

        if (c < ' ' || c == 0x7f || c == '#')
            return refuse(parse, "control characters and '#' must be percent-encoded");
        if (c == '%') {
            if (len - i < 3 || !isxdigit((unsigned char)from[i + 1]) || !isxdigit((unsigned char)from[i + 2]))
                return refuse(parse, "a '%%' is not followed by two hexadecimal digits");
            c = (unsigned char)strtoul((char[]){ from[i + 1], from[i + 2], '\0' }, NULL, 16);
            i += 2;
        }
        ret->data[out++] = c;
    }
    if (result)
        return result;
    explicit_bzero(ret->data + out, len - out);
    ret->len = out;
    return HX_OK;
}

/* What separates elsewhere is not taken for a part of a name or PIN: it may be a mistake. */
static int refuse_raw(const struct parse *parse, const char *from, size_t len, const char *separators)
{
    for (size_t i = 0; i < len; i++)
        if (strchr(separators, from[i]))
            return refuse(parse, "'%c' in a name or value must be written %%%02X", from[i], (unsigned)from[i]);
    return HX_OK;
}

/* A text that must not be empty; what names it in errors. */
static int decode_text(const struct parse *parse, const char *from, size_t len, const char *what, char **ret)
{
    AUTO_BYTES struct hx_bytes text = { 0 };
    int result;

    if (!len)
        return refuse(parse, "the %s is empty", what);
    if ((result = decode(parse, from, len, &text)))
        return result;
    if (memchr(text.data, '\0', text.len))
        return refuse(parse, "%%00 in the %s", what);
    *ret = (char *)text.data;
    text.data = NULL;
    return HX_OK;
}

/* id=HEX, which is all that can stand behind the '?' of an hsm: address. */
static int parse_id(struct parse *parse, const char *query)
{
    if (strncmp(query, "id=", 3) || strchr(query, '&'))
        return refuse(parse, "only one 'id=HEX' can follow the '?'");
    if (!query[3] || bytes_from_hex(&parse->made.id, query + 3))
        return refuse(parse, "the id is not an even number of hexadecimal digits");
    parse->made.has_id = true;
    return HX_OK;
}

/* KIND or KIND/LABEL. */
static int parse_object(struct parse *parse, const char *path, const char *end)
{
    const char *slash = memchr(path, '/', (size_t)(end - path));
    size_t len = (size_t)((slash ? slash : end) - path);
    int result;

    for (size_t i = 0; i < KINDS; i++)
        if (strlen(kinds[i].name) == len && !memcmp(kinds[i].name, path, len))
            parse->made.kind = kinds[i].kind;
    if (!parse->made.kind)
        return refuse(parse, "unknown kind: there are key, pubkey, cert, secret and data");
    if (!slash)
        return HX_OK;
    slash++;
    if ((result = refuse_raw(parse, slash, (size_t)(end - slash), "/")))
        return result;
    return decode_text(parse, slash, (size_t)(end - slash), "label", &parse->made.label);
}

static int parse_hsm(struct parse *parse, const char *path)
{
    const char *end = path + strcspn(path, "?"), *slash = memchr(path, '/', (size_t)(end - path));
    int result = refuse_raw(parse, path, (size_t)(end - path), ";&");

    if (result)
        return result;
    if (!slash && *end)
        return refuse(parse, "'?' must follow TOKEN/KIND");
    if (!slash && path == end)
        return (parse->made.credential = string_copy("")) ? HX_OK : hx_error(HX_E_NO_MEMORY, "out of memory");
    if (!slash)
        return decode_text(parse, path, (size_t)(end - path), "name", &parse->made.credential);
    if ((result = decode_text(parse, path, (size_t)(slash - path), "token's name", &parse->made.token)) ||
        (slash[1] && (result = parse_object(parse, slash + 1, end))))
        return result;
    return *end ? parse_id(parse, end + 1) : HX_OK;
}

static int parse_type(struct parse *parse, const char *value, size_t len)
{
    if (parse->made.kind)
        return refuse(parse, "'type' appears twice");
    for (size_t i = 0; i < KINDS; i++)
        if (strlen(kinds[i].type) == len && !memcmp(kinds[i].type, value, len))
            parse->made.kind = kinds[i].kind;
    if (!parse->made.kind)
        return refuse(parse, "unknown type: there are private, public, cert, secret-key and data");
    return HX_OK;
}

/* An id is bytes: %00 is good here. */
static int parse_pkcs11_id(struct parse *parse, const char *value, size_t len)
{
    if (parse->made.has_id)
        return refuse(parse, "'id' appears twice");
    if (!len)
        return refuse(parse, "the id is empty");
    parse->made.has_id = true;
    return decode(parse, value, len, &parse->made.id);
}

/* Where the text of that attribute goes; NULL: it is none. */
static char **find_text(struct parse *parse, const char *name)
{
    const struct text {
        const char *name;
        char **at;
    } texts[] = {
        { "token", &parse->made.token },      { "manufacturer", &parse->made.manufacturer },
        { "model", &parse->made.model },      { "serial", &parse->made.serial },
        { "object", &parse->made.label },     { "pin-value", &parse->made.pin },
        { "pin-source", &parse->pin_source },
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(texts[i].name, name))
            return texts[i].at;
    return NULL;
}

static int refuse_attribute(const struct parse *parse, const char *name)
{
    if (parse->made.pin || parse->pin_source)
        return refuse(parse, "what follows the PIN is unknown (';' is written %%3B and '&' %%26 in a PIN)");
    if (!strncmp(name, "slot-", 5) || !strncmp(name, "module-", 7) || !strncmp(name, "library-", 8))
        return refuse(parse, "'%s' has its place in a [token] section, not in an address", name);
    return refuse(parse, "unknown attribute '%s'", name);
}

/* name=value (RFC 7512 §2.3); the PIN may stand in the path as well as in the query. */
static int parse_attribute(struct parse *parse, const char *piece, size_t len, bool query)
{
    size_t name_len = strspn(piece, "abcdefghijklmnopqrstuvwxyz0123456789-");
    const char *value = piece + name_len + 1;
    char name[32], **text;
    int result;

    if (!len)
        return refuse(parse, "an attribute is empty");
    if (!name_len || name_len >= len || piece[name_len] != '=' || name_len >= sizeof name)
        return refuse(parse, "an attribute is not 'name=value'");
    memcpy(name, piece, name_len);
    name[name_len] = '\0';
    len -= name_len + 1;
    if ((result = refuse_raw(parse, value, len, query ? ";" : strncmp(name, "pin-", 4) ? "&/" : "&")))
        return result;
    text = find_text(parse, name);
    if (query && strncmp(name, "pin-", 4) && (text || !strcmp(name, "type") || !strcmp(name, "id")))
        return refuse(parse, "'%s' must stand before the '?'", name);
    if (!strcmp(name, "type"))
        return parse_type(parse, value, len);
    if (!strcmp(name, "id"))
        return parse_pkcs11_id(parse, value, len);
    if (!text)
        return refuse_attribute(parse, name);
    if (*text)
        return refuse(parse, "'%s' appears twice", name);
    return decode_text(parse, value, len, name, text);
}

static int parse_attributes(struct parse *parse, const char *at, const char *end, char separator, bool query)
{
    int result = HX_OK;

    if (at == end)
        return HX_OK;
    while (!result && at <= end) { /* at the end itself an empty attribute stands, behind a last separator */
        const char *stop = memchr(at, separator, (size_t)(end - at));

        stop = stop ? stop : end;
        result = parse_attribute(parse, at, (size_t)(stop - at), query);
        at = stop + 1;
    }
    return result;
}

static int parse_pkcs11(struct parse *parse, const char *text)
{
    const char *end = text + strcspn(text, "?"), *query = *end ? end + 1 : end;
    int result;

    parse->made.pkcs11 = true;
    if ((result = parse_attributes(parse, text, end, ';', false)) ||
        (result = parse_attributes(parse, query, query + strlen(query), '&', true)))
        return result;
    if (parse->made.pin && parse->pin_source)
        return refuse(parse, "'pin-value' and 'pin-source' exclude each other");
    return HX_OK;
}

/* pin-source is a path or a "file:" URI (RFC 7512 §2.4), whose path is percent-encoded once more. */
static int find_source(const struct parse *parse, char **ret)
{
    static const char *const heads[] = { "file:///", "file://localhost/", "file:/" };
    const char *path = parse->pin_source;

    if (*path == '/')
        return (*ret = string_copy(path)) ? HX_OK : hx_error(HX_E_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t len = strlen(heads[i]);

        if (!strncmp(path, heads[i], len) && path[len] != '/')
            return decode_text(parse, path + len - 1, strlen(path + len - 1), "pin-source", ret);
    }
    return refuse(parse, "pin-source is neither an absolute path nor a 'file:' URI");
}

static int parse_any(struct parse *parse)
{
    AUTO_WIPE char *source = NULL;
    struct hx_bytes pin = { 0 };
    int result;

    if (!strncmp(parse->text, "hsm:", 4))
        return parse_hsm(parse, parse->text + 4);
    if (strncmp(parse->text, "pkcs11:", 7))
        return refuse(parse, "it begins with neither 'hsm:' nor 'pkcs11:'");
    if ((result = parse_pkcs11(parse, parse->text + 7)) || !parse->pin_source)
        return result;
    if ((result = find_source(parse, &source)))
        return result;
    result = pinfile_read(source, "PIN file", &pin);
    parse->made.pin = (char *)pin.data; /* address_free() wipes it */
    return result == HX_E_NOT_FOUND ? HX_E_CONFIG : result; /* it is not the object that was not found */
}

int address_parse(const char *text, struct address *ret)
{
    struct parse parse = { .text = text };
    int result;

    if (strlen(text) > MAX_ADDRESS)
        return hx_error(HX_E_INVALID, "an address of %zu bytes, where %d are allowed", strlen(text), MAX_ADDRESS);
    result = parse_any(&parse);
    wipe_string(&parse.pin_source);
    if (result)
        address_free(&parse.made);
    else
        *ret = parse.made;
    return result;
}

/* All but the unreserved characters (RFC 3986 §2.3). */
static int encode(struct hx_bytes *ret, const char *text)
{
    int result = HX_OK;

    for (; !result && *text; text++) {
        bool unreserved = isascii(*text) && (isalnum(*text) || strchr("-._~", *text));

        result = unreserved ? bytes_append(ret, text, 1) : bytes_printf(ret, "%%%02X", (unsigned char)*text);
    }
    return result;
}

int address_print(const char *token, const struct hx_object *object, bool by_id, struct hx_bytes *ret)
{
    AUTO_BYTES struct hx_bytes made = { 0 };
    bool labelled = object->label && *object->label;
    int result;

    if (!kind_name(object->kind))
        return hx_error(HX_E_INVALID, "an object of unknown kind %u", (unsigned)object->kind);
    if ((result = bytes_text(&made, "hsm:")) || (result = encode(&made, token)) ||
        (result = bytes_printf(&made, "/%s", kind_name(object->kind))))
        return result;
    if (labelled && ((result = bytes_text(&made, "/")) || (result = encode(&made, object->label))))
        return result;
    if (object->id.len && (by_id || !labelled) &&
        ((result = bytes_text(&made, "?id=")) || (result = bytes_to_hex(&made, object->id.data, object->id.len))))
        return result;
    bytes_move(ret, &made);
    return HX_OK;
}

bool address_fits(const struct address *address, const struct hx_object *object)
{
    if (address->kind && address->kind != object->kind)
        return false;
    if (address->label && (!object->label || strcmp(address->label, object->label)))
        return false;
    return !address->has_id || bytes_equal(address->id.data, address->id.len, object->id.data, object->id.len);
}

static size_t trimmed(const char *text)
{
    size_t len = strlen(text);

    while (len && text[len - 1] == ' ')
        len--;
    return len;
}

/* A PKCS#11 token pads its names with blanks (PKCS#11 v2.40 §3.2). */
static bool fits_padded(const char *wanted, const char *found)
{
    return !wanted || (found && bytes_equal(wanted, trimmed(wanted), found, trimmed(found)));
}

bool address_fits_token(const struct address *address, const struct hx_token_info *info)
{
    if (!address->pkcs11)
        return true;
    if (address->serial && (!info->serial || strcmp(address->serial, info->serial)))
        return false;
    return fits_padded(address->token, info->label) && fits_padded(address->manufacturer, info->manufacturer) &&
           fits_padded(address->model, info->model);
}
