/* SPDX-License-Identifier: Apache-2.0 */
/* What an address stands for, and what fits a purpose, before something is done with it. */
#include "tool.h"

#include <string.h>

enum { SHOWN_MAX = 4 };

static int note(void *arg, const char *address, const struct hx_object *object)
{
    struct found *found = arg;

    if (found->count++ == 0) {
        found->address = strdup(address);
        found->kind = object->kind;
    }
    return found->address ? 0 : HX_E_NO_MEMORY;
}

void found_free(struct found *found)
{
    free(found->address);
    free(found->all);
}

int find_objects(hx *context, const char *address, struct found *ret)
{
    AUTO_FOUND struct found found = { 0 };

    if (hx_each(context, address, note, &found))
        return fail_hx();
    *ret = found;
    found.address = NULL;
    return DONE;
}

struct search {
    bool (*fits)(const struct hx_object *);
    struct found found;
};

static int note_fitting(void *arg, const char *address, const struct hx_object *object)
{
    struct search *search = arg;
    struct found *found = &search->found;
    char *all;

    if (!search->fits(object))
        return 0;
    if (found->count >= SHOWN_MAX)
        return note(found, address, object);
    all = text_of("%s%s'%s'", found->all ? found->all : "", found->all ? ", " : "", address);
    if (!all)
        return HX_E_NO_MEMORY;
    free(found->all);
    found->all = all;
    return note(found, address, object);
}

int find_fitting(hx *context, const char *address, bool (*fits)(const struct hx_object *), struct found *ret)
{
    struct search search = { .fits = fits };
    int result = hx_each(context, address, note_fitting, &search);
    char *all = NULL;

    if (!result && search.found.count > SHOWN_MAX) {
        all = text_of("%s and %d more", search.found.all, search.found.count - SHOWN_MAX);
        result = all ? 0 : HX_E_NO_MEMORY;
        free(search.found.all);
        search.found.all = all;
    }
    if (result)
        found_free(&search.found);
    else
        *ret = search.found;
    return result;
}
