/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of INI to sections and settings.  inih reads them, but cuts long lines and names, stops at NUL, takes ' ;' for
 * a comment and an indented line for a continuation, all in silence: so our reader looks at each line first, and any
 * doubt is an error.  No error shows a value that might be a secret. */
#include "lines.h"

#include "error.h"

#include <ini.h>
#include <string.h>

#define MAX_LINE 198 /* inih's buffer of 200 bytes holds a newline and a NUL as well */
#define MAX_NAME 49 /* of a section or a key, in inih */
#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"

/* What our reader and inih's handler share. */
struct parse {
    struct config *config;
    struct hx_bytes *text; /* a NUL follows each line that was looked at */
    size_t at;
    unsigned line;
    struct section *section;
    char key[MAX_NAME + 1]; /* of the line just given to inih; empty when the handler took it */
    const char *value;
    int result;
};

static int out_of_memory(void)
{
    return hx_error(HX_E_NO_MEMORY, "out of memory");
}

/* The length of the UTF-8 sequence (RFC 3629 §4) at s, which a NUL ends; 0: it is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

/* Is it text, and short enough for inih? */
static int check_bytes(const struct parse *parse, const char *line, size_t len)
{
    const unsigned char *s = (const unsigned char *)line;
    size_t step;

    if (parse->line == 1 && len >= 3 && !memcmp(line, "\xef\xbb\xbf", 3))
        return config_error(parse->config, 1, "the file begins with a byte order mark: save it without one");
    for (size_t i = 0; i < len; i += step) {
        step = utf8_length(s + i);
        if (!step)
            return config_error(parse->config, parse->line, "column %zu: a byte that is not UTF-8", i + 1);
        if ((s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f)
            return config_error(parse->config, parse->line, "column %zu: a control character", i + 1);
    }
    if (len > MAX_LINE)
        return config_error(parse->config, parse->line, "a line of %zu bytes, where %d fit", len, MAX_LINE);
    return HX_OK;
}

static bool is_name(const char *name)
{
    return *name && !name[strspn(name, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-")];
}

static int add_section(struct parse *parse, const char *kind, const char *name)
{
    const struct section *before = config_section(parse->config, kind, name);
    struct section *made;

    if (before)
        return config_error(parse->config, parse->line, "section '[%s%s%s]' is already at line %u", kind,
                            *name ? " " : "", name, before->line);
    if (!(made = calloc(1, sizeof *made)))
        return out_of_memory();
    made->line = parse->line;
    made->kind = string_copy(kind);
    made->name = string_copy(name);
    *(parse->section ? &parse->section->next : &parse->config->sections) = made;
    parse->section = made;
    return made->kind && made->name ? HX_OK : out_of_memory();
}

/* inih does not tell of a section without settings, so it is the reader that records it. */
static int begin_section(struct parse *parse, const char *line)
{
    size_t len = strlen(line);
    char head[MAX_NAME + 1], *name;
    bool named;

    if (strchr(line, ']') != line + len - 1)
        return config_error(parse->config, parse->line, "a section's line must end with its only ']'");
    if (len - 2 > MAX_NAME)
        return config_error(parse->config, parse->line, "a section name of %zu bytes, where %d fit", len - 2, MAX_NAME);
    memcpy(head, line + 1, len - 2);
    head[len - 2] = '\0';
    name = head + strcspn(head, " \t");
    named = *name;
    if (named)
        *name++ = '\0';
    name += strspn(name, " \t");
    if (strcmp(head, "token") && strcmp(head, "credential") && (strcmp(head, "hsmux") || named))
        return config_error(parse->config, parse->line,
                            "unknown section '%s': there are [hsmux], [token NAME], "
                            "[credential] and [credential NAME]",
                            line);
    if (!named && !strcmp(head, "token"))
        return config_error(parse->config, parse->line, "section '[token]' has no name: [token NAME]");
    if (named && !is_name(name))
        return config_error(parse->config, parse->line,
                            "section '%s': a name is made of letters, digits, '.', '_' and '-'", line);
    return add_section(parse, head, name);
}

/* Of a line that makes no sense nothing but its first word is shown, and that only before a separator: all else may
 * be a piece of a PIN. */
static int refuse_line(const struct parse *parse, const char *line)
{
    bool separated = line[strcspn(line, "=:")];

    if (separated)
        return config_error(parse->config, parse->line,
                            "'%.*s' is not followed by '=', or is no key (small letters, digits and '-')",
                            (int)strcspn(line, " \t=:;"), line);
    return config_error(parse->config, parse->line, "neither 'key = value' nor '[section]' nor '; comment'");
}

static int begin_setting(struct parse *parse, const char *line)
{
    size_t len = strspn(line, LOWER "-"), gap = strspn(line + len, " \t");
    const struct setting *before;

    if (!len || line[len + gap] != '=')
        return refuse_line(parse, line);
    if (len > MAX_NAME)
        return config_error(parse->config, parse->line, "a key of %zu bytes, where %d fit", len, MAX_NAME);
    memcpy(parse->key, line, len);
    parse->key[len] = '\0';
    if (!parse->section)
        return config_error(parse->config, parse->line, "'%s' stands before any section", parse->key);
    if ((before = section_setting(parse->section, parse->key)))
        return config_error(parse->config, parse->line, "'%s' is already at line %u", parse->key, before->line);
    parse->value = line + len + gap + 1;
    parse->value += strspn(parse->value, " \t");
    if (!*parse->value)
        return config_error(parse->config, parse->line, "'%s' has no value", parse->key);
    return HX_OK;
}

static int check_line(struct parse *parse, const char *line)
{
    size_t indent = strspn(line, " \t");

    if (!line[indent] || strchr(";#", line[indent]))
        return HX_OK;
    if (indent)
        return config_error(parse->config, parse->line, "the line is indented");
    for (const char *c = line; *c; c++)
        if (*c == ';' && strchr(" \t", c[-1]))
            return config_error(parse->config, parse->line,
                                "' ;' inside a line: a comment has a line of its own, and a value cannot hold it");
    return *line == '[' ? begin_section(parse, line) : begin_setting(parse, line);
}

/* Cuts the next line out of the text, checks it, and returns it; NULL: there is none, or the file is refused. */
static const char *next_line(struct parse *parse)
{
    char *line = (char *)parse->text->data + parse->at, *end;
    size_t len = parse->text->len - parse->at;

    if (parse->result || !len)
        return NULL;
    parse->line++;
    end = memchr(line, '\n', len);
    if (end)
        len = (size_t)(end - line);
    parse->at += len + !!end;
    if (len && line[len - 1] == '\r')
        len--;
    if ((parse->result = check_bytes(parse, line, len)))
        return NULL;
    while (len && strchr(" \t", line[len - 1]))
        len--;
    line[len] = '\0';
    parse->result = check_line(parse, line);
    return parse->result ? NULL : line;
}

/* inih's reader. At the end inih's buffer is wiped: PINs went through it. */
static char *give_line(char *buffer, int size, void *stream)
{
    struct parse *parse = stream;
    const char *line = NULL;

    if (!parse->result && *parse->key)
        parse->result = config_error(parse->config, parse->line, "inih did not understand the line");
    line = next_line(parse);
    if (line && strlen(line) + 2 > (size_t)size)
        parse->result = config_error(parse->config, parse->line, "a line longer than inih's buffer");
    if (!line || parse->result) {
        explicit_bzero(buffer, (size_t)size);
        return NULL;
    }
    return strcat(strcpy(buffer, line), "\n");
}

/* inih's handler.  Always content: the reader stops when the result is not 0. */
static int take_setting(void *user, const char *section, const char *name, const char *value)
{
    struct parse *parse = user;
    struct setting *made, **tail;

    (void)section;
    if (!name || parse->result)
        return 1;
    if (strcmp(name, parse->key) || strcmp(value, parse->value)) {
        parse->result = config_error(parse->config, parse->line, "inih takes the line for something else");
        return 1;
    }
    *parse->key = '\0';
    for (tail = &parse->section->settings; *tail; tail = &(*tail)->next)
        ;
    if (!(made = calloc(1, sizeof *made))) {
        parse->result = out_of_memory();
        return 1;
    }
    *tail = made;
    made->line = parse->line;
    made->name = string_copy(name);
    made->value = string_copy(value);
    if (!made->name || !made->value)
        parse->result = out_of_memory();
    return 1;
}

int lines_parse(struct config *config, struct hx_bytes *text)
{
    struct parse parse = { .config = config, .text = text };
    int line = ini_parse_stream(give_line, &parse, take_setting, &parse);

    if (parse.result)
        return parse.result;
    if (line < 0)
        return out_of_memory();
    return line ? config_error(config, (unsigned)line, "inih did not understand the line") : HX_OK;
}
