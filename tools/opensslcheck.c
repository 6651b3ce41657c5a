/* SPDX-License-Identifier: Apache-2.0 */
/* Is hsmux in force for OpenSSL's programs?  Reads the openssl.cnf that they read, and says how to mend it. */
#include "tool.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char mend[] = "'hsmux openssl-conf --out FILE' writes one that does; name it in OPENSSL_CONF";

static bool is_active(const CONF *conf, const char *section)
{
    const char *value = section ? NCONF_get_string(conf, section, "activate") : NULL;

    return value && strcmp(value, "0") && strcasecmp(value, "no") && strcasecmp(value, "false") &&
           strcasecmp(value, "off");
}

static int verdict(int result, char **ret, const char *fmt, ...) HX_PRINTF(3, 4);

static int verdict(int result, char **ret, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (vasprintf(ret, fmt, args) < 0)
        *ret = NULL;
    va_end(args);
    return result;
}

/* The dynamic loader's words come first in the queue; what follows them has none. */
static const char *first_error(void)
{
    const char *text = NULL;
    unsigned long error;
    int flags = 0;

    error = ERR_peek_error_all(NULL, NULL, NULL, &text, &flags);
    if (text && *text && flags & ERR_TXT_STRING)
        return text;
    text = ERR_reason_error_string(error);
    return text ? text : "OpenSSL gives no reason";
}

/* OpenSSL takes a module without a slash from its modules directory. */
static int check_module(const char *module, char **ret_text)
{
    AUTO_FREE char *directory = strdup(module);
    char *slash = directory ? strrchr(directory, '/') : NULL;
    OSSL_PROVIDER *provider;
    OSSL_LIB_CTX *context;

    if (!slash)
        return verdict(0, ret_text, "hsmux is active, after default; Node wants 'module =' with the whole path");
    if (access(module, R_OK))
        return verdict(HX_E_NOT_FOUND, ret_text, "hsmux is active, but its module '%s' cannot be read: %s", module,
                       mend);
    if (strcmp(slash, "/hsmux.so"))
        return verdict(0, ret_text, "hsmux is active, after default (module '%s')", module);
    *slash = 0;
    context = OSSL_LIB_CTX_new();
    OSSL_PROVIDER_set_default_search_path(context, directory);
    provider = OSSL_PROVIDER_load(context, "hsmux");
    if (provider)
        verdict(0, ret_text, "hsmux is active, after default (module '%s')", module);
    else
        verdict(HX_E_CONFIG, ret_text, "hsmux is active, but its module '%s' does not load: %s", module, first_error());
    OSSL_PROVIDER_unload(provider);
    OSSL_LIB_CTX_free(context);
    return provider ? 0 : HX_E_CONFIG;
}

/* The provider's settings; OpenSSL itself says nothing of a misspelt one. */
static int check_settings(const CONF *conf, const char *section, char **ret_text)
{
    static const struct {
        const char *name;
        bool is_choice; /* yes or no */
    } known[] = {
        { "identity", false },
        { "module", false },
        { "activate", false },
        { "soft_load", false },
        { "config", false },
        { "pkcs11-uri", true },
        { "allow-rsa-pkcs1-decrypt", true },
        { "random-token", false },
    };
    STACK_OF(CONF_VALUE) *rows = NCONF_get_section(conf, section);
    size_t at;

    for (int i = 0; i < sk_CONF_VALUE_num(rows); i++) {
        const CONF_VALUE *row = sk_CONF_VALUE_value(rows, i);

        for (at = 0; at < sizeof known / sizeof *known && strcmp(row->name, known[at].name); at++)
            ;
        if (at == sizeof known / sizeof *known)
            return verdict(HX_E_CONFIG, ret_text, "hsmux has no setting '%s': look at [%s], and at hsmux-provider(7)",
                           row->name, section);
        if (known[at].is_choice && strcasecmp(row->value, "yes") && strcasecmp(row->value, "no"))
            return verdict(HX_E_CONFIG, ret_text, "'%s = %s' in [%s]: say yes or no", row->name, row->value, section);
    }
    return 0;
}

static int check_providers(const CONF *conf, const char *name, char **ret_text)
{
    STACK_OF(CONF_VALUE) *rows = NCONF_get_section(conf, name);
    const char *ours = NULL, *module;
    bool default_active = false, first = false;

    for (int i = 0; i < sk_CONF_VALUE_num(rows); i++) {
        const CONF_VALUE *row = sk_CONF_VALUE_value(rows, i);
        const char *identity = NCONF_get_string(conf, row->value, "identity");

        if (!identity)
            identity = row->name;
        if (!strcmp(identity, "default"))
            default_active |= is_active(conf, row->value);
        if (strcmp(identity, "hsmux"))
            continue;
        ours = row->value;
        first = !default_active;
    }
    if (!ours)
        return verdict(HX_E_CONFIG, ret_text, "its section [%s] does not name hsmux: %s", name, mend);
    if (!is_active(conf, ours))
        return verdict(HX_E_CONFIG, ret_text, "hsmux is named but not activated: add 'activate = 1' to [%s]", ours);
    if (!default_active)
        return verdict(HX_E_CONFIG, ret_text,
                       "hsmux is activated but default is not, so software keys fail: add 'default = default_sect' to "
                       "[%s], before hsmux, and a section [default_sect] with 'activate = 1'",
                       name);
    if (first)
        return verdict(HX_E_CONFIG, ret_text, "hsmux stands before default: move its line behind it in [%s]", name);
    if (check_settings(conf, ours, ret_text))
        return HX_E_CONFIG;
    module = NCONF_get_string(conf, ours, "module");
    return check_module(module ? module : "hsmux.so", ret_text);
}

/* Node reads nodejs_conf and not openssl_conf. */
static void add_node(const CONF *conf, char **text)
{
    char *longer;

    if (!*text || NCONF_get_string(conf, NULL, "nodejs_conf"))
        return;
    longer = text_of("%s; Node's programs also want 'nodejs_conf = %s' in its first section", *text,
                     NCONF_get_string(conf, NULL, "openssl_conf"));
    if (!longer)
        return;
    free(*text);
    *text = longer;
}

static int check_file(const char *path, char **ret_text)
{
    AUTO_CONF CONF *conf = NCONF_new_ex(libctx(), NULL);
    const char *start, *providers;
    long line = 0;
    int result;

    if (!conf)
        return verdict(HX_E_NO_MEMORY, ret_text, "out of memory");
    if (access(path, R_OK))
        return verdict(HX_E_CONFIG, ret_text, "cannot be read, so OpenSSL's programs do not have hsmux: %s", mend);
    if (NCONF_load(conf, path, &line) <= 0)
        return verdict(HX_E_CONFIG, ret_text, "line %ld cannot be understood: %s", line, mend);
    start = NCONF_get_string(conf, NULL, "openssl_conf");
    providers = start ? NCONF_get_string(conf, start, "providers") : NULL;
    if (!providers)
        return verdict(HX_E_CONFIG, ret_text, "activates no providers, so OpenSSL's programs do not have hsmux: %s",
                       mend);
    result = check_providers(conf, providers, ret_text);
    if (!result)
        add_node(conf, ret_text);
    return result;
}

int openssl_check(char **ret_path, char **ret_text)
{
    AUTO_CRYPTO char *path = CONF_get1_default_config_file();
    int result;

    *ret_path = path ? strdup(path) : NULL;
    if (!*ret_path)
        return verdict(HX_E_NO_MEMORY, ret_text, "out of memory");
    result = check_file(path, ret_text);
    ERR_clear_error();
    return result;
}
