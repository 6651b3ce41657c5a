/* SPDX-License-Identifier: Apache-2.0 */
/* What a TPM was asked, from the file that the pcap TCTI writes. */
#ifndef TPM_PCAP_H
#define TPM_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Calls what for each command's code, in their order.  False: the file cannot be read, or it is none of those. */
bool tpm_pcap_each(const char *path, void (*what)(void *arg, uint32_t code), void *arg);

/* How many commands of that code, 0: of any.  A file that is not there holds none; -1: it cannot be read. */
long tpm_pcap_count(const char *path, uint32_t code);

#endif
