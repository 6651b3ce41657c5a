/* SPDX-License-Identifier: Apache-2.0 */
/* Keys with which C_Decrypt answered with a device error: once a minute it may mean what it says, and the token is
 * opened again; more often, or after that, it is the text's fault. */
#include "operation.h"

#include <string.h>

#define SUSPECT_MS 60000
#define ROWS 256

/* A row may be two keys'; the later one's word holds then. */
static struct {
    _Atomic uint64_t key;
    _Atomic int64_t until;
} rows[ROWS];

/* FNV-1a */
static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *byte = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3;
    return hash;
}

/* The object is another each time that the token is opened. */
static uint64_t name_of(const struct p11_object *object)
{
    const struct p11_token *token = object->token;
    const struct p11_facts *facts = object->facts;
    uint64_t hash = mix(0xcbf29ce484222325, &token->module, sizeof(struct p11_module *));

    hash = mix(hash, token->label, strlen(token->label));
    hash = mix(hash, token->serial, strlen(token->serial));
    hash = mix(hash, p11_facts_label(facts), facts->label_len + 1);
    return mix(hash, p11_facts_id(facts), facts->id_len);
}

bool p11_suspect(const struct p11_object *object)
{
    uint64_t name = name_of(object);
    size_t row = (size_t)(name >> 32) % ROWS;
    bool again = atomic_load(&rows[row].key) == name && p11_now() < atomic_load(&rows[row].until);

    if (!again) {
        atomic_store(&rows[row].until, p11_now() + SUSPECT_MS);
        atomic_store(&rows[row].key, name);
    }
    return again;
}
