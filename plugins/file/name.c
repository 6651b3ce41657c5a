/* SPDX-License-Identifier: Apache-2.0 */
/* Labels to file names and back.  Many names decode to one label ("ü.key", "%C3%BC.key"); we write just one of them. */
#include "name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const suffixes[] = {
    [NAME_KEY] = ".key", [NAME_PEM] = ".pem", [NAME_CRT] = ".crt", [NAME_SECRET] = ".secret", [NAME_DATA] = ".data",
};

static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+=@,";

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A '%' that begins no escape stands for itself, so that a file called "100%.key" has a label too. */
static bool decode(const char *from, size_t len, char *to)
{
    for (size_t i = 0; i < len; i++) {
        int high = from[i] == '%' && i + 2 < len ? hex_digit(from[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(from[i + 2]) : -1;
        if (low < 0) {
            *to++ = from[i];
            continue;
        }
        *to = (char)(high << 4 | low);
        if (!*to++)
            return false;
        i += 2;
    }
    *to = 0;
    return true;
}

bool name_parse(const char *file, struct name *ret)
{
    size_t len = strlen(file);
    if (file[0] == '.' || len >= NAME_SIZE || strchr(file, '/'))
        return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t tail = strlen(suffixes[i]);
        if (len <= tail || strcmp(file + len - tail, suffixes[i]))
            continue;
        struct name name = { .suffix = (enum name_suffix)i };
        if (!decode(file, len - tail, name.label))
            return false;
        *ret = name;
        return true;
    }
    return false;
}

bool name_make(const char *label, enum name_suffix suffix, char ret[NAME_SIZE])
{
    char name[NAME_SIZE];
    size_t used = 0, room = sizeof name - 1 - strlen(suffixes[suffix]);
    if (!label || !*label)
        return false;
    for (const char *c = label; *c; c++) {
        bool plain = strchr(usual, *c) && !(c == label && *c == '.');
        if (room - used < (plain ? 1 : 3))
            return false;
        used += (size_t)snprintf(name + used, 4, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    strcpy(name + used, suffixes[suffix]);
    strcpy(ret, name);
    return true;
}

bool name_parse_ref(const void *ref, size_t len, char ret_file[NAME_SIZE], size_t *ret_index)
{
    char file[NAME_SIZE + 24] = "";
    struct name name;
    if (!len || len >= sizeof file || memchr(ref, 0, len))
        return false;
    memcpy(file, ref, len);
    size_t index = 0;
    char *mark = strrchr(file, '#');
    if (mark && mark[1] >= '1' && mark[1] <= '9' && strlen(mark) < 8) {
        char *end;
        index = strtoul(mark + 1, &end, 10);
        if (*end)
            index = 0; /* the file's own name has a '#' in it */
        else
            *mark = 0;
    }
    if (!name_parse(file, &name))
        return false;
    strcpy(ret_file, file);
    *ret_index = index;
    return true;
}

void name_print_ref(const char *file, size_t index, char ret[NAME_SIZE + 24])
{
    if (index)
        snprintf(ret, NAME_SIZE + 24, "%s#%zu", file, index);
    else
        snprintf(ret, NAME_SIZE + 24, "%s", file);
}
