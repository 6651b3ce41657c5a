/* SPDX-License-Identifier: Apache-2.0 */
/* Making a blank token usable: its label, and the PINs of the security officer (SO) and the user. */
#include "context.h"
#include "error.h"
#include "login.h"
#include "secret.h"

#include <hsmux/hsmux.h>
#include <string.h>

enum { SO, USER };

struct work {
    struct token *token;
    struct hx_spec spec;
    struct hx_buf pin[2];
};

static bool can_initialise(const struct hx_plugin *table)
{
    return table->initialise;
}

static int check_spec(const struct hx_spec *spec)
{
    if (spec->spare[0] || spec->spare[1] || spec->spare[2] || spec->spare_ptr[0] || spec->spare_ptr[1])
        return hx_error(HX_E_UNSUPPORTED, "a spare field of the specification is not zero");
    return HX_OK;
}

/* What the token will be found by afterwards. */
static const char *choose_label(struct hx *ctx, const struct token *token, const char *given)
{
    const struct option_value *option = host_value(token->host, "token");

    if (given)
        return given;
    return option && option->value ? option->value : context_name(ctx, token);
}

/* The serial number of the one token that the options reach now; "" if there is none, as with a blank one. */
static int find_serial(const struct token *token, struct hx_bytes *ret)
{
    AUTO_TOKENS struct token_list list = { 0 };
    const char *serial = "";

    if (token_table(token)->scan && !scan_host(token->host, &list) && list.count == 1 && list.token[0].serial)
        serial = list.token[0].serial;
    return bytes_text(ret, serial);
}

/* Under another name than the user's: the same digits may be both. */
static int find_officer(struct hx *ctx, const struct token *token, struct hx_bytes *ret)
{
    AUTO_BYTES struct hx_bytes serial = { 0 };
    int result = find_serial(token, &serial);

    if (result)
        return result;
    return bytes_printf(ret, "so-pin of %s", serial.len ? (char *)serial.data : context_name(ctx, token));
}

static int fetch_officer(struct hx *ctx, const struct token *token, struct hx_bytes *ret)
{
    AUTO_BYTES struct hx_bytes name = { 0 };
    int result = bytes_printf(&name, "hsmux.%s.so-pin", context_name(ctx, token));

    if (!result)
        result = secret_credential((char *)name.data, ret);
    return result == HX_E_NOT_FOUND ? HX_OK : result;
}

static int initialise(void *arg)
{
    const struct work *work = arg;

    return token_initialise(work->token, &work->spec, work->pin, 2);
}

/* A wrong SO PIN may spoil a token for ever: one that was refused is not sent again. */
static int initialise_once(struct hx *ctx, struct work *work)
{
    AUTO_BYTES struct hx_bytes officer = { 0 };
    int result;

    if (!work->pin[SO].len)
        return initialise(work);
    if ((result = find_officer(ctx, work->token, &officer)))
        return result;
    return login_once((char *)officer.data, work->pin[SO].data, work->pin[SO].len, initialise, work);
}

/* The user PIN may have been refused when it was not set yet. */
static void forget_refusal(const struct work *work)
{
    AUTO_TOKENS struct token_list list = { 0 };

    if (!work->pin[USER].len || !token_table(work->token)->scan || scan_host(work->token->host, &list))
        return;
    for (size_t i = 0; i < list.count; i++) {
        const struct token_facts *facts = &list.token[i];

        if (facts->label && facts->serial && !strcmp(facts->label, work->spec.label))
            login_forget(facts->serial, work->pin[USER].data, work->pin[USER].len);
    }
}

static int run(struct hx *ctx, struct work *work)
{
    AUTO_BYTES struct hx_bytes officer = { 0 };
    AUTO_BYTES struct hx_bytes user = { 0 };
    int result;

    if (!work->pin[SO].len && (result = fetch_officer(ctx, work->token, &officer)))
        return result;
    if (!work->pin[USER].len && (result = secret_fetch(ctx, work->token->host, "pin", &user)))
        return result;
    if (officer.len)
        work->pin[SO] = (struct hx_buf){ officer.data, officer.len };
    if (user.len)
        work->pin[USER] = (struct hx_buf){ user.data, user.len };
    result = initialise_once(ctx, work);
    if (!result)
        forget_refusal(work);
    return result;
}

int hx_initialise(struct hx *ctx, const char *name, const struct hx_spec *spec, const struct hx_buf *pin, size_t pins)
{
    AUTO_TOKEN struct token *token = NULL;
    struct work work = { .spec = *spec };
    int result;

    if (pins > 2)
        return hx_error(HX_E_INVALID, "a token has two PINs: the security officer's and the user's");
    if ((result = check_spec(spec)) || (result = context_token_that(ctx, name, can_initialise, &token)))
        return result;
    if (!token_table(token)->initialise)
        return hx_error(HX_E_UNSUPPORTED, "token '%s': plugin '%s' has nothing to initialise: use it as it is",
                        context_name(ctx, token), token_table(token)->name);
    work.token = token;
    work.spec.label = choose_label(ctx, token, spec->label);
    for (size_t i = 0; i < pins; i++)
        work.pin[i] = pin[i];
    result = run(ctx, &work);
    return result ? hx_error_in(result, "token '%s': initialise", context_name(ctx, token)) : HX_OK;
}
