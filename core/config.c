/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: its file, its sections, and the keys that the core itself understands. */
#include "config.h"

#include "bytes.h"
#include "error.h"
#include "lines.h"
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILE ((size_t)1 << 20)

/* The keys that the core knows; words: what the value may be, if not any text. */
static const struct known {
    const char *kind, *name;
    bool required;
    const char *words[2];
} known_keys[] = {
    { "hsmux", "references", false, { "on", "off" } }, { "token", "plugin", true, { 0 } },
    { "token", "open", false, { "use", "load" } },     { "credential", "key", true, { 0 } },
    { "credential", "certificate", false, { 0 } },     { "credential", "chain", false, { 0 } },
    { "credential", "common-name", false, { 0 } },     { "credential", "registration-id", false, { 0 } },
};
#define KNOWN_KEYS (sizeof known_keys / sizeof *known_keys)

int config_error(const struct config *config, unsigned line, const char *fmt, ...)
{
    char what[768];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (!line)
        return hx_error(HX_E_CONFIG, "%s: %s", config->path, what);
    return hx_error(HX_E_CONFIG, "%s:%u: %s", config->path, line, what);
}

static void section_free(struct section *section)
{
    struct setting *next;

    for (struct setting *setting = section->settings; setting; setting = next) {
        next = setting->next;
        free(setting->name);
        wipe_string(&setting->value);
        free(setting);
    }
    free(section->kind);
    free(section->name);
    free(section);
}

void config_free(struct config *config)
{
    struct section *next;

    if (!config)
        return;
    for (struct section *section = config->sections; section; section = next) {
        next = section->next;
        section_free(section);
    }
    free(config->path);
    free(config);
}

static void config_free_p(struct config **config)
{
    config_free(*config);
}

const struct section *config_section(const struct config *config, const char *kind, const char *name)
{
    for (const struct section *section = config->sections; section; section = section->next)
        if (!strcmp(section->kind, kind) && !strcmp(section->name, name))
            return section;
    return NULL;
}

const struct setting *section_setting(const struct section *section, const char *name)
{
    for (const struct setting *setting = section->settings; setting; setting = setting->next)
        if (!strcmp(setting->name, name))
            return setting;
    return NULL;
}

const char *section_get(const struct section *section, const char *name)
{
    const struct setting *setting = section_setting(section, name);

    return setting ? setting->value : NULL;
}

static int out_of_memory(void)
{
    return hx_error(HX_E_NO_MEMORY, "out of memory");
}

static const struct known *find_known(const char *kind, const char *name)
{
    for (const struct known *known = known_keys; known < known_keys + KNOWN_KEYS; known++)
        if (!strcmp(known->kind, kind) && !strcmp(known->name, name))
            return known;
    return NULL;
}

static int check_setting(const struct config *config, const struct section *section, const struct setting *setting)
{
    const struct known *known = find_known(section->kind, setting->name);

    if (!known && strcmp(section->kind, "token"))
        return config_error(config, setting->line, "unknown key '%s' in section '[%s%s%s]'", setting->name,
                            section->kind, *section->name ? " " : "", section->name);
    if (!known || !known->words[0])
        return HX_OK;
    for (size_t i = 0; i < 2; i++)
        if (!strcmp(setting->value, known->words[i]))
            return HX_OK;
    return config_error(config, setting->line, "%s = '%s': neither '%s' nor '%s'", setting->name, setting->value,
                        known->words[0], known->words[1]);
}

/* A key that begins like the missing one is it, misspelt: only the plugin could have told that it is unknown. */
static int lacks(const struct config *config, const struct section *section, const char *name)
{
    for (const struct setting *s = section->settings; s; s = s->next)
        if (!strncmp(s->name, name, 3))
            return config_error(config, s->line, "unknown key '%s' in section '[%s%s%s]': is '%s' meant?", s->name,
                                section->kind, *section->name ? " " : "", section->name, name);
    return config_error(config, section->line, "section '[%s%s%s]' has no '%s ='", section->kind,
                        *section->name ? " " : "", section->name, name);
}

