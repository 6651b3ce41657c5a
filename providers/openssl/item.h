/* SPDX-License-Identifier: Apache-2.0 */
/* What an address yields in a store: a list of items, each loaded when its turn comes. */
#ifndef ITEM_H
#define ITEM_H

#include "provider.h"

enum item_kind {
    ITEM_NAME = 1, /* bytes: an address, to be shown */
    ITEM_KEY, /* bytes: an address */
    ITEM_CERTIFICATE, /* bytes: an address */
    ITEM_DER, /* bytes: a certificate */
};

struct item {
    enum item_kind kind;
    struct hx_bytes bytes; /* allocated by us, not by the core */
};

struct items {
    struct item *item;
    size_t count;
};

/* 1, or 0 with the reason raised.  expect: OSSL_STORE_INFO_*, 0 for anything. */
int items_gather(struct provider *, const char *address, int expect, struct items *ret);
void items_free(struct items *);

#endif
