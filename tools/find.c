/* SPDX-License-Identifier: Apache-2.0 */
/* What an address stands for, before something is done with it. */
#include "tool.h"

#include <string.h>

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
