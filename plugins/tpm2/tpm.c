/* SPDX-License-Identifier: Apache-2.0 */
/* The process's connections to TPMs.  What a parent process had open is kept in a list and never touched: to free it
 * would flush the parent's objects. */
#include "tpm.h"

#include "turn.h"

#include <stdlib.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tpm *list, *inherited;

static void destroy(struct tpm *tpm)
{
    if (tpm->esys && tpm->salted != ESYS_TR_NONE && !tpm->lost)
        Esys_FlushContext(tpm->esys, tpm->salted);
    Esys_Finalize(&tpm->esys);
    tpm_tcti_close(&tpm->transport);
    pthread_mutex_destroy(&tpm->lock);
    tpm_turn_end(tpm);
    free(tpm->tcti);
    free(tpm);
}

/* Takes over name. */
static int make(const struct hx_host *host, char *name, struct tpm **ret)
{
    struct tpm *tpm = calloc(1, sizeof *tpm);
    int result;

    if (!tpm) {
        free(name);
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    }
    tpm->tcti = name;
    tpm->managed = tpm_tcti_is_managed(name);
    tpm->salted = ESYS_TR_NONE;
    tpm->turn_fd = -1;
    pthread_mutex_init(&tpm->lock, NULL);
    result = tpm_tcti_open(host, name, &tpm->transport);
    if (!result && Esys_Initialize(&tpm->esys, tpm->transport, NULL))
        result = hx_fail(host, HX_E_DEVICE, "the TPM's software stack does not start (TCTI '%s')", name);
    if (result) {
        destroy(tpm);
        return result;
    }
    *ret = tpm;
    return 0;
}

static struct tpm *known(const char *name)
{
    for (struct tpm *tpm = list; tpm; tpm = tpm->next)
        if (!atomic_load(&tpm->lost) && !strcmp(tpm->tcti, name))
            return tpm;
    return NULL;
}

int tpm_get(const struct hx_host *host, struct tpm **ret)
{
    struct tpm_pipe pipe;
    struct tpm *tpm;
    char *name;
    int result = tpm_tcti_name(host, &name);

    if (result)
        return result;
    tpm_pipe_shut(&pipe);
    pthread_mutex_lock(&mutex);
    tpm = known(name);
    if (tpm) {
        free(name);
    } else if (!(result = make(host, name, &tpm))) {
        tpm->next = list;
        list = tpm;
    }
    if (!result) {
        tpm->refs++;
        *ret = tpm;
    }
    pthread_mutex_unlock(&mutex);
    tpm_pipe_open(&pipe);
    return result;
}

void tpm_release(struct tpm *tpm)
{
    struct tpm **at = &list;
    struct tpm_pipe pipe;

    tpm_pipe_shut(&pipe);
    pthread_mutex_lock(&mutex);
    if (--tpm->refs == 0) {
        while (*at != tpm)
            at = &(*at)->next;
        *at = tpm->next;
        destroy(tpm);
    }
    pthread_mutex_unlock(&mutex);
    tpm_pipe_open(&pipe);
}

void tpm_lock(struct tpm *tpm)
{
    pthread_mutex_lock(&tpm->lock);
    tpm_pipe_shut(&tpm->pipe);
}

void tpm_unlock(struct tpm *tpm)
{
    struct tpm_pipe pipe = tpm->pipe;

    pthread_mutex_unlock(&tpm->lock);
    tpm_pipe_open(&pipe);
}

void tpm_forked(void)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    struct tpm **end = &inherited;

    mutex = fresh;
    for (struct tpm *tpm = list; tpm; tpm = tpm->next)
        tpm_turn_forked(tpm);
    while (*end)
        end = &(*end)->next;
    *end = list;
    list = NULL;
    tpm_tcti_forked();
}
