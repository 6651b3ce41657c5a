/* SPDX-License-Identifier: Apache-2.0 */
/* How the measuring program steers the PKCS#11 module that both bring along: through the module's symbol
 * `bench_control`, since reading the environment in each call would be part of what is measured. */
#ifndef BENCH_MODULE_H
#define BENCH_MODULE_H

#include <stdatomic.h>

struct bench_control {
    atomic_ulong calls; /* C_GetFunctionList not counted */
    atomic_int fake; /* C_Sign repeats the first signature that it made with that key and mechanism */
    atomic_int delay_ms; /* how long C_Sign takes at least */
};

#endif
