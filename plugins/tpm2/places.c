/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the places.  The system's is for all to read: a server that dropped root must find its key's label there. */
#include "places.h"

#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEMS HSMUX_STATEDIR "-tpm2"

/* What a user's own directory is below; NULL: the user has no home, as those that servers run as. */
static char *data_directory(void)
{
    const char *data = secure_getenv("XDG_DATA_HOME"), *home = secure_getenv("HOME");
    struct passwd entry, *found = NULL;
    char buffer[16384], *ret;
    if (data && data[0] == '/')
        return strdup(data);
    if ((!home || home[0] != '/') && !getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) && found)
        home = found->pw_dir;
    if (!home || home[0] != '/')
        return NULL;
    return asprintf(&ret, "%s/.local/share", home) < 0 ? NULL : ret;
}

static bool add_own(struct tpm_places *places)
{
    char *data = data_directory(), *own = NULL;
    if (!data)
        return true;
    bool ok = asprintf(&own, "%s/hsmux-tpm2", data) >= 0;
    free(data);
    if (!ok)
        return false;
    places->read[0] = own;
    places->write = strdup(own);
    return places->write != NULL;
}

static bool add_usual(struct tpm_places *places)
{
    bool root = geteuid() == 0;
    if (!root && !add_own(places))
        return false;
    char *systems = strdup(SYSTEMS);
    places->read[places->read[0] ? 1 : 0] = systems;
    if (systems && root)
        places->write = strdup(SYSTEMS);
    return systems && (places->write || !root);
}

int tpm_places_find(const struct hx_host *host, struct tpm_places *ret)
{
    const char *option = host->option(host, "directory");
    struct tpm_places places = { .write = NULL };
    if (option && option[0] != '/')
        return hx_fail(host, HX_E_CONFIG, "directory '%s' is not an absolute path", option);
    if (option && strlen(option) >= PATH_MAX)
        return hx_fail(host, HX_E_CONFIG, "directory is longer than a path can be");
    bool ok;
    if (option)
        ok = (places.write = strdup(option)) && (places.read[0] = strdup(option));
    else
        ok = add_usual(&places);
    if (!ok) {
        tpm_places_free(&places);
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    }
    *ret = places;
    return 0;
}

void tpm_places_free(struct tpm_places *places)
{
    free(places->write);
    for (size_t i = 0; i < TPM_PLACES; i++)
        free(places->read[i]);
    memset(places, 0, sizeof *places);
}

int tpm_places_writable(const struct hx_host *host, const struct tpm_places *places, const char **ret)
{
    if (!places->write)
        return hx_fail(host, HX_E_CONFIG, "user %u has no home directory to write to: set 'directory'",
                       (unsigned)geteuid());
    *ret = places->write;
    return 0;
}
