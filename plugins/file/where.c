/* SPDX-License-Identifier: Apache-2.0 */
/* Which directory: the option, the system's state directory for root, the user's own data directory for others; a user
 * who has none, as those that servers run as, gets the system's where he may enter it. */
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *home_directory(void)
{
    const char *home = secure_getenv("HOME");
    if (home && home[0] == '/')
        return strdup(home);
    struct passwd entry, *found = NULL;
    char buffer[16384];
    if (getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) || !found || found->pw_dir[0] != '/')
        return NULL;
    return strdup(found->pw_dir);
}

static int own_directory(const struct hx_host *host, char **ret)
{
    const char *data = secure_getenv("XDG_DATA_HOME");
    if (data && data[0] == '/') {
        if (asprintf(ret, "%s/hsmux", data) < 0)
            *ret = NULL;
        return 0;
    }
    char *home = home_directory();
    if (!home)
        return hx_fail(host, HX_E_CONFIG, "user %u has no home directory: set 'directory'", (unsigned)geteuid());
    if (asprintf(ret, "%s/.local/share/hsmux", home) < 0)
        *ret = NULL;
    free(home);
    return 0;
}

/* The system's directory instead of one that is not there.  A home that cannot be entered is what a program that was
 * root left in $HOME: then the system's is meant, and if it is closed to this user, that is what has to be said. */
static bool is_systems(const char *own)
{
    if (!faccessat(AT_FDCWD, own, F_OK, AT_EACCESS))
        return false;
    return !faccessat(AT_FDCWD, HSMUX_STATEDIR, errno == EACCES ? F_OK : R_OK | X_OK, AT_EACCESS);
}

static int usual_directory(const struct hx_host *host, char **ret)
{
    bool systems = geteuid() == 0;
    char *own = NULL;
    int result = systems ? 0 : own_directory(host, &own);
    if (result)
        return result;
    if (systems || (own && is_systems(own))) {
        free(own);
        own = strdup(HSMUX_STATEDIR);
    }
    *ret = own;
    return 0;
}

/* realpath() for a path whose last parts do not exist yet, so that the serial is the same before and after. */
static char *resolve(const char *path)
{
    char *head = strdup(path), *real = NULL, *ret = NULL;
    if (!head)
        return NULL;
    for (;;) {
        real = realpath(head, NULL);
        char *slash = real ? NULL : strrchr(head, '/');
        if (!slash)
            break;
        *slash = 0;
        if (slash == head) {
            real = strdup("");
            break;
        }
    }
    if (real && asprintf(&ret, "%s%s", strcmp(real, "/") ? real : "", path + strlen(head)) < 0)
        ret = NULL;
    if (ret && !*ret) {
        free(ret);
        ret = strdup("/");
    }
    free(real);
    free(head);
    return ret;
}

int directory_path(const struct hx_host *host, char **ret)
{
    const char *option = host->option(host, "directory");
    char *path = NULL;
    if (option && option[0] != '/')
        return hx_fail(host, HX_E_CONFIG, "directory '%s' is not an absolute path", option);
    if (option && strlen(option) >= PATH_MAX)
        return hx_fail(host, HX_E_CONFIG, "directory is longer than a path can be");
    int result = option ? 0 : usual_directory(host, &path);
    if (result)
        return result;
    if (option)
        path = strdup(option);
    for (size_t len = path ? strlen(path) : 0; len > 1 && path[len - 1] == '/'; len--)
        path[len - 1] = 0;
    char *real = path ? resolve(path) : NULL;
    free(path);
    if (!real)
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    *ret = real;
    return 0;
}
