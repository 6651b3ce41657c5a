/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux sas: a shared access signature as Azure's services take it (SharedAccessSignature sr=...&sig=...&se=...).  Its
 * HMAC is made inside the token that holds the device's symmetric key. */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TTL_MAX = 366 * 24 * 60 * 60, SIG_LEN = 32 };

#define YEAR_2020 INT64_C(1577836800) /* 2020-01-01 in seconds since 1970 */

static int parse_ttl(const char *word, int64_t *ret)
{
    char *end;
    long long ttl;

    errno = 0;
    ttl = strtoll(word, &end, 10);
    if (errno || *end || *word < '0' || *word > '9' || ttl < 1 || ttl > TTL_MAX)
        return misused("'%s' is no number of seconds from 1 to %d (a year)", word, TTL_MAX);
    *ret = ttl;
    return DONE;
}

/* A device without a battery wakes up in 1970, and every service would find its token expired. */
static int choose_expiry(int64_t ttl, int64_t *ret)
{
    time_t now = time(NULL);
    char day[16] = "before 1970";
    struct tm tm;

    if (now < YEAR_2020) {
        if (gmtime_r(&now, &tm))
            strftime(day, sizeof day, "%Y-%m-%d", &tm);
        return fail("the clock says %s: a token made now would have expired already: set the clock first", day);
    }
    *ret = now + ttl;
    return DONE;
}

/* Can it make the HMAC? */
static bool is_secret(const struct hx_object *object)
{
    return object->kind == HX_SECRET_KEY && object->usage & HX_SIGN_MESSAGE &&
           (!object->hash || object->hash == HX_SHA256);
}

static int find_only_secret(hx *context, char **ret)
{
    AUTO_FOUND struct found found = { 0 };

    if (find_fitting(context, NULL, is_secret, &found))
        return fail("%s; --key ADDRESS names the secret key all the same", hx_last_error());
    if (found.count == 0)
        return fail("no token holds a secret key: 'hsmux import --secret --base64 FILE' brings one");
    if (found.count > 1)
        return fail("more than one secret key: %s; --key ADDRESS names it", found.all);
    *ret = found.address;
    found.address = NULL;
    return DONE;
}

static int open_key(const struct call *call, hx *context, hx_key **ret)
{
    AUTO_FREE char *only = NULL;
    AUTO_KEY hx_key *key = NULL;
    struct hx_object info = { 0 };

    if (!option(call, O_KEY) && find_only_secret(context, &only))
        return FAILED;
    if (hx_key_open(context, only ? only : option(call, O_KEY), &key) || hx_key_info(key, &info))
        return fail_hx();
    if (info.type != HX_GENERIC)
        return fail("'%s' is no secret key: a shared access signature is an HMAC", hx_key_address(key));
    *ret = key;
    key = NULL;
    return DONE;
}

/* Base64, then percent-encoded; for free(). */
static char *encode_signature(const struct hx_bytes *tag)
{
    AUTO_FREE char *text = tag->len == SIG_LEN ? encode_base64(tag->data, tag->len) : NULL;

    return text ? percent_encode(text) : NULL;
}

static int print_token(hx_key *key, const char *resource, const char *policy, int64_t expiry)
{
    static const struct hx_alg hmac = { .scheme = HX_HMAC, .hash = HX_SHA256 };
    AUTO_BYTES struct hx_bytes tag = { 0 };
    AUTO_FREE char *place = percent_encode(resource), *name = policy ? percent_encode(policy) : NULL, *sig = NULL;
    AUTO_FREE char *message = place ? text_of("%s\n%" PRId64, place, expiry) : NULL;
    int status;

    if (!message || (policy && !name))
        return fail("out of memory");
    status = sign_message(key, &hmac, message, strlen(message), &tag);
    if (status)
        return status;
    sig = encode_signature(&tag);
    if (!sig)
        return fail("the token gave an HMAC of %zu bytes", tag.len);
    printf("SharedAccessSignature sr=%s&sig=%s&se=%" PRId64 "%s%s\n", place, sig, expiry, name ? "&skn=" : "",
           name ? name : "");
    return DONE;
}

int sas_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_KEY hx_key *key = NULL;
    const char *resource = option(call, O_RESOURCE), *policy = option(call, O_POLICY);
    int64_t ttl = 0, expiry = 0;
    int status;

    if (!resource || !*resource)
        return misused("what for? '--resource' says it, as in HUB.azure-devices.net/devices/ID");
    if (!option(call, O_TTL))
        return misused("for how long? '--ttl' says it, in seconds");
    if (policy && !*policy)
        return misused("the policy's name is empty");
    status = parse_ttl(option(call, O_TTL), &ttl);
    if (!status)
        status = choose_expiry(ttl, &expiry); /* before the token is touched */
    if (!status)
        status = open_context(call, &context);
    if (!status)
        status = open_key(call, context, &key);
    return status ? status : print_token(key, resource, policy, expiry);
}
