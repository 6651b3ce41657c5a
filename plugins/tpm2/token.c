/* SPDX-License-Identifier: Apache-2.0 */
/* A token: what its section says, and what the TPM says of itself. */
#include "token.h"

#include "label.h"
#include "nvcert.h"

#include <stdlib.h>
#include <string.h>

static int yes_or_no(const struct hx_host *host, const char *name, bool *ret)
{
    const char *value = host->option(host, name);

    if (value && strcmp(value, "yes") && strcmp(value, "no"))
        return hx_fail(host, HX_E_CONFIG, "%s is 'yes' or 'no', not '%s'", name, value);
    *ret = value && !strcmp(value, "yes");
    return 0;
}

/* Where a program happens to stand must not decide which keys it has. */
static int check_key_files(const struct hx_host *host)
{
    const char *path = host->option(host, "key-files");

    return path && path[0] != '/' ? hx_fail(host, HX_E_CONFIG, "key-files '%s' is not an absolute path", path) : 0;
}

void tpm_token_close(struct tpm_token *token)
{
    if (token->tpm) {
        tpm_lock(token->tpm);
        tpm_keys_forget(token);
        tpm_label_forget(token);
        tpm_nvcerts_forget(token);
        tpm_unlock(token->tpm);
        tpm_release(token->tpm);
    }
    free(token->ek);
    explicit_bzero(token, sizeof *token);
    free(token);
}

static int fill(struct tpm_token *token, const char *serial)
{
    const struct hx_host *host = token->host;
    int result = yes_or_no(host, "parameter-encryption", &token->encrypts);

    if (!result)
        result = check_key_files(host);
    if (!result)
        result = tpm_get(host, &token->tpm);
    if (!result && serial && strcmp(serial, token->tpm->tcti))
        result = hx_fail(host, HX_E_NOT_FOUND, "there is no TPM '%s', but '%s'", serial, token->tpm->tcti);
    return result;
}

int tpm_token_open(const struct hx_host *host, const char *serial, struct tpm_token **ret)
{
    struct tpm_token *token = calloc(1, sizeof *token);
    int result;

    if (!token)
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    token->host = host;
    token->wants_pin = host->option(host, "pin") != NULL;
    result = fill(token, serial);
    if (result) {
        tpm_token_close(token);
        return result;
    }
    *ret = token;
    return 0;
}

int tpm_token_scan(const struct hx_host *host, struct hx_tokens *tokens)
{
    struct hx_token_info info = { .label = "tpm" };
    char *name;
    int result = tpm_tcti_name(host, &name);

    if (result)
        return result;
    info.serial = name;
    result = tpm_tcti_check(host, name);
    if (!result)
        result = hx_add(tokens, &info);
    free(name);
    return result;
}

int tpm_enter(struct tpm_token *token)
{
    tpm_lock(token->tpm);
    if (!atomic_load(&token->tpm->lost))
        return 0;
    tpm_unlock(token->tpm);
    return hx_fail(token->host, HX_E_LOST, "the connection to the TPM was lost");
}

void tpm_leave(struct tpm_token *token)
{
    if (token->tpm->outdated)
        atomic_store(&token->tpm->lost, true);
    tpm_session_leave(token->tpm);
    tpm_unlock(token->tpm);
}

/* Properties hold four characters each, padded with NULs or blanks. */
static int text_of(struct tpm_token *token, TPM2_PT first, size_t count, char *ret)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t value = 0;
        int result = tpm_property(token, first + (TPM2_PT)i, &value);

        if (result && result != HX_E_NOT_FOUND)
            return result;
        for (int shift = 24; shift >= 0; shift -= 8)
            if (value >> shift & 0xff)
                ret[len++] = (char)(value >> shift & 0xff);
    }
    while (len && ret[len - 1] == ' ')
        len--;
    ret[len] = 0;
    return 0;
}

/* What is to be made costs no try: see login.c. */
static uint32_t pin_flags(const struct tpm_token *token, const struct tpm_lockout *state)
{
    if (token->unborn)
        return HX_TOKEN_LOGIN;
    return (token->wants_pin ? HX_TOKEN_LOGIN : HX_PIN_EMPTY) | (state->failures ? HX_PIN_LOW : 0) |
           (state->failures + 1 == state->most ? HX_PIN_FINAL : 0) | (state->locked ? HX_PIN_LOCKED : 0);
}

int tpm_token_describe(struct tpm_token *token, struct hx_tokens *tokens)
{
    char manufacturer[5], model[17];
    struct tpm_lockout state;
    struct hx_token_info info = {
        .label = "tpm", .serial = token->tpm->tcti, .manufacturer = manufacturer, .model = model
    };
    int result;

    if ((result = tpm_lockout(token, &state)) || (result = text_of(token, TPM2_PT_MANUFACTURER, 1, manufacturer)) ||
        (result = text_of(token, TPM2_PT_VENDOR_STRING_1, 4, model)))
        return result;
    info.flags = pin_flags(token, &state);
    return hx_add(tokens, &info);
}

int tpm_token_random(struct tpm_token *token, void *buf, size_t len)
{
    unsigned char *at = buf;
    ESYS_TR session = ESYS_TR_NONE;
    int result = token->encrypts ? tpm_session(token, &session) : 0;

    if (result)
        return result;
    tpm_encrypt(token->tpm->esys, session, TPMA_SESSION_ENCRYPT);
    while (len) {
        TPM2B_DIGEST *bytes = NULL;
        UINT16 want = len < sizeof bytes->buffer ? (UINT16)len : (UINT16)sizeof bytes->buffer;
        TSS2_RC rc = Esys_GetRandom(token->tpm->esys, session, ESYS_TR_NONE, ESYS_TR_NONE, want, &bytes);

        if (rc)
            return tpm_fail(token, rc, "random");
        if (!bytes->size || bytes->size > len) {
            Esys_Free(bytes);
            return hx_fail(token->host, HX_E_DEVICE, "the TPM gave no random bytes");
        }
        memcpy(at, bytes->buffer, bytes->size);
        at += bytes->size;
        len -= bytes->size;
        explicit_bzero(bytes, sizeof *bytes);
        Esys_Free(bytes);
    }
    return 0;
}
