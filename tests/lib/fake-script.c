/* SPDX-License-Identifier: Apache-2.0 */
/* The fake plugin's script: shared memory, counters, scripted results, and the watch over the plugin contract. */
#include "fake.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct fake_control *control;
static atomic_int inside_process;
static pid_t process;

static const char *const call_names[FAKE_CALLS] = {
    "scan",   "open", "close",   "describe", "list",   "load",     "unload", "read",   "login",
    "forked", "sign", "decrypt", "derive",   "random", "generate", "import", "remove", "initialise",
};

void breach(enum fake_call call, const char *what)
{
    pthread_mutex_lock(&control->lock);
    size_t used = strlen(control->breaches);
    snprintf(control->breaches + used, sizeof control->breaches - used, "%s: %s\n", call_names[call], what);
    pthread_mutex_unlock(&control->lock);
}

static void reset(void)
{
    pthread_mutex_lock(&control->lock);
    unsigned generation = 0;
    for (unsigned i = 0; i < FAKE_TOKENS; i++) {
        if (control->token[i].generation > generation)
            generation = control->token[i].generation;
    }
    for (int i = 0; i < FAKE_CALLS; i++) {
        control->calls[i] = 0;
        control->script[i] = (struct fake_script){ 0 };
    }
    memset(control->token, 0, sizeof control->token);
    for (unsigned i = 0; i < FAKE_TOKENS; i++)
        control->token[i].generation = generation + 1;
    control->tokens = 1;
    strcpy(control->token[0].label, "fake");
    strcpy(control->token[0].serial, "F0001");
    control->salt = FAKE_SALT_HONEST;
    control->wrong_signatures = control->refused_schemes = 0;
    control->plain_oaep = control->cut_zeroes = control->long_results = false;
    control->inside = NULL;
    for (size_t i = 0; i < sizeof control->done / sizeof *control->done; i++)
        control->done[i] = 0;
    control->listed = 0;
    control->ignore_want = false;
    control->breaches[0] = '\0';
    pthread_mutex_unlock(&control->lock);
}

static void lose(unsigned token)
{
    pthread_mutex_lock(&control->lock);
    control->token[token].generation++;
    pthread_mutex_unlock(&control->lock);
}

static int make_content(struct fake_object *object)
{
    if (object->kind == HX_CERTIFICATE)
        return object->value_len ? 0 : cert_make(object);
    if (object->kind != HX_PRIVATE_KEY && object->kind != HX_PUBLIC_KEY)
        return 0;
    object->bits = pair_bits(object->type, object->bits);
    EVP_PKEY *pair = pair_get(object->type, object->bits, object->key);
    EVP_PKEY_free(pair);
    if (!object->usage && object->kind == HX_PRIVATE_KEY)
        object->usage = object->type == HX_ED25519 ? HX_SIGN_MESSAGE : HX_SIGN_DIGEST;
    return pair ? 0 : HX_E_DEVICE;
}

static int add(unsigned token, const struct fake_object *given)
{
    struct fake_object object = *given;
    if (token >= FAKE_TOKENS || make_content(&object))
        return -1;
    int place = -1;
    pthread_mutex_lock(&control->lock);
    for (int i = 0; i < FAKE_OBJECTS && place < 0; i++) {
        if (!control->token[token].object[i].uid)
            place = i;
    }
    if (place >= 0) {
        object.uid = ++control->next_uid;
        control->token[token].object[place] = object;
    }
    pthread_mutex_unlock(&control->lock);
    return place;
}

struct fake_object *find_object(unsigned token, unsigned uid)
{
    for (int i = 0; uid && i < FAKE_OBJECTS; i++) {
        if (control->token[token].object[i].uid == uid)
            return &control->token[token].object[i];
    }
    return NULL;
}

__attribute__((constructor)) static void start(void)
{
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    control = memory;
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&control->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    control->reset = reset;
    control->add = add;
    control->lose = lose;
    process = getpid();
    reset();
}

__attribute__((visibility("default"))) struct fake_control *fake_control(void)
{
    return control;
}

/* The next scripted result of a call; *ret_delay: how long it shall sleep first. */
static int next_result(enum fake_call call, unsigned *ret_delay)
{
    int result = 0;
    pthread_mutex_lock(&control->lock);
    struct fake_script *script = &control->script[call];
    *ret_delay = script->delay_ms;
    if (script->times && script->skip) {
        script->skip--;
    } else if (script->times) {
        if (script->times != FAKE_ALWAYS)
            script->times--;
        result = script->result;
    }
    pthread_mutex_unlock(&control->lock);
    return result;
}

static void watch(enum fake_call call, struct handle *handle)
{
    if (control->inside && !control->inside())
        breach(call, "outside of hx_inside()");
    if (process != getpid())
        breach(call, "in a child before forked()");
    if (atomic_fetch_add(&inside_process, 1) > 0 && !(FAKE_FLAGS & HX_THREADSAFE))
        breach(call, "while another call runs in a plugin that is not thread-safe");
    if (!handle)
        return;
    int overlapping = atomic_fetch_add(&handle->inside, 1);
    if (call == FAKE_CLOSE && overlapping > 0)
        breach(call, "while a call on the token runs");
    if (handle->closed)
        breach(call, "on a closed token");
    if (handle->pid != getpid())
        breach(call, "on what another process opened");
}

int enter(enum fake_call call, struct handle *handle)
{
    control->calls[call]++;
    watch(call, handle);
    unsigned delay;
    int result = next_result(call, &delay);
    if (delay)
        nanosleep(&(struct timespec){ delay / 1000, (long)(delay % 1000) * 1000000L }, NULL);
    if (result)
        return result;
    if (handle && call != FAKE_CLOSE && call != FAKE_UNLOAD &&
        handle->generation != control->token[handle->token].generation)
        return HX_E_LOST;
    return 0;
}

void leave(struct handle *handle)
{
    atomic_fetch_sub(&inside_process, 1);
    if (handle)
        atomic_fetch_sub(&handle->inside, 1);
}

void entered_child(void)
{
    process = getpid();
    inside_process = 0;
    control->calls[FAKE_FORKED]++;
    if (control->inside && !control->inside())
        breach(FAKE_FORKED, "outside of hx_inside()");
    pairs_forked();
}
