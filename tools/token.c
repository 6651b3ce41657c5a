/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux token init: a blank token gets its label and its PINs. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

enum { SO, USER };

/* A PIN that is new is typed twice: nobody could ever tell what it was meant to be. */
static int ask_pin(const char *what, const char *instead, bool is_new, struct blob *ret)
{
    AUTO_FREE char *again = text_of("%s again", what);
    AUTO_BLOB struct blob second = { 0 };

    if (!again)
        return fail("out of memory");
    if (ask_secret(what, instead, ret))
        return FAILED;
    if (!is_new)
        return DONE;
    if (ask_secret(again, instead, &second))
        return FAILED;
    if (second.len == ret->len && !memcmp(second.data, ret->data, ret->len))
        return DONE;
    return fail("the two are not the same");
}

static int read_pins(const struct call *call, struct blob pin[2])
{
    const char *so = option(call, O_SO_PIN), *user = option(call, O_PIN);

    if (so && user && !strcmp(so, "-") && !strcmp(user, "-"))
        return misused("standard input holds one PIN: '--so-pin-file' or '--pin-file'");
    if (so && read_secret_file(so, "SO PIN", &pin[SO]))
        return FAILED;
    return user ? read_secret_file(user, "PIN", &pin[USER]) : DONE;
}

static int try_init(const struct call *call, hx *context, const struct blob pin[2])
{
    const struct hx_spec spec = { .label = option(call, O_LABEL), .flags = option(call, O_ERASE) ? HX_REPLACE : 0 };
    const struct hx_buf given[2] = { { pin[SO].data, pin[SO].len }, { pin[USER].data, pin[USER].len } };
    int result;

    progress_start("initialising", option(call, O_TOKEN));
    result = hx_initialise(context, option(call, O_TOKEN), &spec, given, 2);
    progress_end();
    return result;
}

/* Nobody is asked before the token has been looked at and found to be blank. */
static int init(const struct call *call, hx *context, struct blob pin[2])
{
    bool erase = option(call, O_ERASE);
    int result = try_init(call, context, pin);

    if (result == HX_E_LOGIN && !pin[SO].len) {
        if (ask_pin(erase ? "SO PIN" : "new SO PIN", "--so-pin-file", !erase, &pin[SO]))
            return FAILED;
        result = try_init(call, context, pin);
    }
    if (result == HX_E_LOGIN && !pin[USER].len) {
        if (ask_pin("new user PIN", "--pin-file", true, &pin[USER]))
            return FAILED;
        result = try_init(call, context, pin);
    }
    if (result == HX_E_EXISTS && !erase)
        return fail("%s; --erase destroys all that it holds", hx_last_error());
    return result ? fail_hx() : DONE;
}

int token_init_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    struct blob pin[2] = { { 0 }, { 0 } };
    const char *label = option(call, O_LABEL), *token = option(call, O_TOKEN);
    int status;

    if (label && !*label)
        return misused("the label is empty");
    status = open_context(call, &context);
    if (!status)
        status = read_pins(call, pin);
    if (!status)
        status = init(call, context, pin);
    blob_free(&pin[SO]);
    blob_free(&pin[USER]);
    if (status)
        return status;
    printf("initialised%s", token ? " token '" : " the token");
    print_clean(token ? token : "");
    puts(token ? "'" : "");
    return DONE;
}
