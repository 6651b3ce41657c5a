/* SPDX-License-Identifier: Apache-2.0 */
/* tpm-commands FILE: the code of each TPM command that the pcap TCTI wrote to the file, a line each. */
#include "tpm-pcap.h"

#include <stdio.h>

static void print(void *arg, uint32_t code)
{
    (void)arg;
    printf("0x%x\n", code);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return fprintf(stderr, "usage: tpm-commands FILE\n"), 2;
    if (tpm_pcap_each(argv[1], print, NULL))
        return 0;
    return fprintf(stderr, "tpm-commands: '%s' cannot be read to its end\n", argv[1]), 1;
}