static int check_section(const struct config *config, const struct section *section)
{
    int result;

    for (const struct setting *setting = section->settings; setting; setting = setting->next)
        if ((result = check_setting(config, section, setting)))
            return result;
    for (const struct known *known = known_keys; known < known_keys + KNOWN_KEYS; known++)
        if (known->required && !strcmp(known->kind, section->kind) && !section_get(section, known->name))
            return lacks(config, section, known->name);
    return HX_OK;
}

/* What [hsmux] says goes into the config, and the section away. */
static void digest(struct config *config)
{
    for (struct section **at = &config->sections; *at; at = &(*at)->next) {
        struct section *section = *at;
        const char *references = section_get(section, "references");

        if (strcmp(section->kind, "hsmux"))
            continue;
        config->references = !references || !strcmp(references, "on");
        *at = section->next;
        section_free(section);
        return;
    }
}

/* Fills fd; -1: the file is missing, and may be. */
static int open_file(const char *path, bool named, int *ret)
{
    *ret = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* a fifo must not hang */
    if (*ret >= 0 || (!named && (errno == ENOENT || errno == ENOTDIR)))
        return HX_OK;
    if (errno == ENOENT)
        return hx_error(HX_E_CONFIG, "configuration '%s' does not exist", path);
    return hx_error(errno == EACCES ? HX_E_ACCESS : HX_E_CONFIG, "configuration '%s': %m", path);
}

static int check_file(struct config *config, int fd)
{
    struct stat st;

    if (fstat(fd, &st))
        return config_error(config, 0, "%m");
    if (!S_ISREG(st.st_mode))
        return config_error(config, 0, "not a regular file");
    if (st.st_uid && st.st_uid != geteuid())
        return config_error(config, 0, "belongs to user %u, neither root nor the running user %u: chown root '%s'",
                            (unsigned)st.st_uid, (unsigned)geteuid(), config->path);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return config_error(config, 0, "writable by others: chmod go-w '%s'", config->path);
    config->readable_by_others = trust_readable_by_others(fd);
    return HX_OK;
}

static int read_file(const struct config *config, int fd, struct hx_bytes *text)
{
    char chunk[8192];
    ssize_t got;
    int result = bytes_append(text, "", 0);

    while (!result && (got = read(fd, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result = config_error(config, 0, "%m");
        else if (text->len + (size_t)got > MAX_FILE)
            result = config_error(config, 0, "larger than %zu bytes", MAX_FILE);
        else
            result = bytes_append(text, chunk, (size_t)got);
    }
    explicit_bzero(chunk, sizeof chunk);
    return result;
}

static int load(struct config *config, bool named)
{
    AUTO_BYTES struct hx_bytes text = { 0 };
    AUTO_CLOSE int fd = -1;
    int result;

    if ((result = open_file(config->path, named, &fd)) || fd < 0)
        return result;
    config->found = true;
    if ((result = check_file(config, fd)) || (result = read_file(config, fd, &text)))
        return result;
    if ((result = lines_parse(config, &text)))
        return result;
    for (const struct section *section = config->sections; section; section = section->next)
        if ((result = check_section(config, section)))
            return result;
    digest(config);
    return HX_OK;
}

int config_read(const char *path, struct config **ret)
{
    const char *environment = secure_getenv("HSMUX_CONF");
    const char *named = path ? path : environment && *environment ? environment : NULL;
    CLEANUP(config_free_p) struct config *config = calloc(1, sizeof *config);
    int result;

    if (!config || !(config->path = string_copy(named ? named : HSMUX_CONFDIR "/hsmux.conf")))
        return out_of_memory();
    config->references = true;
    if ((result = load(config, named)))
        return result;
    *ret = config;
    config = NULL;
    return HX_OK;
}
