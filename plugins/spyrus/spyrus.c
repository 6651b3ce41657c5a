/* SPDX-License-Identifier: Apache-2.0 */
/* The spyrus plugin: SPYRUS Rosetta devices by the PKCS#11 module that their vendor ships.  The work is done by the
 * pkcs11 plugin that is installed beside this one: two copies of its code in one process would each have a list of
 * modules and a gate before fork() of its own, and one could call C_Finalize while the other has sessions. */
#include <hsmux/plugin.h>

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKER "pkcs11.so"

/* SPYRUS publishes no name of a module for Linux, so none is preset, and without a configuration this plugin looks for
 * nothing. */
static const struct hx_option options[] = {
    { "module", "the PKCS#11 module that came with the device, in a line 'module = /path/of/the/vendors/module.so'",
      NULL, HX_REQUIRED | HX_LIBRARY },
    { "token", "the token's label", NULL, 0 },
    { "serial", "the token's serial number", NULL, 0 },
    { "pin", "the user PIN", NULL, HX_SECRET },
    { NULL, NULL, NULL, 0 },
};

static struct hx_plugin table;

/* As the core believes plugins: it has judged this one and the directories, but not the one beside it. */
static bool is_trusted(const char *path)
{
    struct stat st;

    return stat(path, &st) ||
           (S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & (S_IWGRP | S_IWOTH)));
}

/* NULL: dlerror() tells why. */
static const struct hx_plugin *find_worker(void)
{
    const struct hx_plugin *(*entry)(void);
    char path[4096];
    const char *slash;
    void *library;
    Dl_info self;

    if (!dladdr(&table, &self) || !self.dli_fname)
        return NULL;
    slash = strrchr(self.dli_fname, '/');
    if (!slash || (size_t)snprintf(path, sizeof path, "%.*s/" WORKER, (int)(slash - self.dli_fname), self.dli_fname) >=
                      sizeof path)
        return NULL;
    if (!is_trusted(path))
        return NULL;
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return NULL;
    *(void **)&entry = dlsym(library, "hx_plugin_v1");
    return entry ? entry() : NULL;
}

/* Not HX_PLUGIN(), since most of the table is the other plugin's. */
__attribute__((visibility("default"))) const struct hx_plugin *HX_PLUGIN_ENTRY(void);

const struct hx_plugin *HX_PLUGIN_ENTRY(void)
{
    const struct hx_plugin *worker = find_worker();
    struct hx_plugin made = { 0 };

    if (!worker || worker->abi != HX_ABI)
        return NULL;
    memcpy(&made, worker, worker->struct_size < sizeof made ? worker->struct_size : sizeof made);
    made.struct_size = sizeof made;
    made.name = "spyrus";
    made.version = HSMUX_VERSION;
    made.summary = "SPYRUS Rosetta devices, by their vendor's PKCS#11 module";
    made.options = options;
    table = made;
    return &table;
}
