/* SPDX-License-Identifier: Apache-2.0 */
/* Which TPM, and the way to it.  Never tctildr's own search: it ends at a TCP port on which any local user might play
 * the TPM. */
#include "tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

#define DEVICE "device:"
#define USUAL_PATH "/dev/tpmrm0"
#define USUAL DEVICE USUAL_PATH
#define SWTPM_PATH "swtpm:path="

#define NO_PERMISSION "no permission on '%s': the user has to be in group 'tss'"

static bool dbus_used, dbus_inherited;

bool tpm_tcti_is_managed(const char *name)
{
    return strstr(name, "/dev/tpmrm") || strstr(name, "tabrmd");
}

/* Does this process itself speak D-Bus then?  A command that does it for us is another matter. */
static bool uses_dbus(const char *name)
{
    return strncmp(name, "cmd:", 4) && strstr(name, "tabrmd");
}

/* The device's path, behind "device:" at its start or behind another TCTI ("pcap:device:..."); else NULL. */
static const char *device_of(const char *name)
{
    const char *found = strstr(name, DEVICE);

    return found && strncmp(name, "cmd:", 4) ? found + strlen(DEVICE) : NULL;
}

int tpm_tcti_name(const struct hx_host *host, char **ret)
{
    const char *option = host->option(host, "tcti");

    if (!option && faccessat(AT_FDCWD, USUAL_PATH, F_OK, AT_EACCESS))
        return hx_fail(host, HX_E_NOT_FOUND, "there is no TPM at '%s' (another one wants tcti = in the configuration)",
                       USUAL_PATH);
    if (option && (!*option || !strcmp(option, "none")))
        return hx_fail(host, HX_E_CONFIG, "tcti '%s' names no TPM: 'device:/dev/tpmrm0', 'tabrmd', 'swtpm:...'",
                       option);
    if (!(*ret = strdup(option ? option : USUAL)))
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    return 0;
}

/* What open() says before tpm2-tss prints it, and in better words. */
static int check_device(const struct hx_host *host, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0) {
        close(fd);
        return 0;
    }
    switch (errno) {
    case EACCES:
    case EPERM:
        return hx_fail(host, HX_E_ACCESS, NO_PERMISSION, path);
    case EBUSY:
        return hx_fail(host, HX_E_BUSY, "another process holds '%s': use /dev/tpmrm0, or tpm2-abrmd", path);
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return hx_fail(host, HX_E_NOT_FOUND, "there is no TPM at '%s'", path);
    default:
        return hx_fail(host, HX_E_DEVICE, "'%s' cannot be opened: %s", path, strerror(errno));
    }
}

int tpm_tcti_check(const struct hx_host *host, const char *name)
{
    const char *device = device_of(name);

    if (!device || !faccessat(AT_FDCWD, device, R_OK | W_OK, AT_EACCESS))
        return 0;
    if (errno == EACCES)
        return hx_fail(host, HX_E_ACCESS, NO_PERMISSION, device);
    return hx_fail(host, HX_E_NOT_FOUND, "there is no TPM at '%s'", device);
}

/* swtpm listens on two sockets, and tpm2-tss says of both no more than "IO failure". */
static int check_socket(const struct hx_host *host, const char *path)
{
    for (int i = 0; i < 2; i++) {
        char name[sizeof((struct sockaddr_un *)0)->sun_path];
        int len = snprintf(name, sizeof name, "%s%s", path, i ? ".ctrl" : "");

        if (len < 0 || (size_t)len >= sizeof name || !faccessat(AT_FDCWD, name, W_OK, AT_EACCESS))
            continue;
        if (errno == EACCES)
            return hx_fail(host, HX_E_ACCESS, "no permission on the TPM's socket '%s': user %u may not write to it",
                           name, (unsigned)geteuid());
        return hx_fail(host, HX_E_DEVICE, "there is no TPM's socket '%s': %s", name, strerror(errno));
    }
    return 0;
}

int tpm_tcti_open(const struct hx_host *host, const char *name, TSS2_TCTI_CONTEXT **ret)
{
    const char *device = device_of(name);
    int result = device ? check_device(host, device) : 0;
    TSS2_RC rc;

    if (!strncmp(name, SWTPM_PATH, strlen(SWTPM_PATH)) && !strchr(name, ','))
        result = check_socket(host, name + strlen(SWTPM_PATH));
    if (result)
        return result;
    if (uses_dbus(name) && dbus_inherited)
        return hx_fail(host, HX_E_DEVICE,
                       "tpm2-abrmd cannot be reached once a process that has used it forks: use tcti = "
                       "device:/dev/tpmrm0, or cmd:tpm2_send -T %s",
                       name);
    rc = Tss2_TctiLdr_Initialize(name, ret);
    if (rc && uses_dbus(name))
        return hx_fail(
            host, HX_E_DEVICE,
            "tpm2-abrmd gives no connection at TCTI '%s': it does not run, this user may not use it, or it has "
            "given all that it has (27, unless its --max-connections says more)",
            name);
    if (rc)
        return hx_fail(host, HX_E_DEVICE, "no TPM answers at TCTI '%s': %s (TSS2_LOG=all+error says more)", name,
                       Tss2_RC_Decode(rc));
    dbus_used = dbus_used || uses_dbus(name);
    return 0;
}

void tpm_tcti_close(TSS2_TCTI_CONTEXT **transport)
{
    if (*transport)
        Tss2_TctiLdr_Finalize(transport);
}

void tpm_tcti_forked(void)
{
    dbus_inherited = dbus_used;
}
