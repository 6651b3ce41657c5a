/* SPDX-License-Identifier: Apache-2.0 */
/* A host for tests that drive a plugin's table directly: options, captured reasons and log lines, and collectors for
 * bytes, objects and tokens.  Plain C, without the core; out of memory aborts, as only a test may. */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <hsmux/plugin.h>
#include <stdbool.h>

#define PLUGIN_HOST_OPTIONS 16

struct plugin_host {
    struct hx_host host; /* first: the plugin gets a pointer to it */
    char *name[PLUGIN_HOST_OPTIONS], *value[PLUGIN_HOST_OPTIONS];
    char reason[1024]; /* what the last hx_fail() of any thread said */
    char log[16384]; /* the log lines, each "<priority>text\n"; the oldest go first */
};

void plugin_host_init(struct plugin_host *);
void plugin_host_free(struct plugin_host *);
void plugin_host_set(struct plugin_host *, const char *name, const char *value); /* NULL value: unset */
void plugin_host_clear(struct plugin_host *); /* forgets reason and log */

/* Does the last reason (the log) hold this text? */
bool plugin_host_said(const struct plugin_host *, const char *text);
bool plugin_host_logged(const struct plugin_host *, const char *text);

struct plugin_bytes { /* pass &x.out */
    struct hx_out out;
    unsigned char *data; /* len bytes and a NUL that is not counted */
    size_t len;
    int result; /* not 0: hx_put() returns this, and takes nothing */
};
void plugin_bytes_init(struct plugin_bytes *);
void plugin_bytes_free(struct plugin_bytes *); /* wipes; ready for use again */

struct plugin_objects { /* pass &x.list */
    struct hx_list list;
    struct hx_object *object; /* copies, strings and all */
    size_t count;
    int result; /* not 0: hx_add() returns this, and takes nothing */
};
void plugin_objects_init(struct plugin_objects *, const struct hx_object *want); /* want may be NULL */
void plugin_objects_free(struct plugin_objects *); /* ready for use again, without want */

/* The object of that kind (0: any) and label, or NULL. */
const struct hx_object *plugin_objects_find(const struct plugin_objects *, uint32_t kind, const char *label);

struct plugin_tokens { /* pass &x.tokens */
    struct hx_tokens tokens;
    struct hx_token_info *info; /* copies, strings and all */
    size_t count;
    int result;
};
void plugin_tokens_init(struct plugin_tokens *);
void plugin_tokens_free(struct plugin_tokens *);

#endif
