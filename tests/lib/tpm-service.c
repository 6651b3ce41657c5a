/* SPDX-License-Identifier: Apache-2.0 */
/* tpm-service EK SRK KEY [FAULT [PART]]: stands in for a provisioning service.  Prints the blob that brings the HMAC
 * key in file KEY to the TPM with these keys (files as `hsmux tpm ek --raw` prints them); with a FAULT, a bad one.
 * "flip" inverts the last bit of a part, "lengthen" adds one to its size, "cut" ends the blob in its last byte; PART
 * counts from 0.  Without arguments: the other faults' names. */
#include "tpm-blob.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
    unsigned char data[4096];
    size_t len;
};

static struct hx_buf read_file(const char *path, struct file *file)
{
    FILE *in = fopen(path, "r");

    if (in) {
        file->len = fread(file->data, 1, sizeof file->data, in);
        fclose(in);
    }
    return (struct hx_buf){ file->data, file->len };
}

static int list_faults(void)
{
    for (int i = 0; tpm_blob_fault_name(i); i++)
        puts(tpm_blob_fault_name(i));
    return 0;
}

static int damage(struct tpm_blob *blob, const char *how, int part)
{
    if (part < 0 || part >= TPM_BLOB_PARTS)
        return -1;
    if (!strcmp(how, "flip"))
        blob->data[blob->start[part + 1] - 1] ^= 1;
    else if (!strcmp(how, "lengthen"))
        blob->data[blob->start[part] + 1]++;
    else if (!strcmp(how, "cut"))
        blob->len = blob->start[part + 1] - 1;
    else
        return -1;
    return 0;
}

static int find_fault(const char *name, enum tpm_blob_fault *ret)
{
    for (int i = 0; tpm_blob_fault_name(i); i++) {
        if (!strcmp(tpm_blob_fault_name(i), name)) {
            *ret = i;
            return 0;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct file ek = { .len = 0 }, srk = { .len = 0 }, key = { .len = 0 };
    struct tpm_blob_order order = { .rest = { "the service's own", 17 } };
    struct tpm_blob blob;

    if (argc == 1)
        return list_faults();
    if (argc < 4 || argc > 6 || (argc == 5 && find_fault(argv[4], &order.fault))) {
        fprintf(stderr, "usage: tpm-service EK SRK KEY [FAULT [PART]]\n");
        return 2;
    }
    order.ek = read_file(argv[1], &ek);
    order.srk = read_file(argv[2], &srk);
    order.key = read_file(argv[3], &key);
    if (tpm_blob_make(&order, &blob) || (argc == 6 && damage(&blob, argv[4], atoi(argv[5])))) {
        fprintf(stderr, "tpm-service: cannot make a blob of these\n");
        return 1;
    }
    return fwrite(blob.data, 1, blob.len, stdout) == blob.len ? 0 : 1;
}
