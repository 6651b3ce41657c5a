/* SPDX-License-Identifier: Apache-2.0 */
/* The file that an address's pin-source names. */
#include "pinfile.h"

#include "cleanup.h"
#include "error.h"
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MAX_PIN 1024

int pinfile_read(const char *path, char **ret)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    char line[MAX_PIN + 2]; /* and a line end */
    ssize_t got;
    size_t len;
    int result;

    if (fd < 0)
        return hx_error(errno == EACCES ? HX_E_ACCESS : HX_E_CONFIG, "PIN file '%s': %m", path);
    if ((result = trust_secret(fd, path, "PIN file")))
        return result;
    got = read(fd, line, sizeof line); /* a regular file comes in one piece */
    if (got < 0)
        return hx_error(HX_E_CONFIG, "PIN file '%s': %m", path);
    for (len = 0; len < (size_t)got && line[len] != '\n'; len++)
        ;
    len -= len && line[len - 1] == '\r';
    if (!len)
        result = hx_error(HX_E_CONFIG, "PIN file '%s' begins with an empty line", path);
    else if (len > MAX_PIN)
        result = hx_error(HX_E_CONFIG, "PIN file '%s': a PIN has %d bytes at most", path, MAX_PIN);
    else if (memchr(line, '\0', len))
        result = hx_error(HX_E_CONFIG, "PIN file '%s' holds a NUL", path);
    else if (!(*ret = strndup(line, len)))
        result = hx_error(HX_E_NO_MEMORY, "out of memory");
    explicit_bzero(line, sizeof line);
    return result;
}
