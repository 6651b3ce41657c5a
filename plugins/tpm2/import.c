/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and secrets that were made elsewhere (TPM2_Import, TPM 2.0 Part 3 §13.3), which from then on stay in the TPM. */
#include "crypto.h"
#include "label.h"
#include "make.h"
#include "room.h"

#include <string.h>

#define ATTRIBUTES (TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA)
#define BLOCK 64 /* of SHA-256 */
#define SECRET_MAX TPM2_MAX_DIGEST_BUFFER

enum { RSA_N, RSA_E, RSA_D, RSA_P };
enum { EC_SCALAR, EC_POINT };

static struct hx_buf without_zeroes(struct hx_buf number)
{
    const unsigned char *at = number.data;

    while (number.len && !*at) {
        at++;
        number.len--;
    }
    number.data = at;
    return number;
}

static int fail_numbers(struct tpm_token *token, const char *why)
{
    return hx_fail(token->host, HX_E_INVALID, "cannot take the key: %s", why);
}

static bool read_exponent(struct hx_buf number, UINT32 *ret)
{
    const unsigned char *at = number.data;
    UINT32 e = 0;

    if (!number.len || number.len > sizeof e)
        return false;
    for (size_t i = 0; i < number.len; i++)
        e = e << 8 | at[i];
    *ret = e == 65537 ? 0 : e;
    return true;
}

/* A TPM reckons all but the first prime itself. */
static int fill_rsa(struct tpm_token *token, const struct hx_buf *part, size_t parts, TPMT_PUBLIC *public,
                    TPMT_SENSITIVE *secret)
{
    TPMS_RSA_PARMS *parms = &public->parameters.rsaDetail;
    struct hx_buf n, p;

    if (parts <= RSA_P)
        return fail_numbers(token, "an RSA key has its primes among its numbers");
    n = without_zeroes(part[RSA_N]);
    p = without_zeroes(part[RSA_P]);
    if (!n.len || n.len > sizeof public->unique.rsa.buffer)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "no TPM takes RSA keys of that size");
    if (p.len != n.len / 2 || n.len % 2)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "a TPM takes RSA keys of two primes of the same size");
    *parms = (TPMS_RSA_PARMS){ .symmetric.algorithm = TPM2_ALG_NULL,
                               .scheme.scheme = TPM2_ALG_NULL,
                               .keyBits = (UINT16)(n.len * 8) };
    if (!read_exponent(without_zeroes(part[RSA_E]), &parms->exponent))
        return hx_fail(token->host, HX_E_UNSUPPORTED, "a TPM's RSA exponents have 32 bits at most");
    public->type = secret->sensitiveType = TPM2_ALG_RSA;
    public->unique.rsa.size = (UINT16)n.len;
    memcpy(public->unique.rsa.buffer, n.data, n.len);
    secret->sensitive.rsa.size = (UINT16)p.len;
    memcpy(secret->sensitive.rsa.buffer, p.data, p.len);
    return tpm_make_check_rsa(token, public);
}

static void keep(TPM2B_ECC_PARAMETER *ret, struct hx_buf number, size_t width)
{
    ret->size = (UINT16)width;
    memset(ret->buffer, 0, width);
    memcpy(ret->buffer + width - number.len, number.data, number.len);
}

static int fill_ecc(struct tpm_token *token, const struct hx_spec *spec, const struct hx_buf *part, size_t parts,
                    TPMT_PUBLIC *public, TPMT_SENSITIVE *secret)
{
    TPM2_ECC_CURVE curve = tpm_curve_of(spec->type);
    size_t width = tpm_curve_width(curve);
    const unsigned char *point = parts > EC_POINT ? part[EC_POINT].data : NULL;
    struct hx_buf scalar = without_zeroes(part[EC_SCALAR]);

    if (!point || part[EC_POINT].len != 1 + 2 * width || point[0] != 4)
        return fail_numbers(token, "an EC key has its public point, 04 || X || Y, among its numbers");
    if (!scalar.len || scalar.len > width)
        return fail_numbers(token, "its private number is not of the curve's size");
    public->type = secret->sensitiveType = TPM2_ALG_ECC;
    public->parameters.eccDetail = (TPMS_ECC_PARMS){ .symmetric.algorithm = TPM2_ALG_NULL,
                                                     .scheme.scheme = TPM2_ALG_NULL,
                                                     .curveID = curve,
                                                     .kdf.scheme = TPM2_ALG_NULL };
    keep(&public->unique.ecc.x, (struct hx_buf){ point + 1, width }, width);
    keep(&public->unique.ecc.y, (struct hx_buf){ point + 1 + width, width }, width);
    keep(&secret->sensitive.ecc, scalar, width);
    return tpm_make_check_curve(token, curve);
}

/* Not by the TPM: what it is to hash would travel as it is. */
static int hash(struct tpm_token *token, const void *data, size_t len, TPM2B_DIGEST *ret)
{
    ret->size = TPM2_SHA256_DIGEST_SIZE;
    return tpm_sha256(data, len, ret->buffer) ? 0 : hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
}

