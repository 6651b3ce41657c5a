/* SPDX-License-Identifier: Apache-2.0 */
/* Load one plugin, check its table, and guard the calls into it. */
#include "plugin.h"

#include "bytes.h"
#include "error.h"
#include "trust.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define ENTRY "hx_plugin_v1"

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct plugin *list;
static _Thread_local unsigned depth;

const char *plugin_directory(void)
{
    const char *wish = secure_getenv("HSMUX_PLUGINS");

    return wish ? wish : HSMUX_PLUGINDIR;
}

/* A plugin that could not load what it stands on leaves the reason to dlerror(). */
static int no_table(const char *path)
{
    const char *why = dlerror();

    return hx_error(HX_E_CONFIG, "plugin '%s': " ENTRY "() gives no table%s%s", path, why ? ": " : "", why ? why : "");
}

static int check_table(const struct hx_plugin *theirs, const char *path)
{
    const uint32_t required = offsetof(struct hx_plugin, scan);

    if (!theirs)
        return no_table(path);
    if (theirs->abi >> 16 != HX_ABI >> 16)
        return hx_error(HX_E_CONFIG, "plugin '%s': not a hsmux plugin (its table starts with 0x%08x)", path,
                        theirs->abi);
    if ((theirs->abi >> 8 & 0xff) != (HX_ABI >> 8 & 0xff))
        return hx_error(HX_E_CONFIG,
                        "plugin '%s': made for plugin ABI %u, this is ABI %u: install the one for this hsmux", path,
                        theirs->abi >> 8 & 0xff, HX_ABI >> 8 & 0xff);
    if (theirs->struct_size < required)
        return hx_error(HX_E_CONFIG, "plugin '%s': its table has %u bytes, at least %u are required", path,
                        theirs->struct_size, required);
    if (!theirs->name || !*theirs->name)
        return hx_error(HX_E_CONFIG, "plugin '%s': its table has no name", path);
    if (!theirs->open || !theirs->close || !theirs->list || !theirs->load || !theirs->unload || !theirs->read)
        return hx_error(HX_E_CONFIG, "plugin '%s': lacks one of open, close, list, load, unload, read", path);
    return HX_OK;
}

static void init_locks(struct plugin *plugin)
{
    pthread_mutex_init(&plugin->mutex, NULL);
    pthread_mutex_init(&plugin->fork_mutex, NULL);
}

