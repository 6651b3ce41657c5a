/* SPDX-License-Identifier: Apache-2.0 */
/* The file is read anew each time and written as a whole: what another program writes is seen at once. */
#include "labels.h"

#include "directory.h"
#include "name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#define LABELS "labels"
#define BLANKS " \t\r"

struct line { /* as it stands in the file, without its end */
    const char *start;
    size_t len;
};

/* A line as read: the label in text. */
struct entry {
    struct tpm_label label;
    char text[TPM_LABELS_LINE + 1];
};

static bool next_line(const char **at, const char *end, struct line *ret)
{
    if (*at == end)
        return false;
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    ret->start = *at;
    ret->len = (size_t)((newline ? newline : end) - *at);
    *at = newline ? newline + 1 : end;
    return true;
}

/* The next word of a line that ends with a NUL; "" at its end. */
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, BLANKS);
    *at = word + strcspn(word, BLANKS);
    if (**at)
        *(*at)++ = 0;
    return word;
}

static bool parse_hex(const char *text, size_t max, unsigned char *ret, size_t *ret_len)
{
    size_t len = strlen(text);
    if (!len || len % 2 || len / 2 > max || strspn(text, "0123456789abcdefABCDEF") != len)
        return false;
    for (size_t i = 0; i < len / 2; i++) {
        unsigned byte;
        sscanf(text + 2 * i, "%2x", &byte);
        ret[i] = (unsigned char)byte;
    }
    *ret_len = len / 2;
    return true;
}

static bool parse_handle(const char *text, TPM2_HANDLE *ret)
{
    unsigned char byte[4];
    size_t len;
    if (!strncmp(text, "0x", 2))
        text += 2;
    if (!parse_hex(text, sizeof byte, byte, &len) || len != sizeof byte)
        return false;
    *ret = (TPM2_HANDLE)byte[0] << 24 | (TPM2_HANDLE)byte[1] << 16 | (TPM2_HANDLE)byte[2] << 8 | byte[3];
    return true;
}

static bool parse_name(const char *text, TPM2B_NAME *ret)
{
    size_t len = 0;
    if (strcmp(text, "-") && !parse_hex(text, sizeof ret->name, ret->name, &len))
        return false;
    ret->size = (UINT16)len;
    return true;
}

static bool parse_flags(const char *text, struct tpm_label *ret)
{
    ret->wants_auth = !strncmp(text, "auth", 4);
    ret->is_gone = !strcmp(text, "gone") || !strcmp(text, "auth,gone");
    return ret->is_gone || !strcmp(text, ret->wants_auth ? "auth" : "-");
}

static bool is_comment(const struct line *line)
{
    size_t blanks = 0;
    while (blanks < line->len && memchr(BLANKS, line->start[blanks], sizeof BLANKS - 1))
        blanks++;
    return blanks == line->len || line->start[blanks] == '#';
}

/* NULL, or what is wrong with it. */
static const char *parse_line(const struct line *line, struct entry *ret)
{
    char text[TPM_LABELS_LINE + 1];
    if (line->len >= sizeof text)
        return "it is longer than 1024 bytes";
    if (memchr(line->start, 0, line->len))
        return "there is a NUL in it";
    memcpy(text, line->start, line->len);
    text[line->len] = 0;
    char *at = text, *handle = next_word(&at), *name = next_word(&at), *flags = next_word(&at);
    memset(&ret->label, 0, sizeof ret->label);
    if (!parse_handle(handle, &ret->label.handle))
        return "it does not begin with a handle of eight hex digits";
    if (!parse_name(name, &ret->label.name))
        return "its second word is neither a Name in hex nor '-'";
    if (!parse_flags(flags, &ret->label))
        return "its third word is none of '-', 'auth', 'gone', and 'auth,gone'";
    at += strspn(at, BLANKS);
    size_t len = strlen(at);
    while (len && strchr(BLANKS, at[len - 1]))
        len--;
    if (!tpm_name_decode(at, len, ret->text))
        return len ? "there is a NUL in its label" : "it has no label";
    if (strlen(ret->text) > TPM_LABELS_LABEL)
        return "its label is longer than 255 bytes";
    ret->label.label = ret->text;
    return NULL;
}

