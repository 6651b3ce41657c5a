/* SPDX-License-Identifier: Apache-2.0 */
/* The INI file as sections and settings, each with its line.  Strict: any doubt is an error with file and line. */
#ifndef CONFIG_H
#define CONFIG_H

#include <hsmux/types.h>
#include <stdbool.h>

struct setting {
    struct setting *next;
    char *name, *value; /* the value is wiped when freed: it may be a PIN */
    unsigned line;
};

struct section {
    struct section *next; /* in the file's order */
    char *kind, *name; /* [token edge]: "token", "edge"; [credential]: "credential", "" */
    unsigned line;
    struct setting *settings;
};

struct config {
    char *path;
    bool found; /* false: there is no such file, and none was demanded */
    bool references; /* [hsmux] references = on|off */
    bool readable_by_others;
    struct section *sections; /* [token NAME] and [credential NAME]; [hsmux] is digested */
};

/* path NULL: $HSMUX_CONF through secure_getenv, else the built-in path, which alone may be missing.
 * Checks what the core itself understands; a token's own options are its plugin's to know (host_new). */
int config_read(const char *path, struct config **ret);
void config_free(struct config *);

/* The section of that kind and name, or NULL. */
const struct section *config_section(const struct config *, const char *kind, const char *name);

/* The setting's value, or NULL. */
const char *section_get(const struct section *, const char *name);
const struct setting *section_setting(const struct section *, const char *name);

/* HX_E_CONFIG with "path:line: " before the reason. */
int config_error(const struct config *, unsigned line, const char *fmt, ...) HX_PRINTF(3, 4);

#endif