static int make(const struct hx_plugin *theirs, const char *path, struct plugin **ret)
{
    struct plugin *plugin = calloc(1, sizeof *plugin);
    size_t size = theirs->struct_size < sizeof plugin->table ? theirs->struct_size : sizeof plugin->table;

    if (!plugin || !(plugin->path = string_copy(path))) {
        free(plugin);
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    memcpy(&plugin->table, theirs, size);
    init_locks(plugin);
    *ret = plugin;
    return HX_OK;
}

static int open_library(const char *path, struct plugin **ret)
{
    const struct hx_plugin *(*entry)(void);
    const struct hx_plugin *theirs;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    int result;

    if (!library)
        return hx_error(HX_E_CONFIG, "plugin '%s': %s", path, dlerror());
    *(void **)&entry = dlsym(library, ENTRY);
    if (!entry) {
        dlclose(library);
        return hx_error(HX_E_CONFIG, "plugin '%s': no hsmux plugin, it has no " ENTRY "()", path);
    }
    dlerror();
    theirs = entry();
    if ((result = check_table(theirs, path)))
        return result;
    return make(theirs, path, ret);
}

static struct plugin *known(const char *path)
{
    for (struct plugin *plugin = list; plugin; plugin = plugin->next)
        if (!strcmp(plugin->path, path))
            return plugin;
    return NULL;
}

static int load_path(const char *path, struct plugin **ret)
{
    AUTO_FREE char *real = NULL;
    struct plugin *plugin;
    int result = trust_library(path, &real);

    if (result)
        return hx_error_in(result, "plugin '%s'", path);
    pthread_mutex_lock(&list_mutex);
    plugin = known(real);
    if (!plugin && !(result = open_library(real, &plugin))) {
        plugin->next = list;
        list = plugin;
    }
    pthread_mutex_unlock(&list_mutex);
    if (!result)
        *ret = plugin;
    return result;
}

/* A plugin in the directory is found by its file's name, which has len bytes before the ".so". */
static int check_name(const struct plugin *plugin, const char *name, size_t len)
{
    if (strlen(plugin->table.name) == len && !strncmp(plugin->table.name, name, len))
        return HX_OK;
    return hx_error(HX_E_CONFIG, "plugin '%s' calls itself '%s': rename the file", plugin->path, plugin->table.name);
}

static int is_library(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > 3 && entry->d_name[0] != '.' && !strcmp(entry->d_name + len - 3, ".so");
}

static int not_installed(const char *name)
{
    AUTO_BYTES struct hx_bytes there = { 0 };
    struct dirent **names = NULL;
    int count = scandir(plugin_directory(), &names, is_library, alphasort);

    for (int i = 0; i < count; i++) {
        bytes_printf(&there, "%s'%.*s'", i ? ", " : "", (int)strlen(names[i]->d_name) - 3, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return hx_error(HX_E_NOT_FOUND, "no plugin '%s' in '%s'; there are: %s", name, plugin_directory(),
                    there.len ? (char *)there.data : "none");
}

int plugin_load(const char *name, struct plugin **ret)
{
    AUTO_BYTES struct hx_bytes path = { 0 };
    struct plugin *plugin;
    int result;

    if (strchr(name, '/'))
        return load_path(name, ret);
    if ((result = bytes_printf(&path, "%s/%s.so", plugin_directory(), name)) ||
        (result = load_path((char *)path.data, &plugin)))
        return result == HX_E_NOT_FOUND ? not_installed(name) : result;
    if ((result = check_name(plugin, name, strlen(name))))
        return result;
    *ret = plugin;
    return HX_OK;
}

int plugin_each(plugin_fn *fn, void *arg)
{
    struct dirent **names = NULL;
    int count = scandir(plugin_directory(), &names, is_library, alphasort), result = HX_OK;

    for (int i = 0; i < count; i++) {
        AUTO_BYTES struct hx_bytes path = { 0 };
        struct plugin *plugin = NULL;

        if (!result && !(result = bytes_printf(&path, "%s/%s", plugin_directory(), names[i]->d_name))) {
            const char *name = names[i]->d_name;
            int loaded = load_path((char *)path.data, &plugin);

            if (!loaded)
                loaded = check_name(plugin, name, strlen(name) - 3);
            result = fn(arg, (char *)path.data, loaded ? NULL : plugin, loaded);
        }
        free(names[i]);
    }
    free(names);
    return result;
}

/* Two threads of a child may come at once: the second must wait until forked() is through.  It counts as a call: one
 * that came back here would wait for itself. */
static void say_forked(struct plugin *plugin)
{
    pthread_mutex_lock(&plugin->fork_mutex);
    if (atomic_load(&plugin->forked_owed)) {
        depth++;
        if (plugin->table.forked)
            plugin->table.forked();
        depth--;
        atomic_store(&plugin->forked_owed, false);
    }
    pthread_mutex_unlock(&plugin->fork_mutex);
}

void plugin_enter(struct plugin *plugin)
{
    if (atomic_load_explicit(&plugin->forked_owed, memory_order_acquire))
        say_forked(plugin);
    if (!(plugin->table.flags & HX_THREADSAFE))
        pthread_mutex_lock(&plugin->mutex);
    depth++;
}

void plugin_leave(struct plugin *plugin)
{
    depth--;
    if (!(plugin->table.flags & HX_THREADSAFE))
        pthread_mutex_unlock(&plugin->mutex);
}

bool plugin_inside(void)
{
    return depth > 0;
}

const struct hx_option *plugin_option(const struct plugin *plugin, const char *name)
{
    for (const struct hx_option *option = plugin->table.options; option && option->name; option++)
        if (!strcmp(option->name, name))
            return option;
    return NULL;
}

/* The list only ever grows at its head, and a new entry is complete before it is linked: a child may read it even if
 * the parent was just loading a plugin. */
void plugin_fork_child(void)
{
    pthread_mutex_init(&list_mutex, NULL);
    depth = 0;
    for (struct plugin *plugin = list; plugin; plugin = plugin->next) {
        init_locks(plugin);
        atomic_store(&plugin->forked_owed, true);
    }
}
