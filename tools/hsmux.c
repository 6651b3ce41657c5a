/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: the table of commands, and the way from argv to one of them. */
#include "tool.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

const struct command commands[] = {
    { "status", "", 0, 0, O_JSON, status_run, "is there a usable credential, and if not, why" },
    { "list", "", 0, 0, O_TOKEN | O_JSON, list_run, "list the objects on the tokens" },
    { "cert", "[ADDRESS]", 0, 1, O_OUT, cert_run, "print the credential's certificate chain, or one certificate" },
    { "ref", "[ADDRESS]", 0, 1, O_DEFAULT | O_OUT, ref_run, "print a key's PEM reference, to be used as a key file" },
    { "export", "[ADDRESS]", 0, 1, O_DIR | O_DEFAULT | O_MODE, export_run,
      "write reference, certificate and chain as files for programs" },
    { "key generate", "LABEL", 1, 1, O_TYPE | O_TOKEN | O_PLACE | O_REPLACE, key_generate_run,
      "make a key on a token" },
    { "csr", "[ADDRESS]", 0, 1, O_SUBJECT | O_SAN | O_HASH | O_OUT, csr_run, "make a certificate signing request" },
    { "cert import", "FILE", 1, 1, O_TOKEN | O_LABEL | O_REPLACE | O_FORCE, cert_import_run,
      "store a PEM certificate, and its chain, beside its key" },
    { "import", "FILE", 1, 1,
      O_TOKEN | O_LABEL | O_PLACE | O_P12 | O_EXTRACTABLE | O_REPLACE | O_PASSPHRASE | O_SECRET | O_DATA | O_BASE64,
      import_run, "bring a private key, a PKCS#12 file, a secret or data onto a token" },
    { "remove", "ADDRESS", 1, 1, O_YES, remove_run, "delete an object from its token" },
    { "sign", "ADDRESS", 1, 1, O_HASH | O_PSS | O_DIGEST | O_HEX | O_OUT, sign_run, "sign standard input" },
    { "sas", "", 0, 0, O_RESOURCE | O_TTL | O_KEY | O_POLICY, sas_run,
      "print a shared access signature, for Azure's services" },
    { "random", "N", 1, 1, O_TOKEN | O_HEX | O_OUT, random_run, "print N random bytes from a token's generator" },
    { "login", "TOKEN", 1, 1, O_PIN | O_PINPAD, login_run, "send a PIN once, even after it was refused" },
    { "token init", "", 0, 0, O_TOKEN | O_LABEL | O_SO_PIN | O_PIN | O_ERASE, token_init_run,
      "initialise a blank token: its label and its PINs" },
    { "tpm ek", "", 0, 0, O_TOKEN | O_RAW | O_OUT | O_JSON, tpm_ek_run,
      "print a TPM's endorsement key, as an enrolment wants it" },
    { "tpm srk", "", 0, 0, O_TOKEN | O_RAW | O_OUT | O_JSON, tpm_srk_run, "print a TPM's storage root key" },
    { "tpm ek-cert", "", 0, 0, O_TOKEN | O_OUT, tpm_ek_cert_run,
      "print the maker's certificate of the endorsement key" },
    { "tpm registration-id", "", 0, 0, O_TOKEN, tpm_registration_id_run,
      "print the registration id that is reckoned from the endorsement key" },
    { "tpm activate", "[FILE]", 0, 1, O_TOKEN, tpm_activate_run,
      "hand a TPM the identity key that a service has wrapped for it" },
    { "plugins", "", 0, 0, O_JSON, plugins_run, "list the installed plugins and their options" },
    { "openssl-conf", "", 0, 0, O_MODULE | O_OUT, openssl_conf_run, "print an openssl.cnf that activates hsmux" },
    { "version", "", 0, 0, 0, version_run, "print the version" },
    { "help", "[COMMAND...]", 0, 2, 0, help_run, "explain hsmux, or one command" },
    { NULL, NULL, 0, 0, 0, NULL, NULL },
};