static bool add(struct tpm_labels *labels, const struct tpm_label *label)
{
    struct tpm_label *grown = reallocarray(labels->label, labels->count + 1, sizeof *grown);
    if (!grown)
        return false;
    labels->label = grown;
    grown[labels->count] = *label;
    if (!(grown[labels->count].label = strdup(label->label)))
        return false;
    labels->count++;
    return true;
}

static int load_text(const struct hx_host *host, const char *place, const char *text, size_t len,
                     struct tpm_labels *labels)
{
    const char *at = text;
    struct line line;
    struct entry entry;
    for (unsigned number = 1; next_line(&at, text + len, &line); number++) {
        if (is_comment(&line))
            continue;
        const char *wrong = parse_line(&line, &entry);
        if (wrong)
            host->log(host, LOG_WARNING, "%s/" LABELS ":%u: this line is passed over: %s", place, number, wrong);
        else if (!add(labels, &entry.label))
            return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    }
    return 0;
}

static int load_place(const struct hx_host *host, const char *place, struct tpm_labels *labels)
{
    struct tpm_directory directory;
    unsigned char *text;
    size_t len;
    int result = tpm_directory_open(host, place, &directory);
    if (result)
        return result == HX_E_NOT_FOUND ? 0 : result;
    result = tpm_directory_read(&directory, LABELS, false, &text, &len);
    tpm_directory_close(&directory);
    if (result)
        return result == HX_E_NOT_FOUND ? 0 : result;
    result = load_text(host, place, (const char *)text, len, labels);
    free(text);
    return result;
}

int tpm_labels_load(const struct hx_host *host, const struct tpm_places *places, struct tpm_labels *ret)
{
    struct tpm_labels labels = { .count = 0 };
    for (size_t i = 0; i < TPM_PLACES && places->read[i]; i++) {
        int result = load_place(host, places->read[i], &labels);
        if (result) {
            tpm_labels_free(&labels);
            return result;
        }
    }
    *ret = labels;
    return 0;
}

void tpm_labels_free(struct tpm_labels *labels)
{
    for (size_t i = 0; i < labels->count; i++)
        free((char *)(uintptr_t)labels->label[i].label);
    free(labels->label);
    memset(labels, 0, sizeof *labels);
}

static bool fits(const struct tpm_label *label, TPM2_HANDLE handle, const TPM2B_NAME *name)
{
    if (label->handle != handle)
        return false;
    return !label->name.size ||
           (name && name->size == label->name.size && !memcmp(name->name, label->name.name, name->size));
}

const struct tpm_label *tpm_labels_of(const struct tpm_labels *labels, TPM2_HANDLE handle, const TPM2B_NAME *name)
{
    for (size_t i = 0; i < labels->count; i++)
        if (fits(&labels->label[i], handle, name))
            return &labels->label[i];
    return NULL;
}

const struct tpm_label *tpm_labels_next(const struct tpm_labels *labels, const char *label,
                                        const struct tpm_label *after)
{
    for (size_t i = after ? (size_t)(after - labels->label) + 1 : 0; i < labels->count; i++)
        if (!strcmp(labels->label[i].label, label))
            return &labels->label[i];
    return NULL;
}

static bool print_line(const struct tpm_label *label, char ret[TPM_LABELS_LINE + 2])
{
    char name[2 * sizeof label->name.name + 1] = "-";
    for (size_t i = 0; i < label->name.size; i++)
        snprintf(name + 2 * i, 3, "%02x", label->name.name[i]);
    const char *flags = label->is_gone ? (label->wants_auth ? "auth,gone" : "gone") : label->wants_auth ? "auth" : "-";
    int used = snprintf(ret, TPM_LABELS_LINE, "%08x %s %s ", (unsigned)label->handle, name, flags);
    if (!tpm_name_encode(label->label, ret + used, TPM_LABELS_LINE + 1 - (size_t)used))
        return false;
    strcat(ret, "\n");
    return true;
}

