/* SPDX-License-Identifier: Apache-2.0 */
/* What a module's tokens were asked for by, each time with success: who asks so again and finds nothing has lost a
 * token rather than misspelt it. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

struct p11_asked {
    struct p11_asked *next;
    char text[]; /* the options token and serial, and the core's serial number, each with its NUL */
};

static const char *or_none(const char *text)
{
    return text ? text : "";
}

/* For free(), or NULL. */
static struct p11_asked *make(const struct hx_host *host, const char *serial, size_t *ret_len)
{
    const char *part[] = { or_none(host->option(host, "token")), or_none(host->option(host, "serial")),
                           or_none(serial) };
    size_t len = strlen(part[0]) + strlen(part[1]) + strlen(part[2]) + 3;
    struct p11_asked *asked = calloc(1, sizeof *asked + len);
    char *end = asked ? asked->text : NULL;

    for (size_t i = 0; asked && i < sizeof part / sizeof *part; i++)
        end = stpcpy(end, part[i]) + 1;
    *ret_len = len;
    return asked;
}

/* All texts have three NULs, so that they differ before the shorter one's end. */
static bool has(const struct p11_module *module, const struct p11_asked *asked, size_t len)
{
    for (const struct p11_asked *old = module->asked; old; old = old->next) {
        size_t same = 0;

        while (same < len && old->text[same] == asked->text[same])
            same++;
        if (same == len)
            return true;
    }
    return false;
}

void p11_module_note(struct p11_module *module, const struct hx_host *host, const char *serial)
{
    size_t len;
    struct p11_asked *asked = make(host, serial, &len);

    pthread_mutex_lock(&module->lock);
    if (asked && !has(module, asked, len)) {
        asked->next = module->asked;
        module->asked = asked;
        asked = NULL;
    }
    pthread_mutex_unlock(&module->lock);
    free(asked);
}

bool p11_module_is_noted(struct p11_module *module, const struct hx_host *host, const char *serial)
{
    size_t len;
    struct p11_asked *asked = make(host, serial, &len);
    bool found;

    pthread_mutex_lock(&module->lock);
    found = asked && has(module, asked, len);
    pthread_mutex_unlock(&module->lock);
    free(asked);
    return found;
}
