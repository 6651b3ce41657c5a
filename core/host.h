/* SPDX-License-Identifier: Apache-2.0 */
/* What the core gives a plugin for one token: its options, a way to say why it failed, a log. */
#ifndef HOST_H
#define HOST_H

#include "config.h"
#include "plugin.h"

struct option_value {
    const struct hx_option *option;
    char *value; /* what the plugin is told; a PIN is never told, login() brings it */
    char *file; /* NAME-file */
    char *credential; /* NAME-credential */
};

struct host {
    struct hx_host api; /* first: a plugin's pointer is ours */
    struct plugin *plugin;
    char *name; /* the token's name, for messages */
    struct option_value *values;
    size_t count;
};

/* Options from a [token] section (config and section may be NULL: presets only).  Every key must be known, required
 * ones present; a config that holds a secret must not be readable by others; libraries must be trusted. */
int host_new(struct plugin *, const char *name, const struct config *, const struct section *, struct host **ret);
void host_free(struct host *);

/* The same plugin with the same options? */
bool host_same(const struct host *, const struct host *);

struct option_value *host_value(const struct host *, const char *name);

/* Maps the vendor libraries that the options name, so that they are there after a chroot or a loss of rights. */
void host_preload(const struct host *);

#endif
