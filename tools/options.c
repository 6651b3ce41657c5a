/* SPDX-License-Identifier: Apache-2.0 */
/* The options of all commands: one table, from which they are parsed and explained. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

struct option_row {
    uint64_t bit;
    char letter; /* 0: it has none */
    const char *name;
    const char *value; /* NULL: it takes none */
    const char *help;
};

static const struct option_row rows[] = {
    { O_TOKEN, 0, "token", "T", "the token's name" },
    { O_LABEL, 0, "label", "L", "the label of what is new" },
    { O_TYPE, 0, "type", "TYPE", "rsa:2048, rsa:3072, rsa:4096, p256 (the preset), p384, p521 or ed25519" },
    { O_PLACE, 0, "place", "WHERE", "where on the token: a TPM's handle, as in 0x81000200, or key file, NAME.tss" },
    { O_REPLACE, 0, "replace", NULL, "replace what bears the same label" },
    { O_SUBJECT, 0, "subject", "NAME", "the subject, as in /O=Example/CN=device-1" },
    { O_SAN, 0, "san", "NAMES", "alternative names, as in DNS:a.example,IP:192.0.2.1; may be repeated" },
    { O_FORCE, 0, "force", NULL, "store a certificate even if no key on the token belongs to it" },
    { O_P12, 0, "p12", NULL, "FILE is PKCS#12: key, certificate and chain go onto the token, all or nothing" },
    { O_EXTRACTABLE, 0, "extractable", NULL, "the private part may leave the token again" },
    { O_PASSPHRASE, 0, "passphrase-file", "FILE", "holds the passphrase of the encrypted FILE; -: standard input" },
    { O_SECRET, 0, "secret", NULL, "FILE is a secret (HMAC) key: its bytes" },
    { O_DATA, 0, "data", NULL, "FILE is data: its bytes" },
    { O_BASE64, 0, "base64", NULL, "with --secret or --data: FILE is base64" },
    { O_YES, 'y', "yes", NULL, "do not ask" },
    { O_HASH, 0, "hash", "HASH", "sha256, sha384, sha512 or sha1; preset: what suits the key" },
    { O_PSS, 0, "pss", NULL, "RSA: PSS with a salt as long as the hash" },
    { O_DIGEST, 0, "digest", NULL, "standard input is the digest itself, not the message" },
    { O_RAW, 0, "raw", NULL, "print the bytes themselves, not base64" },
    { O_HEX, 0, "hex", NULL, "print hexadecimal digits, not bytes" },
    { O_RESOURCE, 0, "resource", "URI", "what it is good for, as it is: HUB.azure-devices.net/devices/ID" },
    { O_TTL, 0, "ttl", "SECONDS", "how long it is good for, a year at most" },
    { O_KEY, 0, "key", "ADDRESS", "the secret key, where there are several" },
    { O_POLICY, 0, "policy", "NAME", "the shared access policy: its skn" },
    { O_SO_PIN, 0, "so-pin-file", "FILE", "holds the security officer's PIN; -: standard input" },
    { O_ERASE, 0, "erase", NULL, "destroy all that a token holds which is not blank" },
    { O_PIN, 0, "pin-file", "FILE", "holds the PIN; -: standard input" },
    { O_PINPAD, 0, "pinpad", NULL, "the token asks for the PIN by itself" },
    { O_DEFAULT, 0, "default", NULL, "the reference to whatever a device's credential is: the same for a fleet" },
    { O_MODULE, 0, "module", "FILE", "the provider's file, if not where it was to be installed" },
    { O_OUT, 0, "out", "FILE", "write FILE, whole or not at all; -: standard output" },
    { O_DIR, 0, "dir", "DIR", "the directory that the files go to" },
    { O_MODE, 0, "mode", "MODE", "octal, of the files that hold the reference: 600 for psql" },
    { O_JSON, 0, "json", NULL, "print JSON" },
    { O_CONFIG, 'c', "config", "FILE", "the configuration, if not the system's hsmux.conf" },
    { O_HELP, 'h', "help", NULL, "print this" },
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static bool takes(const struct command *command, const struct option_row *row)
{
    return (command->options | O_CONFIG | O_HELP) & row->bit;
}

const char *option(const struct call *call, uint64_t bit)
{
    return call->option[__builtin_ctzll(bit)];
}

void options_free(struct call *call)
{
    for (int i = 0; i < OPTIONS; i++)
        free(call->option[i]);
    for (int i = 0; i < call->args; i++)
        free(call->arg[i]);
}

/* A repeated --san adds to the first; any other repetition is a mistake that a script should hear of. */
static int set_option(struct call *call, const struct option_row *row, const char *value)
{
    char **slot = &call->option[__builtin_ctzll(row->bit)];
    char *joined;

    if (*slot && row->bit != O_SAN)
        return misused("option '--%s' is given twice", row->name);
    joined = *slot ? text_of("%s,%s", *slot, value) : strdup(value);
    if (!joined)
        return fail("out of memory");
    free(*slot);
    *slot = joined;
    return DONE;
}

/* The row of "--name", "--name=value" or "-x". */
static const struct option_row *find_option(const struct command *command, const char *word)
{
    for (int i = 0; i < ROWS; i++) {
        size_t len = strlen(rows[i].name);

        if (!takes(command, &rows[i]))
            continue;
        if (word[1] != '-' && word[1] == rows[i].letter && !word[2])
            return &rows[i];
        if (word[1] == '-' && !strncmp(word + 2, rows[i].name, len) && (!word[2 + len] || word[2 + len] == '='))
            return &rows[i];
    }
    return NULL;
}

/* *at: the option's place in argv, moved to its value if that is a word of its own. */
static int parse_option(struct call *call, char **argv, int argc, int *at)
{
    const struct option_row *row = find_option(call->command, argv[*at]);
    const char *equals = strchr(argv[*at], '=');

    if (!row) {
        int len = equals ? (int)(equals - argv[*at]) : (int)strlen(argv[*at]);

        return misused("'%s' has no option '%.*s': see 'hsmux %s --help'", call->command->name, len, argv[*at],
                       call->command->name);
    }
    if (!row->value)
        return equals ? misused("option '--%s' takes no value", row->name) : set_option(call, row, "");
    if (equals)
        return set_option(call, row, equals + 1);
    if (*at + 1 >= argc)
        return misused("option '--%s' wants a value: %s", row->name, row->value);
    return set_option(call, row, argv[++*at]);
}

int options_parse(struct call *call, int argc, char **argv)
{
    bool only_args = false;
    int status;

    for (int i = 1; i < argc; i++) {
        if (!only_args && !strcmp(argv[i], "--")) {
            only_args = true;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
            status = parse_option(call, argv, argc, &i);
            if (status)
                return status;
        } else if (call->args >= call->command->max) {
            return option(call, O_HELP) ? DONE : misused("one argument too many: '%s'", argv[i]);
        } else {
            call->arg[call->args] = strdup(argv[i]);
            if (!call->arg[call->args++])
                return fail("out of memory");
        }
    }
    if (call->args < call->command->min && !option(call, O_HELP))
        return misused("usage: hsmux %s %s (see 'hsmux %s --help')", call->command->name, call->command->args,
                       call->command->name);
    return DONE;
}

void help_command(const struct command *command)
{
    printf("usage: hsmux %s [OPTIONS]%s%s\n\n%s\n\n", command->name, command->args[0] ? " " : "", command->args,
           command->summary);
    for (int i = 0; i < ROWS; i++) {
        char name[40];

        if (!takes(command, &rows[i]))
            continue;
        snprintf(name, sizeof name, "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        if (rows[i].letter)
            printf("  -%c, %-22s %s\n", rows[i].letter, name, rows[i].help);
        else
            printf("      %-22s %s\n", name, rows[i].help);
    }
}
