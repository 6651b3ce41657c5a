/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what is no secret: the public half of a key, wherever the token keeps it, and the value of a certificate, of
 * data, or of a secret that may leave. */
#include "attribute.h"
#include "object.h"

#include <stdlib.h>
#include <string.h>

/* So many private keys without their public values are searched for all at once. */
#define MANY 4

/* Strangers may share an id: with several public keys of that id the label must fit too. */
static struct p11_facts *pick(const struct p11_facts *private, struct p11_facts **facts, size_t count)
{
    struct p11_facts *same_label = NULL, *any = NULL;
    size_t labelled = 0, all = 0;

    for (size_t i = 0; i < count; i++) {
        if (!facts[i] || facts[i]->type != private->type)
            continue;
        any = facts[i];
        all++;
        if (facts[i]->id_len != private->id_len || facts[i]->label_len != private->label_len ||
            memcmp(facts[i]->data, private->data, private->label_len))
            continue;
        same_label = facts[i];
        labelled++;
    }
    if (labelled)
        return labelled == 1 ? same_label : NULL;
    return all == 1 && private->id_len ? any : NULL;
}

CK_RV p11_find_public(struct p11_session *session, const struct p11_facts *private, struct p11_facts **ret)
{
    struct p11_want want = { .kind = HX_PUBLIC_KEY, .id = p11_facts_id(private), .id_len = private->id_len };
    struct p11_facts **facts, *chosen;
    size_t count;
    CK_RV rv;

    if (private->id_len == 0) {
        want.label = p11_facts_label(private);
        want.label_len = private->label_len;
    }
    if (private->id_len == 0 && private->label_len == 0)
        return CKR_OK;
    rv = p11_find_facts(session, &want, &facts, &count);
    if (rv != CKR_OK)
        return rv;
    chosen = pick(private, facts, count);
    for (size_t i = 0; i < count; i++)
        if (facts[i] == chosen)
            facts[i] = NULL;
    p11_free_facts(facts, count);
    *ret = chosen;
    return CKR_OK;
}

static bool may_be_half(const struct p11_facts *private, const struct p11_facts *public)
{
    if (private->id_len)
        return public->id_len == private->id_len &&
               !memcmp(p11_facts_id(public), p11_facts_id(private), private->id_len);
    return private->label_len && public->label_len == private->label_len &&
           !memcmp(public->data, private->data, private->label_len);
}

/* The public value lies behind all else. */
static void add_public(struct p11_facts **facts, const struct p11_facts *public)
{
    size_t used = sizeof **facts + (*facts)->label_len + 1 + (*facts)->id_len;
    struct p11_facts *grown = public->public_len ? realloc(*facts, used + public->public_len) : NULL;

    if (!grown) /* then it is searched for when it is needed */
        return;
    memcpy(grown->data + grown->label_len + 1 + grown->id_len, p11_facts_public(public), public->public_len);
    grown->public_len = public->public_len;
    *facts = grown;
}

static void add_half(struct p11_facts **private, struct p11_facts **publics, size_t count, struct p11_facts **room)
{
    size_t fit = 0;

    for (size_t i = 0; i < count; i++)
        if (publics[i] && may_be_half(*private, publics[i]))
            room[fit++] = publics[i];
    if (pick(*private, room, fit))
        add_public(private, pick(*private, room, fit));
}

static bool lacks_half(const struct p11_facts *facts)
{
    return facts && facts->kind == HX_PRIVATE_KEY && facts->public_len == 0;
}

CK_RV p11_fill_publics(struct p11_session *session, struct p11_facts **facts, size_t count)
{
    struct p11_want want = { .kind = HX_PUBLIC_KEY };
    struct p11_facts **publics, **room;
    size_t found, lacking = 0;
    CK_RV rv;

    for (size_t i = 0; i < count; i++)
        lacking += lacks_half(facts[i]);
    if (lacking < MANY)
        return CKR_OK;
    rv = p11_find_facts(session, &want, &publics, &found);
    if (rv != CKR_OK)
        return rv;
    room = calloc(found + 1, sizeof(struct p11_facts *));
    for (size_t i = 0; room && i < count; i++)
        if (lacks_half(facts[i]))
            add_half(&facts[i], publics, found, room);
    free(room);
    p11_free_facts(publics, found);
    return CKR_OK;
}

/* Keeps the point with the object, so that it is searched for once. */
static int find_point(struct p11_object *object)
{
    struct p11_session session;
    struct p11_facts *public = NULL;
    unsigned char *point = NULL;
    int r;

    r = p11_session_take(object->token, &session);
    if (r)
        return r;
    r = p11_session_done(&session, p11_find_public(&session, object->facts, &public));
    if (r || !public || public->public_len == 0) {
        free(public);
        return r;
    }
    point = malloc(public->public_len);
    pthread_mutex_lock(&object->token->lock);
    if (point && !object->public) {
        memcpy(point, p11_facts_public(public), public->public_len);
        object->public_len = public->public_len;
        object->public = point;
        point = NULL;
    }
    pthread_mutex_unlock(&object->token->lock);
    free(point);
    free(public);
    return 0;
}

static bool has_point(struct p11_object *object)
{
    bool has;

    pthread_mutex_lock(&object->token->lock);
    has = object->public != NULL;
    pthread_mutex_unlock(&object->token->lock);
    return has;
}

static int read_public(struct p11_object *object, struct hx_out *out)
{
    const struct p11_facts *facts = object->facts;
    int r;

    if (facts->kind != HX_PRIVATE_KEY && facts->kind != HX_PUBLIC_KEY)
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "'%s' on token '%s' is no asymmetric key",
                       p11_facts_label(facts), object->token->label);
    if (facts->public_len)
        return hx_put(out, p11_facts_public(facts), facts->public_len);
    if (facts->kind == HX_PRIVATE_KEY && !has_point(object)) {
        r = find_point(object);
        if (r)
            return r;
    }
    if (has_point(object))
        return hx_put(out, object->public, object->public_len);
    return hx_fail(object->token->host, HX_E_UNSUPPORTED,
                   "token '%s' keeps no public half of the key '%s': no CKA_EC_POINT, no public-key object of its id",
                   object->token->label, p11_facts_label(facts));
}

static int read_value(struct p11_object *object, struct hx_out *out)
{
    const struct p11_facts *facts = object->facts;
    struct p11_session session;
    struct p11_value value = { 0 };
    int r;

    if (facts->kind == HX_PRIVATE_KEY || facts->kind == HX_PUBLIC_KEY ||
        (facts->kind == HX_SECRET_KEY && (facts->flags & (HX_EXTRACTABLE | HX_IN_HARDWARE)) != HX_EXTRACTABLE))
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "the value of '%s' on token '%s' cannot be read",
                       p11_facts_label(facts), object->token->label);
    r = p11_session_take(object->token, &session);
    if (r)
        return r;
    session.function = "C_GetAttributeValue";
    r = p11_session_done(&session, p11_attribute_read(session.fn, session.handle, facts->handle, CKA_VALUE, &value));
    if (!r)
        r = hx_put(out, value.data, value.len);
    if (value.data)
        explicit_bzero(value.data, value.len);
    free(value.data);
    return r;
}

int p11_read(struct p11_object *object, uint32_t part, struct hx_out *out)
{
    switch (part) {
    case HX_PUBLIC:
        return read_public(object, out);
    case HX_VALUE:
        return read_value(object, out);
    default:
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "token '%s' has no part %u of an object",
                       object->token->label, part);
    }
}
