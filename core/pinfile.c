/* SPDX-License-Identifier: Apache-2.0 */
/* A file that holds a PIN and nothing else. */
#include "pinfile.h"

#include "error.h"
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIN_MAX 1024 /* bytes */

static int read_all(int fd, const char *path, struct hx_bytes *ret)
{
    unsigned char text[PIN_MAX + 1];
    size_t len = 0;
    ssize_t got = 0;
    int result;

    while (len < sizeof text && (got = read(fd, text + len, sizeof text - len)) != 0) {
        if (got < 0 && errno != EINTR)
            break;
        len += got > 0 ? (size_t)got : 0;
    }
    result = got < 0         ? hx_error(HX_E_CONFIG, "'%s': %s", path, strerror(errno))
             : len > PIN_MAX ? hx_error(HX_E_CONFIG, "'%s' is longer than %d bytes: no PIN", path, PIN_MAX)
                             : bytes_append(ret, text, len);
    explicit_bzero(text, sizeof text);
    return result;
}

void pinfile_strip(struct hx_bytes *secret)
{
    if (secret->len && secret->data[secret->len - 1] == '\n')
        secret->data[--secret->len] = '\0';
    if (secret->len && secret->data[secret->len - 1] == '\r')
        secret->data[--secret->len] = '\0';
}

/* An editor leaves a line end behind the PIN; anything else that is no text is a mistake. */
static int trim(struct hx_bytes *secret, const char *path)
{
    pinfile_strip(secret);
    if (!secret->len)
        return hx_error(HX_E_CONFIG, "'%s' is empty", path);
    if (memchr(secret->data, '\n', secret->len) || memchr(secret->data, '\0', secret->len))
        return hx_error(HX_E_CONFIG, "'%s' holds more than one line or a NUL: write the PIN alone", path);
    return HX_OK;
}

/* No mode of the file's own helps behind a closed directory. */
static int refused(const char *path, const char *what)
{
    struct stat st;

    if (stat(path, &st))
        return hx_error(HX_E_ACCESS, "%s '%s': Permission denied: user %u may not enter a directory above it", what,
                        path, (unsigned)geteuid());
    return hx_error(HX_E_ACCESS, "%s '%s': Permission denied: chgrp it to a group of user %u's and chmod 640 '%s'",
                    what, path, (unsigned)geteuid(), path);
}

int pinfile_read(const char *path, const char *what, struct hx_bytes *ret)
{
    AUTO_BYTES struct hx_bytes secret = { 0 };
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int result;

    if (fd < 0 && errno == ENOENT)
        return hx_error(HX_E_NOT_FOUND, "no %s '%s'", what, path);
    if (fd < 0 && errno == EACCES)
        return refused(path, what);
    if (fd < 0)
        return hx_error(HX_E_CONFIG, "%s '%s': %s", what, path, strerror(errno));
    if ((result = trust_secret(fd, path, what)) || (result = read_all(fd, path, &secret)) ||
        (result = trim(&secret, path)))
        return result;
    bytes_move(ret, &secret);
    return HX_OK;
}
