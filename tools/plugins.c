/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux plugins: what is installed, and which keys each takes in its [token] section. */
#include "tool.h"

#include <stdio.h>

static json_t *json_option(const struct hx_option *row)
{
    json_t *json = json_object();

    json_object_set_new(json, "name", json_text(row->name));
    json_object_set_new(json, "help", json_text(row->help));
    json_object_set_new(json, "preset", json_text(row->preset));
    json_object_set_new(json, "required", json_boolean(row->flags & HX_REQUIRED));
    json_object_set_new(json, "secret", json_boolean(row->flags & HX_SECRET));
    json_object_set_new(json, "library", json_boolean(row->flags & HX_LIBRARY));
    return json;
}

static int add_json(void *arg, const char *path, int result, const char *name, const char *version, const char *summary,
                    const struct hx_option *options)
{
    json_t *json = json_object(), *rows = json_array();

    for (const struct hx_option *row = options; row && row->name; row++)
        json_array_append_new(rows, json_option(row));
    json_object_set_new(json, "path", json_text(path));
    json_object_set_new(json, "ok", json_boolean(result == 0));
    json_object_set_new(json, "name", json_text(name));
    json_object_set_new(json, "version", json_text(version));
    json_object_set_new(json, result ? "error" : "summary", json_text(summary));
    json_object_set_new(json, "options", rows);
    json_array_append_new(arg, json);
    return 0;
}

static void print_option(const struct hx_option *row)
{
    const char *note = row->flags & HX_REQUIRED ? " (required)" : "";

    printf("  %-20s ", row->name);
    print_clean(row->help ? row->help : "");
    if (row->preset)
        printf(" (preset: %s)", row->preset);
    puts(note);
    if (row->flags & HX_SECRET)
        printf("  %-20s or %s-file = a file that holds it, or %s-credential = a systemd credential\n", "", row->name,
               row->name);
}

static int print_plugin(void *arg, const char *path, int result, const char *name, const char *version,
                        const char *summary, const struct hx_option *options)
{
    (void)arg;
    if (result) {
        printf("%s: ", path);
        print_clean(summary ? summary : hx_strerror(result));
        putchar('\n');
        return 0;
    }
    printf("%s %s: ", name ? name : "?", version ? version : "");
    print_clean(summary ? summary : "");
    printf(" (%s)\n", path);
    for (const struct hx_option *row = options; row && row->name; row++)
        print_option(row);
    return 0;
}

/* No context: which plugins there are must be known to mend a configuration, too. */
int plugins_run(const struct call *call)
{
    AUTO_JSON json_t *json = NULL;
    json_t *rows;
    int failed;

    if (!option(call, O_JSON))
        return hx_plugins(NULL, print_plugin, NULL) ? fail_hx() : DONE;
    json = json_object();
    rows = json_array();
    failed = hx_plugins(NULL, add_json, rows);
    json_object_set_new(json, "plugins", rows);
    json_object_set_new(json, "error", failed ? json_text(hx_last_error()) : json_null());
    if (failed)
        fail_hx();
    return print_json(json) || failed ? FAILED : DONE;
}
