/* SPDX-License-Identifier: Apache-2.0 */
/* Logging in is trying the PIN on the encrypted files: one that it opens is enough, since a directory may hold keys
 * of several passphrases. */
#include "login.h"

#include "key.h"
#include "list.h"
#include "quiet.h"

#include <string.h>

struct attempt {
    struct quiet quiet;
    const unsigned char *pin;
    size_t pin_len, files;
};

/* 1: it fits. */
static int try_file(void *arg, const char *file, const struct contents *contents)
{
    struct attempt *attempt = arg;
    const struct block *block = contents_key(contents);
    unsigned char *plain;
    size_t len;
    if (!block || !block_is_encrypted(block))
        return 0;
    int result = key_decrypt(&attempt->quiet.token, file, block, attempt->pin, attempt->pin_len, &plain, &len);
    if (result)
        /* Files that no PIN would open say nothing of this one. */
        attempt->files += result == HX_E_PIN;
    else
        directory_wipe(plain, len);
    return result ? 0 : 1;
}

int login_try(struct token *token, const void *pin, size_t len)
{
    struct attempt attempt = { .pin = pin, .pin_len = len };
    if (!pin)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "a file token has no pinpad");
    if (!len || len > TOKEN_PIN_MAX)
        return hx_fail(token->host, HX_E_INVALID, "a PIN has 1 to %d bytes here", TOKEN_PIN_MAX);
    quiet_init(&attempt.quiet, token);
    int result = list_each(token, try_file, &attempt);
    if (result < 0)
        return result;
    if (!result && attempt.files)
        return hx_fail(token->host, HX_E_PIN, "the PIN is the passphrase of none of the %zu encrypted files in '%s'",
                       attempt.files, token->path);
    pthread_mutex_lock(&token->lock);
    explicit_bzero(token->pin, sizeof token->pin);
    memcpy(token->pin, pin, len);
    token->pin_len = len;
    pthread_mutex_unlock(&token->lock);
    return 0;
}

size_t token_pin(struct token *token, unsigned char ret[TOKEN_PIN_MAX])
{
    pthread_mutex_lock(&token->lock);
    size_t len = token->pin_len;
    memcpy(ret, token->pin, len);
    pthread_mutex_unlock(&token->lock);
    return len;
}
