/* SPDX-License-Identifier: Apache-2.0 */
/* What tokens tell of themselves: copies of struct hx_token_info that outlive the plugin's call. */
#ifndef SCAN_H
#define SCAN_H

#include "host.h"

struct token_facts {
    uint32_t flags;
    char *label, *serial, *manufacturer, *model; /* NULL: unknown */
};

struct token_list {
    struct token_facts *token;
    size_t count;
};

void token_list_free(struct token_list *);
#define AUTO_TOKENS CLEANUP(token_list_free)

/* Every token that the host's options reach. */
int scan_host(struct host *, struct token_list *ret);

/* The one open token, in a plugin that was entered; an empty list where the plugin cannot tell. */
int scan_open_token(struct plugin *, void *handle, struct token_list *ret);

#endif
