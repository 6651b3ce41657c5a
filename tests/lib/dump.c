/* SPDX-License-Identifier: Apache-2.0 */
/* Signs with a key, frees everything, and writes its own memory to a file, in which a story then looks for secrets.
 * Arguments: the key's address, the file. */
#include <hsmux/hsmux.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int use_key(const char *address)
{
    static const unsigned char digest[32] = { 1 };
    static const unsigned schemes[] = { HX_ECDSA, HX_RSA_PKCS1, HX_EDDSA };
    struct hx_bytes signature = { NULL, 0 };
    hx *context = NULL;
    hx_key *key = NULL;
    int result = hx_new(NULL, &context);
    if (!result)
        result = hx_key_open(context, address, &key);
    for (unsigned i = 0; key && i < sizeof schemes / sizeof *schemes; i++) {
        struct hx_alg alg = { .scheme = schemes[i], .hash = schemes[i] == HX_EDDSA ? 0 : HX_SHA256 };
        result = hx_sign(key, &alg, digest, sizeof digest, &signature);
        if (!result)
            break;
    }
    if (result)
        fprintf(stderr, "%s\n", hx_last_error());
    hx_bytes_free(&signature);
    hx_key_close(key);
    hx_free(context);
    return result;
}

/* The writable parts of memory; nothing of them passes through stdio, which would add copies. */
static int dump(int out)
{
    static char line[512], page[4096];
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    if (mem < 0 || !maps)
        return -1;
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char mode[5];
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || mode[0] != 'r' || mode[1] != 'w')
            continue;
        for (unsigned long at = from; at < to; at += sizeof page) {
            if (pread(mem, page, sizeof page, (off_t)at) == (ssize_t)sizeof page &&
                write(out, page, sizeof page) != (ssize_t)sizeof page)
                return -1;
        }
    }
    fclose(maps);
    close(mem);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3 || use_key(argv[1]))
        return 1;
    int out = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return out < 0 || dump(out) || close(out) ? 1 : 0;
}
