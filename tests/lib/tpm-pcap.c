/* SPDX-License-Identifier: Apache-2.0 */
/* See tpm-pcap.h.  The file is pcapng in this machine's byte order, a section for each connection; what went to the TPM
 * and what came back are enhanced packet blocks, in made-up IPv4 and TCP headers of 20 bytes each. */
#include "tpm-pcap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_HEAD = 8, BLOCK_TAIL = 4, PACKET_HEAD = 20, IP_HEAD = 20, TCP_HEAD = 20, TPM_HEAD = 10 };
enum { ENHANCED_PACKET = 6, TPM_PORT = 2321, PORT_AT = IP_HEAD + 2, CODE_AT = IP_HEAD + TCP_HEAD + 6 };

static uint32_t native(const unsigned char *at)
{
    uint32_t number;

    memcpy(&number, at, sizeof number);
    return number;
}

/* 0: no command. */
static uint32_t code_of(const unsigned char *packet, size_t len)
{
    if (len < IP_HEAD + TCP_HEAD + TPM_HEAD || (packet[PORT_AT] << 8 | packet[PORT_AT + 1]) != TPM_PORT)
        return 0;
    packet += CODE_AT;
    return (uint32_t)packet[0] << 24 | (uint32_t)packet[1] << 16 | (uint32_t)packet[2] << 8 | packet[3];
}

static bool each_block(const unsigned char *at, size_t left, void (*what)(void *, uint32_t), void *arg)
{
    while (left >= BLOCK_HEAD + BLOCK_TAIL) {
        size_t len = native(at + 4);

        if (len < BLOCK_HEAD + BLOCK_TAIL || len > left)
            return false;
        if (native(at) == ENHANCED_PACKET && len >= BLOCK_HEAD + PACKET_HEAD + BLOCK_TAIL) {
            uint32_t code = code_of(at + BLOCK_HEAD + PACKET_HEAD, len - BLOCK_HEAD - PACKET_HEAD - BLOCK_TAIL);

            if (code)
                what(arg, code);
        }
        at += len;
        left -= len;
    }
    return left == 0;
}

bool tpm_pcap_each(const char *path, void (*what)(void *arg, uint32_t code), void *arg)
{
    FILE *file = fopen(path, "rb");
    unsigned char *all = NULL;
    struct stat st;
    bool read;

    if (!file)
        return false;
    if (!fstat(fileno(file), &st))
        all = malloc((size_t)st.st_size + 1);
    read = all && fread(all, 1, (size_t)st.st_size, file) == (size_t)st.st_size &&
           each_block(all, (size_t)st.st_size, what, arg);
    fclose(file);
    free(all);
    return read;
}

struct counter {
    uint32_t code;
    long count;
};

static void count_one(void *arg, uint32_t code)
{
    struct counter *counter = arg;

    counter->count += !counter->code || counter->code == code;
}

long tpm_pcap_count(const char *path, uint32_t code)
{
    struct counter counter = { .code = code };

    if (access(path, F_OK))
        return 0;
    return tpm_pcap_each(path, count_one, &counter) ? counter.count : -1;
}
