/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux status: what the core reports, a test signature that proves it, and OpenSSL's own configuration. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

struct report {
    json_t *checks; /* NULL: text */
    bool no_credential; /* was told already */
};

/* What was passed over is no mistake where other tokens do. */
static const char *mark(const char *subject, int result)
{
    if (!strcmp(subject, "passed-over"))
        return "--";
    return result ? "!!" : "ok";
}

static void add_json(json_t *checks, const char *subject, const char *name, int result, const char *text)
{
    json_t *row = json_object();

    json_object_set_new(row, "subject", json_text(subject));
    json_object_set_new(row, "name", json_text(name));
    json_object_set_new(row, "ok", json_boolean(result == 0));
    json_object_set_new(row, "problem", result ? json_text(hx_strerror(result)) : json_null());
    json_object_set_new(row, "text", json_text(text));
    json_array_append_new(checks, row);
}

/* The INI lines that the reason ends with once more, as they are to be copied. */
static void print_choices(const char *reason)
{
    static const char head[] = "[credential] key = ";

    for (const char *at = strstr(reason, head); at; at = strstr(at, head)) {
        at += sizeof head - 1;
        printf("\n   [credential]\n   key = %.*s\n", (int)strcspn(at, " "), at);
    }
}

static int add_check(void *arg, const char *subject, const char *name, int result, const char *text)
{
    struct report *report = arg;

    if (!strcmp(subject, "credential"))
        report->no_credential = result != 0;
    if (report->checks) {
        add_json(report->checks, subject, name, result, text);
        return 0;
    }
    printf("%s %-16s ", mark(subject, result), subject);
    print_clean(name ? name : "");
    if (name && *name && text && *text) /* "hsm:" has its colon already */
        printf("%s", name[strlen(name) - 1] == ':' ? " " : ": ");
    print_clean(text ? text : "");
    putchar('\n');
    if (result == HX_E_AMBIGUOUS && text)
        print_choices(text);
    return 0;
}

static int try_key(hx_key *key, char **ret_text)
{
    static const char message[] = "hsmux status";
    AUTO_BYTES struct hx_bytes signature = { 0 };
    struct hx_object info = { 0 };
    struct hx_alg alg;
    char buf[32];
    int status;

    if (hx_key_info(key, &info))
        return fail_hx();
    status = choose_alg(&info, 0, false, &alg);
    if (!status)
        status = sign_message(key, &alg, message, sizeof message, &signature);
    if (!status)
        status = verify_message(key, &alg, message, sizeof message, &signature);
    if (!status)
        *ret_text = text_of("a test signature was made and verified (%s%s%s)", type_word(&info, buf),
                            alg.scheme == HX_EDDSA ? "" : ", ", alg.scheme == HX_EDDSA ? "" : hash_word(alg.hash));
    return status;
}

/* A key that is chosen but cannot sign is no credential. */
static bool prove(hx *context, struct report *report)
{
    AUTO_KEY hx_key *key = NULL;
    AUTO_FREE char *text = NULL, *reason = NULL;
    int result = hx_key_open(context, "hsm:", &key);

    if (result) {
        if (!report->no_credential)
            add_check(report, "signature", "hsm:", result, hx_last_error());
        return false;
    }
    say_into(&reason);
    result = try_key(key, &text) ? HX_E_DEVICE : 0;
    say_into(NULL);
    add_check(report, "signature", hx_key_address(key), result, result ? reason : text);
    return !result;
}

static int add_plugin(void *arg, const char *path, int result, const char *name, const char *version,
                      const char *summary, const struct hx_option *options)
{
    AUTO_FREE char *text = NULL;

    (void)options;
    if (result)
        return add_check(arg, "plugin", path, result, summary);
    text = text_of("%s, %s (%s)", version ? version : "", summary ? summary : "", path);
    return add_check(arg, "plugin", name, 0, text);
}

static void check_openssl(struct report *report)
{
    AUTO_FREE char *path = NULL, *text = NULL;
    int result = openssl_check(&path, &text);

    add_check(report, "openssl", path, result, text);
}

static bool run_checks(const struct call *call, struct report *report)
{
    AUTO_HX hx *context = NULL;
    bool usable = false;
    int result = hx_new(option(call, O_CONFIG), &context);

    if (result) {
        add_check(report, "configuration", option(call, O_CONFIG), result, hx_last_error());
    } else {
        result = hx_plugins(context, add_plugin, report);
        if (!result)
            result = hx_status(context, add_check, report);
        if (result)
            add_check(report, "status", "", result, hx_last_error());
        usable = prove(context, report);
    }
    check_openssl(report);
    return usable;
}

int status_run(const struct call *call)
{
    AUTO_JSON json_t *json = NULL;
    struct report report = { 0 };
    bool usable;

    if (option(call, O_JSON))
        report.checks = json_array();
    usable = run_checks(call, &report);
    if (report.checks) {
        json = json_object();
        json_object_set_new(json, "usable", json_boolean(usable));
        json_object_set_new(json, "checks", report.checks);
        if (print_json(json))
            return FAILED;
    }
    if (usable)
        return DONE;
    return fail("no credential is usable: the lines marked !! say why%s", report.checks ? " (\"ok\": false)" : "");
}
