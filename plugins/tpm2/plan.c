/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a new key, checked before anything is made: where it goes, and what may be done with it. */
#include "label.h"
#include "make.h"
#include "name.h"

#include <stdlib.h>
#include <string.h>

#define KEY_FILE ".tss"

static int check_spec(struct tpm_token *token, const struct hx_spec *spec)
{
    if (spec->spare[0] | spec->spare[1] | spec->spare[2] || spec->spare_ptr[0] || spec->spare_ptr[1] ||
        spec->flags & ~(uint32_t)(HX_REPLACE | HX_IN_HARDWARE))
        return hx_fail(token->host, HX_E_UNSUPPORTED,
                       "a TPM makes no keys that are extractable, restricted, or always ask");
    if (spec->label && (!*spec->label || strlen(spec->label) > TPM_LABELS_LABEL))
        return hx_fail(token->host, HX_E_INVALID, "labels have 1 to %d bytes here", TPM_LABELS_LABEL);
    return 0;
}

static int check_usage(struct tpm_token *token, const struct hx_spec *spec, struct tpm_plan *plan)
{
    uint32_t usual = spec->kind == HX_SECRET_KEY ? HX_SIGN_MESSAGE
                     : spec->type == HX_RSA      ? HX_SIGN_DIGEST | HX_DECRYPT
                                                 : HX_SIGN_DIGEST | HX_DERIVE;

    if (spec->usage & ~usual)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "a TPM's key of that type has no such usage");
    plan->usage = spec->usage ? spec->usage : usual;
    return 0;
}

static int read_handle(struct tpm_token *token, const char *text, TPM2_HANDLE *ret)
{
    char *end;
    unsigned long handle = strtoul(text, &end, 16);

    if (*end || strlen(text) != 10)
        return hx_fail(token->host, HX_E_INVALID, "place '%s' is neither a handle (0x81000200) nor a key file (NAME%s)",
                       text, KEY_FILE);
    *ret = (TPM2_HANDLE)handle;
    return 0;
}

/* Who owns the TPM may use handles up to 0x817fffff (Part 3 §28.5); in the TCG's registry those from 0x81010000 to
 * 0x8101ffff are the maker's. */
static int check_handle(struct tpm_token *token, TPM2_HANDLE handle)
{
    if (handle < TPM_PERSISTENT_FIRST || handle >= TPM_PERSISTENT_PLATFORM)
        return hx_fail(token->host, HX_E_INVALID,
                       "handle 0x%08x is not one of the owner's, which are 0x81000000 to 0x817fffff", handle);
    if (handle == TPM_HANDLE_SRK || handle >> 16 == TPM_HANDLE_EK >> 16)
        return hx_fail(token->host, HX_E_INVALID, "handle 0x%08x is reserved for a TPM's %s", handle,
                       handle == TPM_HANDLE_SRK ? "storage root key" : "endorsement keys");
    return 0;
}

static int read_file(struct tpm_token *token, const struct hx_spec *spec, struct tpm_plan *plan)
{
    char label[TPM_NAME_SIZE], name[TPM_NAME_SIZE];

    if (!token->host->option(token->host, "key-files"))
        return hx_fail(token->host, HX_E_CONFIG, "place '%s': there is no 'key-files' in the token's section",
                       spec->place);
    if (!tpm_name_parse(spec->place, KEY_FILE, label))
        return hx_fail(token->host, HX_E_INVALID, "place '%s' is no file name, which is in 'key-files'", spec->place);
    if (spec->label && strcmp(spec->label, label))
        return hx_fail(token->host, HX_E_INVALID, "a key file's name is its label: place '%s'",
                       tpm_name_print(spec->label, KEY_FILE, name) ? name : "NAME" KEY_FILE);
    plan->file = spec->place;
    return 0;
}

static bool is_file(const char *place)
{
    size_t len = strlen(place), tail = strlen(KEY_FILE);

    return len > tail && !strcmp(place + len - tail, KEY_FILE);
}

static int read_place(struct tpm_token *token, const struct hx_spec *spec, struct tpm_plan *plan)
{
    const unsigned char *id = spec->id.data;
    int result = 0;

    if (spec->place && is_file(spec->place))
        return spec->id.len ? hx_fail(token->host, HX_E_UNSUPPORTED, "a key file's id is reckoned from the key")
                            : read_file(token, spec, plan);
    if (spec->id.len == 4)
        plan->handle = (TPM2_HANDLE)id[0] << 24 | (TPM2_HANDLE)id[1] << 16 | (TPM2_HANDLE)id[2] << 8 | id[3];
    if (spec->id.len && (spec->id.len != 4 || spec->place))
        return hx_fail(token->host, HX_E_UNSUPPORTED, "a key's id is its handle: four bytes, and no other place");
    if (spec->place)
        result = read_handle(token, spec->place, &plan->handle);
    return result || !plan->handle ? result : check_handle(token, plan->handle);
}

/* Where a PIN is configured it is the auth value of each new key: the core logs in, and calls again. */
int tpm_make_auth(struct tpm_token *token, TPM2B_AUTH *ret)
{
    *ret = (TPM2B_AUTH){ 0 };
    token->unborn = token->wants_pin && !token->logged_in;
    if (token->unborn)
        return hx_fail(token->host, HX_E_LOGIN, "a PIN is configured, and is to be the new key's auth value");
    if (token->wants_pin)
        *ret = token->auth;
    if (ret->size <= TPM2_SHA256_DIGEST_SIZE)
        return 0;
    *ret = (TPM2B_AUTH){ 0 };
    return hx_fail(token->host, HX_E_CONFIG, "a PIN of more than %d bytes cannot be the auth value of a new key",
                   TPM2_SHA256_DIGEST_SIZE);
}

int tpm_plan(struct tpm_token *token, const struct hx_spec *spec, struct tpm_plan *ret)
{
    struct tpm_plan plan = {
        .kind = spec->kind, .type = spec->type, .label = spec->label, .replaces = spec->flags & HX_REPLACE
    };
    int result;

    if ((result = check_spec(token, spec)) || (result = check_usage(token, spec, &plan)) ||
        (result = read_place(token, spec, &plan)) || (result = tpm_make_auth(token, &plan.auth)))
        return result;
    *ret = plan;
    explicit_bzero(&plan, sizeof plan);
    return 0;
}
