/* SPDX-License-Identifier: Apache-2.0 */
/* File names and labels: LABEL.key, LABEL.pem, LABEL.crt, LABEL.secret, LABEL.data, the label percent-encoded. */
#ifndef NAME_H
#define NAME_H

#include <hsmux/types.h>
#include <stdbool.h>

#define NAME_SIZE 256 /* NAME_MAX and a NUL */

enum name_suffix { NAME_KEY, NAME_PEM, NAME_CRT, NAME_SECRET, NAME_DATA };

struct name {
    enum name_suffix suffix;
    char label[NAME_SIZE];
};

/* false: a file that is none of ours (dot files, other suffixes, a NUL in the label). */
bool name_parse(const char *file, struct name *ret);

/* false: there is no label, or the name would be longer than a file system takes. */
bool name_make(const char *label, enum name_suffix, char ret[NAME_SIZE]);

/* A reference is the file's name, and "#n" for the n-th further certificate in it; the kind tells the rest. */
bool name_parse_ref(const void *ref, size_t len, char ret_file[NAME_SIZE], size_t *ret_index);
void name_print_ref(const char *file, size_t index, char ret[NAME_SIZE + 24]);

#endif
