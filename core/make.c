/* SPDX-License-Identifier: Apache-2.0 */
/* New objects on tokens: generate, import, activate. */
#include "encode.h"
#include "error.h"
#include "key.h"

#include <string.h>

struct making {
    const struct hx_spec *spec;
    const struct hx_buf *part;
    size_t parts;
    bool import;
    struct sink ref;
};

static int make_step(struct token *token, void *arg)
{
    struct making *making = arg;
    const struct hx_plugin *table = token_table(token);

    bytes_reset(&making->ref.bytes);
    if (making->import)
        return table->import(token->handle, making->spec, making->part, making->parts, &making->ref.api);
    return table->generate(token->handle, making->spec, &making->ref.api);
}

/* The address of what bears the ref; every object of its kind is asked for, so that the address can be unique. */
static int address_of_ref(struct hx *ctx, struct token *token, uint32_t kind, const struct hx_bytes *ref,
                          struct hx_bytes *ret)
{
    AUTO_OBJECTS struct object_list list = { 0 };
    struct hx_object want = { .kind = kind };
    int result = object_list(ctx, token, &want, &list);

    for (size_t i = 0; i < list.count && !result; i++)
        if (list.object[i].info.kind == kind &&
            bytes_equal(list.object[i].ref.data, list.object[i].ref.len, ref->data, ref->len))
            return object_address(ctx, token, &list.object[i], &list, ret);
    return result ? result
                  : hx_error(HX_E_DEVICE, "token '%s': made an object but does not list it", token_name(token));
}

static int check_spec(const struct hx_spec *spec)
{
    for (size_t i = 0; i < sizeof spec->spare / sizeof *spec->spare; i++)
        if (spec->spare[i])
            return hx_error(HX_E_UNSUPPORTED, "a spare field of the specification is not zero");
    if (spec->spare_ptr[0] || spec->spare_ptr[1])
        return hx_error(HX_E_UNSUPPORTED, "a spare field of the specification is not zero");
    return HX_OK;
}

static bool can_generate(const struct hx_plugin *table)
{
    return table->generate;
}

static bool can_import(const struct hx_plugin *table)
{
    return table->import;
}

static int make(struct hx *ctx, struct token *token, struct making *making, struct hx_bytes *ret)
{
    const struct hx_plugin *table = token_table(token);
    const char *what = making->import ? "import" : "generate";
    int result;

    if (making->import ? !table->import : !table->generate)
        return hx_error(HX_E_UNSUPPORTED, "token '%s': plugin '%s' cannot %s", token_name(token), table->name, what);
    if ((result = check_spec(making->spec)))
        return result;
    sink_init(&making->ref);
    if ((result = token_call(ctx, token, make_step, making, TOKEN_ONCE)))
        hx_error_in(result, "token '%s': %s", token_name(token), what);
    else if (ret)
        result = address_of_ref(ctx, token, making->spec->kind, &making->ref.bytes, ret);
    sink_free(&making->ref);
    return result;
}

int hx_generate(struct hx *ctx, const char *name, const struct hx_spec *spec, struct hx_bytes *ret_address)
{
    AUTO_TOKEN struct token *token = NULL;
    struct making making = { .spec = spec };
    int result = context_token_that(ctx, name, can_generate, &token);

    return result ? result : make(ctx, token, &making, ret_address);
}

/* Does the certificate belong to that key?  One that cannot tell its public key has to sign for an answer. */
static bool is_its_key(struct hx *ctx, struct token *token, const struct object *object, const struct cert_facts *facts)
{
    AUTO_BYTES struct hx_bytes spki = { 0 };
    AUTO_KEY struct hx_key *key = NULL;
    int result = object_spki(ctx, token, object, &spki);

    if (result == HX_E_UNSUPPORTED && object_may_sign(&object->info) &&
        !object_address(ctx, token, object, NULL, &spki) &&
        !key_open_object(ctx, token, object, (char *)spki.data, &key) && !key->spki.len)
        return !key_prove_public(key, facts->spki.data, facts->spki.len);
    if (key) {
        bytes_reset(&spki);
        result = bytes_append(&spki, key->spki.data, key->spki.len);
    }
    return !result && bytes_equal(spki.data, spki.len, facts->spki.data, facts->spki.len);
}

