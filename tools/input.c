/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in: files, PINs and passphrases, answers to questions. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/ui.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX = 64 << 20, SECRET_MAX = 1024 };

void blob_free(struct blob *blob)
{
    if (blob->data)
        OPENSSL_clear_free(blob->data, blob->len + 1);
    blob->data = NULL;
    blob->len = 0;
}

int blob_copy(const void *data, size_t len, struct blob *ret)
{
    unsigned char *copy = OPENSSL_malloc(len + 1);

    if (!copy)
        return fail("out of memory");
    if (len)
        memcpy(copy, data, len);
    copy[len] = 0;
    ret->data = copy;
    ret->len = len;
    return DONE;
}

/* By read(2): a stdio buffer would keep a copy of what may be a secret. */
static int read_all(int fd, const char *path, struct blob *ret)
{
    struct blob blob = { 0 };
    size_t room = 4096;
    ssize_t got;

    blob.data = OPENSSL_malloc(room);
    while (blob.data) {
        unsigned char *more;

        got = read(fd, blob.data + blob.len, room - 1 - blob.len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        blob.len += (size_t)got;
        if (blob.len < room - 1)
            continue;
        if (room >= INPUT_MAX) {
            OPENSSL_clear_free(blob.data, room);
            return fail("'%s': longer than %d bytes", path, INPUT_MAX);
        }
        more = OPENSSL_clear_realloc(blob.data, room, room * 2);
        if (!more)
            OPENSSL_clear_free(blob.data, room);
        blob.data = more;
        room *= 2;
    }
    if (!blob.data)
        return fail("out of memory");
    if (got < 0) {
        int reason = errno;

        OPENSSL_clear_free(blob.data, room);
        return fail("'%s': %s", path, strerror(reason));
    }
    blob.data[blob.len] = 0;
    *ret = blob;
    return DONE;
}

int read_input(const char *path, struct blob *ret)
{
    AUTO_CLOSE int fd = -1;

    if (!strcmp(path, "-"))
        return read_all(STDIN_FILENO, "standard input", ret);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail("'%s': %s", path, strerror(errno));
    return read_all(fd, path, ret);
}

/* One line: an end of line, LF or CR LF, is no part of it; anything after that is a doubt, and so an error. */
static int take_line(struct blob *blob, const char *path, const char *what)
{
    size_t len = blob->len;

    if (len && blob->data[len - 1] == '\n')
        len--;
    if (len && blob->data[len - 1] == '\r')
        len--;
    if (len == 0)
        return fail("'%s': holds no %s", path, what);
    if (len > SECRET_MAX || memchr(blob->data, '\n', len) || memchr(blob->data, 0, len))
        return fail("'%s': must hold one line, the %s", path, what);
    OPENSSL_cleanse(blob->data + len, blob->len - len);
    blob->data[len] = 0;
    return DONE;
}

int read_secret_file(const char *path, const char *what, struct blob *ret)
{
    AUTO_CLOSE int fd = -1;
    AUTO_BLOB struct blob blob = { 0 };
    struct stat info;
    bool given = !strcmp(path, "-");
    int status;

    fd = given ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (given)
        path = "standard input";
    if (fd < 0 || fstat(fd, &info))
        return fail("%s file '%s': %s", what, path, strerror(errno));
    if (!given && S_ISREG(info.st_mode) && (info.st_mode & (S_IROTH | S_IWOTH)))
        return fail("%s file '%s': others can read or write it: chmod o-rwx '%s'", what, path, path);
    status = read_all(fd, path, &blob);
    if (!status)
        status = take_line(&blob, path, what);
    if (!status)
        status = blob_copy(blob.data, strlen((char *)blob.data), ret);
    return status;
}

/* libcrypto's reader restores the terminal when a signal comes. */
int ask_secret(const char *prompt, const char *instead, struct blob *ret)
{
    char line[SECRET_MAX + 2], buf[SECRET_MAX + 2];
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), status;

    if (terminal < 0)
        return fail("%s: there is no terminal to ask on: give %s", prompt, instead);
    close(terminal);
    snprintf(line, sizeof line, "%s: ", prompt);
    status = UI_UTIL_read_pw(buf, line, SECRET_MAX, line, 0);
    if (status == 0 && buf[0])
        status = blob_copy(buf, strlen(buf), ret);
    else
        status = fail("%s: nothing was given", prompt);
    OPENSSL_cleanse(buf, sizeof buf);
    OPENSSL_cleanse(line, sizeof line);
    return status;
}

bool ask_yes(const char *question)
{
    char answer[16];

    fprintf(stderr, "%s [y/N] ", question);
    if (!fgets(answer, sizeof answer, stdin))
        return false;
    return !strcmp(answer, "y\n") || !strcmp(answer, "yes\n");
}

/* Says nothing: its caller knows the file.  A '-', as base64url has it, would be the end of the text to libcrypto. */
int decode_base64(struct blob *text)
{
    AUTO_BLOB struct blob raw = { 0 };
    EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
    int len = 0, rest = 0, result = -1;

    if (context && !memchr(text->data, '-', text->len) && !blob_copy(text->data, text->len, &raw)) {
        EVP_DecodeInit(context);
        result = EVP_DecodeUpdate(context, raw.data, &len, text->data, (int)text->len);
        if (result >= 0)
            result = EVP_DecodeFinal(context, raw.data + len, &rest);
    }
    EVP_ENCODE_CTX_free(context);
    if (result < 0 || len + rest == 0)
        return FAILED;
    OPENSSL_cleanse(text->data, text->len);
    memcpy(text->data, raw.data, (size_t)len + (size_t)rest);
    text->len = (size_t)len + (size_t)rest;
    return DONE;
}