/* One that is longer than the hash's block is hashed first (RFC 2104 §3), and so is good for that hash alone. */
static int fill_bits(struct tpm_token *token, const struct hx_buf *part, TPMT_PUBLIC *public, TPMT_SENSITIVE *secret)
{
    TPM2B_SENSITIVE_DATA *bits = &secret->sensitive.bits;
    TPM2B_DIGEST digest;
    int result;

    if (!part->len || part->len > SECRET_MAX)
        return hx_fail(token->host, HX_E_INVALID, "secrets have 1 to %d bytes here", SECRET_MAX);
    if (part->len <= BLOCK) {
        tpm_make_any_hash(public);
        bits->size = (UINT16)part->len;
        memcpy(bits->buffer, part->data, part->len);
        return 0;
    }
    tpm_make_one_hash(public);
    if ((result = hash(token, part->data, part->len, &digest)))
        return result;
    bits->size = digest.size;
    memcpy(bits->buffer, digest.buffer, digest.size);
    explicit_bzero(&digest, sizeof digest);
    return 0;
}

/* What stands for the secret in public is a hash of it and of a salt (Part 1 §27.5.3.2). */
static int fill_secret(struct tpm_token *token, const struct hx_buf *part, TPMT_PUBLIC *public, TPMT_SENSITIVE *secret)
{
    const TPM2B_SENSITIVE_DATA *bits = &secret->sensitive.bits;
    unsigned char salted[TPM2_SHA256_DIGEST_SIZE + BLOCK];
    int result = fill_bits(token, part, public, secret);

    secret->sensitiveType = TPM2_ALG_KEYEDHASH;
    secret->seedValue.size = TPM2_SHA256_DIGEST_SIZE;
    if (result || (result = tpm_token_random(token, secret->seedValue.buffer, secret->seedValue.size)))
        return result;
    memcpy(salted, secret->seedValue.buffer, secret->seedValue.size);
    memcpy(salted + secret->seedValue.size, bits->buffer, bits->size);
    result = hash(token, salted, (size_t)secret->seedValue.size + bits->size, &public->unique.keyedHash);
    explicit_bzero(salted, sizeof salted);
    return result;
}

struct importing {
    const struct hx_spec *spec;
    const struct hx_buf *part;
    size_t parts;
    const struct tpm_plan *plan;
    TPM2B_PUBLIC public;
    TPMT_SENSITIVE secret;
    struct hx_out *ref;
};

static int fill(struct tpm_token *token, struct importing *importing)
{
    const struct hx_spec *spec = importing->spec;
    TPMT_PUBLIC *public = &importing->public.publicArea;
    TPMT_SENSITIVE *secret = &importing->secret;

    *secret = (TPMT_SENSITIVE){ 0 };
    *public = (TPMT_PUBLIC){ .nameAlg = TPM2_ALG_SHA256,
                             .objectAttributes = ATTRIBUTES | tpm_make_usage(importing->plan->usage) };
    if (spec->kind == HX_SECRET_KEY)
        return fill_secret(token, &importing->part[0], public, secret);
    if (spec->type == HX_RSA)
        return fill_rsa(token, importing->part, importing->parts, public, secret);
    if (tpm_curve_of(spec->type) == TPM2_ECC_NONE)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "a TPM's keys are RSA, P-256, P-384 or P-521");
    return fill_ecc(token, spec, importing->part, importing->parts, public, secret);
}

static int load(struct tpm_token *token, struct importing *importing, struct tpm_fresh *ret)
{
    const struct tpm_plan *plan = importing->plan;
    int result = tpm_fresh_import(token, plan, &importing->public, &importing->secret, ret);

    if (result != HX_E_UNSUPPORTED || plan->kind != HX_SECRET_KEY)
        return result;
    tpm_make_one_hash(&importing->public.publicArea); /* not every TPM leaves the hash open */
    return tpm_fresh_import(token, plan, &importing->public, &importing->secret, ret);
}

static int import(struct tpm_token *token, void *arg)
{
    struct importing *importing = arg;
    struct tpm_fresh fresh;
    struct tpm_spot spot;
    int result;

    if ((result = tpm_settle_sweep(token, importing->plan)) || (result = tpm_spot(token, importing->plan, &spot)) ||
        (result = fill(token, importing)) || (result = load(token, importing, &fresh)))
        return result;
    result = tpm_settle(token, importing->plan, &fresh, importing->ref);
    tpm_fresh_flush(token, &fresh);
    return result;
}

static int import_key(struct tpm_token *token, const struct hx_spec *spec, const struct hx_buf *part, size_t parts,
                      struct hx_out *ref)
{
    struct tpm_plan plan;
    struct importing importing = { .spec = spec, .part = part, .parts = parts, .plan = &plan, .ref = ref };
    int result;

    if ((result = tpm_label_refresh(token)) || (result = tpm_plan(token, spec, &plan)))
        return result;
    result = tpm_with_room(token, import, &importing);
    explicit_bzero(&importing, sizeof importing);
    explicit_bzero(&plan, sizeof plan);
    return result;
}

int tpm_import(struct tpm_token *token, const struct hx_spec *given, const struct hx_buf *part, size_t parts,
               struct hx_out *ref)
{
    struct hx_spec spec = *given;

    if (spec.kind == HX_PRIVATE_KEY && parts)
        return import_key(token, &spec, part, parts, ref);
    if (parts != 1)
        return hx_fail(token->host, HX_E_INVALID, "such an object has one part");
    switch (spec.kind) {
    case HX_SECRET_KEY:
        spec.type = HX_GENERIC;
        return import_key(token, &spec, part, parts, ref);
    case HX_CERTIFICATE:
        return tpm_import_certificate(token, &spec, part, ref);
    case HX_DATA:
        return tpm_import_data(token, &spec, part, ref);
    default:
        return hx_fail(token->host, HX_E_UNSUPPORTED, "a TPM holds private keys, secrets, certificates and data");
    }
}