/* The private key on the token that the certificate belongs to; HX_E_NOT_FOUND if there is none. */
static int key_of_certificate(struct hx *ctx, struct token *token, const struct cert_facts *facts, struct object *ret)
{
    AUTO_OBJECTS struct object_list list = { 0 };
    struct hx_object want = { .kind = HX_PRIVATE_KEY };
    int result = object_list(ctx, token, &want, &list);

    for (size_t i = 0; i < list.count && !result; i++) {
        if (!is_its_key(ctx, token, &list.object[i], facts))
            continue;
        *ret = list.object[i];
        list.object[i] = (struct object){ 0 };
        return HX_OK;
    }
    return result ? result : HX_E_NOT_FOUND;
}

static int import_certificate(struct hx *ctx, struct token *token, const struct making *asked, struct hx_bytes *ret)
{
    AUTO_OBJECT struct object key = { 0 };
    struct cert_facts facts = { 0 };
    struct hx_spec spec = *asked->spec;
    struct making making = *asked;
    int result = cert_facts(asked->part->data, asked->part->len, &facts);

    if (!result && (!spec.label || !spec.id.len)) {
        result = key_of_certificate(ctx, token, &facts, &key);
        if (!result && !spec.id.len)
            spec.id = key.info.id;
        if (!spec.label)
            spec.label = !result && key.label && *key.label ? key.label : facts.common_name;
        if (result == HX_E_NOT_FOUND)
            result = HX_OK;
        if (!result && !spec.label && !spec.id.len)
            result = hx_error(HX_E_INVALID, "the certificate has no common name and no key here: give it a label");
    }
    making.spec = &spec;
    if (!result)
        result = make(ctx, token, &making, ret);
    cert_facts_free(&facts);
    return result;
}

int hx_import(struct hx *ctx, const char *name, const struct hx_spec *spec, const struct hx_buf *part, size_t parts,
              struct hx_bytes *ret_address)
{
    AUTO_TOKEN struct token *token = NULL;
    struct making making = { .spec = spec, .part = part, .parts = parts, .import = true };
    int result;

    if (!parts || !part)
        return hx_error(HX_E_INVALID, "nothing to import");
    if ((result = context_token_that(ctx, name, can_import, &token)))
        return result;
    if (spec->kind == HX_CERTIFICATE)
        return import_certificate(ctx, token, &making, ret_address);
    return make(ctx, token, &making, ret_address);
}

struct activation {
    struct hx_buf blob;
    struct sink ref;
};

static int activate_step(struct token *token, void *arg)
{
    struct activation *activation = arg;

    bytes_reset(&activation->ref.bytes);
    return token_table(token)->activate(token->handle, activation->blob.data, activation->blob.len,
                                        &activation->ref.api);
}

static bool can_activate(const struct hx_plugin *table)
{
    return table->activate;
}

static int token_that_activates(struct hx *ctx, const char *name, struct token **ret)
{
    AUTO_TOKEN struct token *token = NULL;
    int result = context_token_that(ctx, name, can_activate, &token);

    if (result)
        return result;
    if (!token_table(token)->activate)
        return hx_error(HX_E_UNSUPPORTED, "token '%s': plugin '%s' cannot activate: it is no TPM", token_name(token),
                        token_table(token)->name);
    *ret = token;
    token = NULL;
    return HX_OK;
}

int hx_tpm_name(struct hx *ctx, const char *name, struct hx_bytes *ret)
{
    AUTO_TOKEN struct token *token = NULL;
    struct hx_bytes found = { 0 };
    int result = token_that_activates(ctx, name, &token);

    if (result || (result = bytes_text(&found, context_name(ctx, token))))
        return result;
    *ret = found;
    return HX_OK;
}

int hx_activate(struct hx *ctx, const char *name, const void *blob, size_t len, struct hx_bytes *ret_address)
{
    AUTO_TOKEN struct token *token = NULL;
    struct activation activation = { .blob = { blob, len } };
    int result;

    if (!blob || !len)
        return hx_error(HX_E_INVALID, "no activation blob");
    if ((result = token_that_activates(ctx, name, &token)))
        return result;
    sink_init(&activation.ref);
    if ((result = token_call(ctx, token, activate_step, &activation, TOKEN_ONCE)))
        hx_error_in(result, "token '%s': activate", token_name(token));
    else if (ret_address)
        result = address_of_ref(ctx, token, HX_SECRET_KEY, &activation.ref.bytes, ret_address);
    sink_free(&activation.ref);
    return result;
}
