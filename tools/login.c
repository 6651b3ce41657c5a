/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux login: the one place where a PIN that was refused before, or a last try, is sent: a person says so. */
#include "tool.h"

#include <stdio.h>

static int get_pin(const struct call *call, struct blob *ret)
{
    AUTO_FREE char *prompt = NULL;

    if (option(call, O_PIN))
        return read_secret_file(option(call, O_PIN), "PIN", ret);
    if (!isatty(STDIN_FILENO))
        return read_secret_file("-", "PIN", ret);
    prompt = text_of("PIN of token '%s'", call->arg[0]);
    if (!prompt)
        return fail("out of memory");
    return ask_secret(prompt, "--pin-file", ret);
}

int login_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_BLOB struct blob pin = { 0 };

    if (option(call, O_PIN) && option(call, O_PINPAD))
        return misused("either '--pin-file' or '--pinpad'");
    if (open_context(call, &context))
        return FAILED;
    if (check_token(context, call->arg[0]))
        return FAILED;
    if (!option(call, O_PINPAD) && get_pin(call, &pin))
        return FAILED;
    if (hx_login(context, call->arg[0], pin.data, pin.len))
        return fail_hx();
    printf("logged in to token '");
    print_clean(call->arg[0]);
    puts("'");
    return DONE;
}
