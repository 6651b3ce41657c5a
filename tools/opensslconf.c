/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux openssl-conf: a whole openssl.cnf with default first and hsmux behind it.  The system's own file is included,
 * so that its requests' sections and its TLS settings (Debian: MinProtocol, CipherString) stay in force. */
#include "tool.h"

#include <openssl/err.h>
#include <string.h>
#include <sys/stat.h>

static const char head[] =
    "# Written by hsmux openssl-conf.  Use it as OPENSSL_CONF; do not put it in place of the file that it includes.\n";
static const char no_system[] = "[ req ]\n"
                                "distinguished_name = hsmux_name\n\n"
                                "[ hsmux_name ]\n\n";
/* Were the module to vanish, programs with software keys would fail at once under config_diagnostics = 1. */
static const char start[] = "[ default ]\n"
                            "openssl_conf = %s\n"
                            "nodejs_conf = %s\n"
                            "# A module that cannot be loaded must not stop programs that have software keys.\n"
                            "config_diagnostics = 0\n\n"
                            "[ %s ]\n"
                            "providers = hsmux_providers\n\n"
                            "# The order matters: hsmux comes after default.\n"
                            "[ hsmux_providers ]\n"
                            "default = hsmux_default\n";
static const char end[] = "hsmux = hsmux_provider\n\n"
                          "[ hsmux_default ]\n"
                          "activate = 1\n\n"
                          "[ hsmux_provider ]\n"
                          "module = %s\n"
                          "activate = 1\n";

/* The system's other providers (legacy, fips) keep their sections. */
static void add_providers(BIO *out, const CONF *conf, const char *init)
{
    const char *name = NCONF_get_string(conf, init, "providers");
    STACK_OF(CONF_VALUE) *rows = name ? NCONF_get_section(conf, name) : NULL;

    for (int i = 0; i < sk_CONF_VALUE_num(rows); i++) {
        const CONF_VALUE *row = sk_CONF_VALUE_value(rows, i);

        if (strcmp(row->name, "default") && strcmp(row->name, "hsmux"))
            BIO_printf(out, "%s = %s\n", row->name, row->value);
    }
}

static int check_path(const char *path)
{
    if (path[0] != '/' || strpbrk(path, "$#\\\"'` \t\n"))
        return misused("module '%s': must be an absolute path without blanks or any of $#\\\"'`", path);
    return DONE;
}

/* A file that includes itself would be read until no more files can be opened. */
static int check_output(const struct call *call, const char *system)
{
    struct stat ours, theirs;
    const char *path = option(call, O_OUT);

    if (stat(system, &theirs) || (path ? stat(path, &ours) : fstat(STDOUT_FILENO, &ours)))
        return DONE;
    if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
        return DONE;
    return fail("the output is '%s', which it is to include: write another file and name that in OPENSSL_CONF", system);
}

static int print_conf(const struct call *call, const char *system, const char *module)
{
    AUTO_BIO BIO *out = BIO_new(BIO_s_mem());
    AUTO_CONF CONF *conf = NCONF_new_ex(libctx(), NULL);
    const char *init = NULL;
    char *text;
    long line, len;

    if (!out || !conf)
        return fail("out of memory");
    BIO_puts(out, head);
    if (NCONF_load(conf, system, &line) > 0) {
        BIO_printf(out, ".include %s\n\n", system);
        init = NCONF_get_string(conf, NULL, "openssl_conf");
    } else {
        BIO_printf(out, "\n%s", no_system);
    }
    if (!init)
        init = "openssl_init";
    BIO_printf(out, start, init, init, init);
    add_providers(out, conf, init);
    BIO_printf(out, end, module);
    ERR_clear_error();
    len = BIO_get_mem_data(out, &text);
    return emit(call, text, (size_t)len);
}

int openssl_conf_run(const struct call *call)
{
    const char *module = option(call, O_MODULE);
    AUTO_FREE char *link = NULL, *system = NULL;
    int status;

    if (!module)
        module = HSMUX_MODULESDIR "/hsmux.so";
    status = check_path(module);
    if (status)
        return status;
    if (access(module, R_OK))
        warn("the provider is not at '%s' yet", module);
    link = text_of("%s/openssl.cnf", X509_get_default_cert_area());
    if (link)
        system = realpath(link, NULL);
    if (link && !system)
        system = strdup(link);
    if (!system)
        return fail("out of memory");
    if (check_output(call, system))
        return FAILED;
    return print_conf(call, system, module);
}