static bool is_among(const struct tpm_label *change, size_t count, TPM2_HANDLE handle)
{
    for (size_t i = 0; i < count; i++)
        if (change[i].handle == handle)
            return true;
    return false;
}

/* The text without what it says of those handles, and with their new lines at its end. */
static char *replace_lines(const char *text, size_t len, const struct tpm_label *change, size_t count,
                           const char *added, size_t *ret_len)
{
    char *made = malloc(len + 1 + strlen(added) + 1), *to = made;
    const char *at = text;
    struct line line;
    struct entry entry;
    if (!made)
        return NULL;
    while (next_line(&at, text + len, &line)) {
        if (!is_comment(&line) && !parse_line(&line, &entry) && is_among(change, count, entry.label.handle))
            continue;
        to = mempcpy(to, line.start, line.len);
        *to++ = '\n';
    }
    strcpy(to, added);
    *ret_len = (size_t)(to - made) + strlen(added);
    return made;
}

static int rewrite(const struct tpm_directory *directory, const struct tpm_label *change, size_t count,
                   const char *added)
{
    unsigned char *text = NULL;
    size_t len = 0, made_len;
    int result = tpm_directory_read(directory, LABELS, false, &text, &len);
    if (result && result != HX_E_NOT_FOUND)
        return result;
    char *made = replace_lines(text ? (const char *)text : "", len, change, count, added, &made_len);
    if (!made)
        result = hx_fail(directory->host, HX_E_NO_MEMORY, "out of memory");
    else if (made_len == len && (!len || !memcmp(made, text, len))) /* nothing changes */
        result = 0;
    else
        result = tpm_directory_write(directory, LABELS, 0644, made, made_len, true);
    free(made);
    free(text);
    return result;
}

static int print_lines(const struct hx_host *host, const struct tpm_label *change, size_t count, char **ret)
{
    char *lines = calloc(count, TPM_LABELS_LINE + 2), *to = lines;
    int result = lines ? 0 : hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count && !result; i++) {
        const char *label = change[i].label;
        if (!label)
            continue;
        if (!*label)
            result = hx_fail(host, HX_E_INVALID, "the label is empty");
        else if (strlen(label) > TPM_LABELS_LABEL || !print_line(&change[i], to))
            result = hx_fail(host, HX_E_INVALID, "the label is longer than 255 bytes");
        else
            to += strlen(to);
    }
    if (result)
        free(lines);
    else
        *ret = lines;
    return result;
}

int tpm_labels_update(const struct tpm_directory *locked, const struct tpm_label *change, size_t count)
{
    char *lines;
    int result = print_lines(locked->host, change, count, &lines);
    if (result)
        return result;
    result = rewrite(locked, change, count, lines);
    free(lines);
    return result;
}

static int change_one(const struct hx_host *host, const char *place, const struct tpm_label *label)
{
    struct tpm_directory directory;
    int result = tpm_directory_lock(host, place, &directory);
    if (result)
        return result;
    result = tpm_labels_update(&directory, label, 1);
    tpm_directory_close(&directory);
    return result;
}

/* A bad label is no reason to make a directory. */
int tpm_labels_set(const struct hx_host *host, const struct tpm_places *places, const struct tpm_label *label)
{
    const char *place;
    char *line;
    int result = label->label ? print_lines(host, label, 1, &line) : hx_fail(host, HX_E_INVALID, "the label is empty");
    if (result)
        return result;
    free(line);
    result = tpm_places_writable(host, places, &place);
    return result ? result : change_one(host, place, label);
}

/* Nothing is made only to take something away. */
int tpm_labels_remove(const struct hx_host *host, const struct tpm_places *places, TPM2_HANDLE handle)
{
    struct tpm_directory directory;
    if (!places->write)
        return 0;
    int result = tpm_directory_open(host, places->write, &directory);
    if (result)
        return result == HX_E_NOT_FOUND ? 0 : result;
    tpm_directory_close(&directory);
    return change_one(host, places->write, &(struct tpm_label){ .handle = handle });
}
