/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers from the token.  A context has nothing that changes but its state, so that threads share it without
 * a lock and a forked child goes on using it.  The token is not touched before the first number is wanted: OpenSSL
 * starts a generator with a lock held, and a token's library may want random numbers of its own. */
#include "random.h"

#include "software.h"

#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>

enum { STRENGTH = 256, REQUEST_MAX = 1 << 16 };

struct random {
    struct provider *provider;
    atomic_int state; /* EVP_RAND_STATE_* */
};

static void *newctx(void *provider, void *parent, const OSSL_DISPATCH *parent_calls)
{
    struct random *random = calloc(1, sizeof(*random));

    (void)parent;
    (void)parent_calls;
    if (!random)
        return NULL;
    random->provider = provider;
    random->state = EVP_RAND_STATE_UNINITIALISED;
    return random;
}

static void freectx(void *random)
{
    free(random);
}

static int is_strong(const struct random *random, unsigned strength)
{
    return strength <= STRENGTH || error_raise(random->provider, HX_E_UNSUPPORTED, __func__,
                                               "random: a strength of %u bits, at most %d", strength, STRENGTH);
}

static int instantiate(void *ctx, unsigned strength, int prediction_resistance, const unsigned char *text, size_t len,
                       const OSSL_PARAM params[])
{
    struct random *random = ctx;

    (void)prediction_resistance;
    (void)text;
    (void)len;
    (void)params;
    if (!is_strong(random, strength))
        return 0;
    random->state = EVP_RAND_STATE_READY;
    return 1;
}

static int uninstantiate(void *ctx)
{
    struct random *random = ctx;

    random->state = EVP_RAND_STATE_UNINITIALISED;
    return 1;
}

/* A token that is software may come back for random numbers to the very OpenSSL that asks it.  It gets what it would
 * get without us: OpenSSL's own. */
static int fill_for_token(const struct random *random, unsigned char *out, size_t len)
{
    OSSL_LIB_CTX *libctx = software_libctx(random->provider);

    return libctx && RAND_priv_bytes_ex(libctx, out, len, 0) == 1;
}

static int fill(const struct random *random, unsigned char *out, size_t len)
{
    hx *context;
    int result;

    if (random->state != EVP_RAND_STATE_READY)
        return error_raise(random->provider, HX_E_INVALID, __func__, "random: not instantiated");
    if (hx_inside())
        return fill_for_token(random, out, len);
    context = provider_hx(random->provider);
    if (!context)
        return 0;
    result = hx_random(context, random->provider->random_token, out, len);
    return result >= 0 || error_hx(random->provider, result, __func__);
}

static int generate(void *ctx, unsigned char *out, size_t len, unsigned strength, int prediction_resistance,
                    const unsigned char *more, size_t more_len)
{
    const struct random *random = ctx;

    (void)prediction_resistance;
    (void)more;
    (void)more_len;
    return is_strong(random, strength) && fill(random, out, len);
}

/* The token seeds itself. */
static int reseed(void *ctx, int prediction_resistance, const unsigned char *entropy, size_t entropy_len,
                  const unsigned char *more, size_t more_len)
{
    (void)ctx;
    (void)prediction_resistance;
    (void)entropy;
    (void)entropy_len;
    (void)more;
    (void)more_len;
    return 1;
}

/* OpenSSL's own generators, which we are the seed of, ask for bits of entropy in at least and at most so many bytes. */
static size_t get_seed(void *ctx, unsigned char **ret, int entropy, size_t min, size_t max, int prediction_resistance,
                       const unsigned char *more, size_t more_len)
{
    const struct random *random = ctx;
    size_t len = entropy > 0 ? ((size_t)entropy + 7) / 8 : 0;
    unsigned char *seed;

    (void)prediction_resistance;
    (void)more;
    (void)more_len;
    if (len < min)
        len = min;
    if (len > max)
        return (size_t)error_raise(random->provider, HX_E_INVALID, __func__,
                                   "random: %d bits of entropy do not fit into %zu bytes", entropy, max);
    seed = OPENSSL_malloc(len);
    if (!seed)
        return 0;
    if (!fill(random, seed, len)) {
        OPENSSL_clear_free(seed, len);
        return 0;
    }
    *ret = seed;
    return len;
}

/* The context is not looked at: some versions of OpenSSL give the child's. */
static void clear_seed(void *ctx, unsigned char *seed, size_t len)
{
    (void)ctx;
    OPENSSL_clear_free(seed, len);
}

static int lock(void *ctx)
{
    (void)ctx;
    return 1;
}

static void unlock(void *ctx)
{
    (void)ctx;
}

static int get_params(void *ctx, OSSL_PARAM params[])
{
    OSSL_PARAM *state = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE);
    OSSL_PARAM *strength = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH);
    OSSL_PARAM *max = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST);
    const struct random *random = ctx;

    return (!state || OSSL_PARAM_set_int(state, random->state)) &&
           (!strength || OSSL_PARAM_set_uint(strength, STRENGTH)) && (!max || OSSL_PARAM_set_size_t(max, REQUEST_MAX));
}

static const OSSL_PARAM *gettable(void *ctx, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_int(OSSL_RAND_PARAM_STATE, NULL),
        OSSL_PARAM_uint(OSSL_RAND_PARAM_STRENGTH, NULL),
        OSSL_PARAM_size_t(OSSL_RAND_PARAM_MAX_REQUEST, NULL),
        OSSL_PARAM_END,
    };

    (void)ctx;
    (void)provider;
    return known;
}

const OSSL_DISPATCH random_functions[] = {
    { OSSL_FUNC_RAND_NEWCTX, (void (*)(void))newctx },
    { OSSL_FUNC_RAND_FREECTX, (void (*)(void))freectx },
    { OSSL_FUNC_RAND_INSTANTIATE, (void (*)(void))instantiate },
    { OSSL_FUNC_RAND_UNINSTANTIATE, (void (*)(void))uninstantiate },
    { OSSL_FUNC_RAND_GENERATE, (void (*)(void))generate },
    { OSSL_FUNC_RAND_RESEED, (void (*)(void))reseed },
    { OSSL_FUNC_RAND_GET_SEED, (void (*)(void))get_seed },
    { OSSL_FUNC_RAND_CLEAR_SEED, (void (*)(void))clear_seed },
    { OSSL_FUNC_RAND_ENABLE_LOCKING, (void (*)(void))lock },
    { OSSL_FUNC_RAND_LOCK, (void (*)(void))lock },
    { OSSL_FUNC_RAND_UNLOCK, (void (*)(void))unlock },
    { OSSL_FUNC_RAND_GET_CTX_PARAMS, (void (*)(void))get_params },
    { OSSL_FUNC_RAND_GETTABLE_CTX_PARAMS, (void (*)(void))gettable },
    { 0, NULL },
};
