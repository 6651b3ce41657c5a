/* SPDX-License-Identifier: Apache-2.0 */
/* Many names decode to one label ("ü.pem", "%C3%BC.pem"); we write just one of them. */
#include "name.h"

#include <stdio.h>
#include <string.h>

static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+=@,";

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool tpm_name_encode(const char *label, char *ret, size_t size)
{
    size_t used = 0;
    if (!label || !*label)
        return false;
    for (const char *c = label; *c; c++) {
        bool plain = strchr(usual, *c) && !(c == label && *c == '.');
        size_t len = plain ? 1 : 3;
        if (size <= used + len)
            return false;
        snprintf(ret + used, len + 1, plain ? "%c" : "%%%02X", (unsigned char)*c);
        used += len;
    }
    return true;
}

/* A '%' that begins no escape stands for itself, so that a file called "100%.pem" has a label too. */
bool tpm_name_decode(const char *text, size_t len, char *ret)
{
    char *to = ret;
    for (size_t i = 0; i < len; i++) {
        int high = text[i] == '%' && i + 2 < len ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        *to = low < 0 ? text[i] : (char)(high << 4 | low);
        if (!*to++)
            return false;
        i += low < 0 ? 0 : 2;
    }
    *to = 0;
    return len > 0;
}

bool tpm_name_print(const char *label, const char *suffix, char ret[TPM_NAME_SIZE])
{
    char name[TPM_NAME_SIZE];
    if (!tpm_name_encode(label, name, sizeof name - strlen(suffix)))
        return false;
    snprintf(ret, TPM_NAME_SIZE, "%s%s", name, suffix);
    return true;
}

bool tpm_name_parse(const char *file, const char *suffix, char ret_label[TPM_NAME_SIZE])
{
    size_t len = strlen(file), tail = strlen(suffix);
    char label[TPM_NAME_SIZE];
    if (file[0] == '.' || len >= TPM_NAME_SIZE || len <= tail || strcmp(file + len - tail, suffix) ||
        strchr(file, '/') || !tpm_name_decode(file, len - tail, label))
        return false;
    strcpy(ret_label, label);
    return true;
}
