/* SPDX-License-Identifier: Apache-2.0 */
/* Loaded plugins: one process-wide list; a plugin is checked once and never unloaded. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <hsmux/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct plugin {
    struct plugin *next;
    char *path;
    struct hx_plugin table; /* theirs, as far as we know it; what an older plugin lacks is NULL */
    pthread_mutex_t mutex; /* held during every call into a plugin that is not HX_THREADSAFE */
    pthread_mutex_t fork_mutex;
    atomic_bool forked_owed; /* in a child: forked() must run before anything else */
    atomic_bool watched; /* table.c: our fork handlers stand behind the plugin's */
};

/* name: a word, looked up in the plugin directory, or a path with a slash. */
int plugin_load(const char *name, struct plugin **ret);

/* Loads every plugin in the plugin directory, in the order of their names; result and path of each go to fn, plugin
 * is NULL for one that cannot be loaded.  Stops when fn returns non-zero, and returns that. */
typedef int plugin_fn(void *arg, const char *path, struct plugin *plugin, int result);
int plugin_each(plugin_fn *fn, void *arg);

/* Where plugins are looked for: $HSMUX_PLUGINS, else the built-in place. */
const char *plugin_directory(void);

/* Around every call into the plugin: serialises it where it must be, and says forked() in a child. */
void plugin_enter(struct plugin *);
void plugin_leave(struct plugin *);

/* Is this thread inside a plugin? */
bool plugin_inside(void);

/* The option of that name in the plugin's table, or NULL. */
const struct hx_option *plugin_option(const struct plugin *, const char *name);

/* table.c calls this, in a child. */
void plugin_fork_child(void);

#endif
