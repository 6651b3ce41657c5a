/* SPDX-License-Identifier: Apache-2.0 */
/* A buffer as a plugin sees it: it can only add to it. */
#include "token.h"

#define RESULT_MAX (16u << 20) /* a plugin that says more is out of its mind */

static int put(struct hx_out *api, const void *data, size_t len)
{
    struct sink *sink = (struct sink *)(void *)api;

    if (len > RESULT_MAX - sink->bytes.len)
        return HX_E_NO_MEMORY;
    return bytes_append(&sink->bytes, data, len);
}

void sink_init(struct sink *sink)
{
    *sink = (struct sink){ .api = { put } };
}

void sink_free(struct sink *sink)
{
    hx_bytes_free(&sink->bytes);
}
