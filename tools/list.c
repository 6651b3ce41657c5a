/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux list: the objects on one token or all. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

struct word {
    uint32_t bit;
    const char *text;
};

static const struct word usages[] = {
    { HX_SIGN_DIGEST, "sign" }, { HX_SIGN_MESSAGE, "sign-message" }, { HX_DECRYPT, "decrypt" }, { HX_DERIVE, "derive" }
};
static const struct word flags[] = { { HX_IN_HARDWARE, "unreadable" },
                                     { HX_EXTRACTABLE, "extractable" },
                                     { HX_RESTRICTED, "restricted" },
                                     { HX_ALWAYS_AUTH, "always-auth" } };
enum { USAGES = sizeof usages / sizeof usages[0], FLAGS = sizeof flags / sizeof flags[0] };

static json_t *json_words(const struct word *words, size_t count, uint32_t bits)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        if (bits & words[i].bit)
            json_array_append_new(array, json_string(words[i].text));
    }
    return array;
}

static void print_words(const struct word *words, size_t count, uint32_t bits)
{
    for (size_t i = 0; i < count; i++) {
        if (bits & words[i].bit)
            printf(" %s", words[i].text);
    }
}

static int add_json(void *arg, const char *address, const struct hx_object *object)
{
    AUTO_FREE char *token = address_token(address);
    char buf[32];
    const char *type = type_word(object, buf);
    json_t *row = json_object();

    json_object_set_new(row, "address", json_text(address));
    json_object_set_new(row, "token", json_text(token));
    json_object_set_new(row, "kind", json_string(kind_word(object->kind)));
    json_object_set_new(row, "type", type[0] ? json_string(type) : json_null());
    json_object_set_new(row, "bits", json_integer(object->bits));
    json_object_set_new(row, "label", json_text(object->label));
    json_object_set_new(row, "id", json_hex(object->id));
    json_object_set_new(row, "usage", json_words(usages, USAGES, object->usage));
    json_object_set_new(row, "flags", json_words(flags, FLAGS, object->flags));
    json_array_append_new(arg, row);
    return 0;
}

static int print_row(void *arg, const char *address, const struct hx_object *object)
{
    char buf[32];
    const char *type = type_word(object, buf);

    (void)arg;
    print_clean(address);
    printf("%s%s", type[0] ? "  " : "", type);
    print_words(usages, USAGES, object->usage);
    print_words(flags, FLAGS, object->flags);
    putchar('\n');
    return 0;
}

/* A token that cannot be listed is told of last, and the others are shown all the same. */
static int list_json(const struct call *call, const char *address)
{
    AUTO_HX hx *context = NULL;
    AUTO_JSON json_t *json = json_object();
    json_t *objects = json_array();
    int failed = hx_new(option(call, O_CONFIG), &context);

    if (!failed)
        failed = hx_each(context, address, add_json, objects);

    json_object_set_new(json, "objects", objects);
    json_object_set_new(json, "error", failed ? json_text(hx_last_error()) : json_null());
    if (failed)
        fail_hx();
    return print_json(json) || failed ? FAILED : DONE;
}

int list_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_FREE char *address = NULL;

    if (option(call, O_TOKEN) && token_address(option(call, O_TOKEN), "", &address))
        return FAILED;
    if (option(call, O_JSON))
        return list_json(call, address);
    if (open_context(call, &context))
        return FAILED;
    return hx_each(context, address, print_row, NULL) ? fail_hx() : DONE;
}
