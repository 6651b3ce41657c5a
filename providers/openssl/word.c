/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters that are words, or the numbers that stand for them. */
#include "word.h"

#include "software.h"

#include <openssl/params.h>
#include <stdlib.h>
#include <strings.h>

int word_get(const OSSL_PARAM *param, const struct word *words, int *ret)
{
    const char *text;
    char *end;
    long number;

    if (param->data_type != OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_get_int(param, ret);
    if (!OSSL_PARAM_get_utf8_string_ptr(param, &text) || !text)
        return 0;
    for (; words->name; words++) {
        if (!strcasecmp(words->name, text)) {
            *ret = words->value;
            return 1;
        }
    }
    number = strtol(text, &end, 10);
    if (!*text || *end || number < INT16_MIN || number > INT16_MAX)
        return 0;
    *ret = (int)number;
    return 1;
}

int word_put(OSSL_PARAM *param, const struct word *words, int value)
{
    char number[16];

    if (param->data_type != OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_set_int(param, value);
    for (; words->name; words++)
        if (words->value == value)
            return OSSL_PARAM_set_utf8_string(param, words->name);
    snprintf(number, sizeof(number), "%d", value);
    return OSSL_PARAM_set_utf8_string(param, number);
}

int word_put_digest(OSSL_PARAM params[], const char *name, const struct digest *digest)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);

    return !param || OSSL_PARAM_set_utf8_string(param, digest ? EVP_MD_get0_name(digest->md) : "");
}

OSSL_PARAM word_digest_param(const char *name, const struct digest *digest)
{
    char *text = (char *)(uintptr_t)digest->name; /* only read */

    return OSSL_PARAM_construct_utf8_string(name, text, 0);
}