/* The row whose words stand at argv, two words before one; *ret_words: how many. */
static const struct command *find_command(int count, char **words, int *ret_words)
{
    const struct command *found = NULL;

    for (const struct command *row = commands; row->name; row++) {
        const char *space = strchr(row->name, ' ');
        size_t len = space ? (size_t)(space - row->name) : strlen(row->name);

        if (count < 1 || strlen(words[0]) != len || strncmp(words[0], row->name, len))
            continue;
        if (space && count > 1 && !strcmp(words[1], space + 1)) {
            *ret_words = 2;
            return row;
        }
        if (!space) {
            *ret_words = 1;
            found = row;
        }
    }
    return found;
}

static void help_all(void)
{
    printf("usage: hsmux [-c FILE] COMMAND [OPTIONS] [ARGUMENTS]\n\n");
    for (const struct command *row = commands; row->name; row++)
        printf("  %-20s %s\n", row->name, row->summary);
    printf("\n'hsmux COMMAND --help' explains a command; the manual is hsmux(1)\n");
}

int help_run(const struct call *call)
{
    char *words[2] = { call->arg[0], call->arg[1] };
    const struct command *row;
    int used = 0;

    if (call->args == 0) {
        help_all();
        return DONE;
    }
    row = find_command(call->args, words, &used);
    if (!row || used != call->args)
        return misused("no command '%s%s%s': 'hsmux help' lists them", words[0], words[1] ? " " : "",
                       words[1] ? words[1] : "");
    help_command(row);
    return DONE;
}

int version_run(const struct call *call)
{
    (void)call;
    printf("hsmux %s\n", hx_version());
    return DONE;
}

/* A command that begins with "key" or "cert" and has an unknown second word deserves to be told which exist. */
static int unknown_command(const char *word)
{
    size_t len = strlen(word);

    for (const struct command *row = commands; row->name; row++) {
        if (!strncmp(row->name, word, len) && row->name[len] == ' ')
            return misused("'%s' wants a second word: did you mean 'hsmux %s'?", word, row->name);
    }
    return misused("no command '%s': 'hsmux help' lists them", word);
}

/* The options may stand before and after the command's words, so those are searched behind leading options. */
static int run(int argc, char **argv)
{
    struct call call = { 0 };
    int first = 1, used = 0, status;

    while (first < argc && argv[first][0] == '-' && argv[first][1]) {
        bool takes_value = !strcmp(argv[first], "-c") || !strcmp(argv[first], "--config");

        if (!strcmp(argv[first], "--version"))
            return version_run(&call);
        if (!strcmp(argv[first], "-h") || !strcmp(argv[first], "--help")) {
            help_all();
            return DONE;
        }
        if (!takes_value && strncmp(argv[first], "--config=", 9))
            return misused("unknown option '%s' before the command: 'hsmux help' lists the commands", argv[first]);
        if (takes_value && first + 1 >= argc)
            return misused("option '%s' wants a value: FILE", argv[first]);
        first += takes_value ? 2 : 1;
    }
    if (first >= argc)
        return misused("which command? 'hsmux help' lists them");
    call.command = find_command(argc - first, argv + first, &used);
    if (!call.command)
        return unknown_command(argv[first]);
    memmove(argv + first, argv + first + used, (size_t)(argc - first - used + 1) * sizeof *argv);
    status = options_parse(&call, argc - used, argv);
    if (status == DONE && option(&call, O_HELP))
        help_command(call.command);
    else if (status == DONE)
        status = call.command->run(&call);
    options_free(&call);
    return status;
}

/* Were 0, 1 or 2 closed, the next file opened would take the number, and what we print would land in it. */
static void hold_standard_files(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

int main(int argc, char **argv)
{
    int status;

    hold_standard_files();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe and a file at its limit are errors to be told */
    signal(SIGXFSZ, SIG_IGN);
    /* The system's openssl.cnf may load our own provider: the tool wants neither it nor its mistakes. */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    log_once();
    status = finish_output(run(argc, argv));
    log_forget();
    return status;
}
