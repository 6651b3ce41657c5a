/* SPDX-License-Identifier: Apache-2.0 */
/* What the rooms of the tool share.  Each command is a function that takes its call and returns the exit status: 0,
 * FAILED or MISUSED; whoever returns not 0 has said why, once. */
#ifndef TOOL_H
#define TOOL_H

#include "cleanup.h"

#include <hsmux/hsmux.h>
#include <stdbool.h>

enum status { DONE = 0, FAILED = 1, MISUSED = 2 };

/* Options, one bit each: a command's row holds the sum of those that it takes. */
enum option_bit {
    O_CONFIG = 1 << 0,
    O_HELP = 1 << 1,
    O_JSON = 1 << 2,
    O_TOKEN = 1 << 3,
    O_LABEL = 1 << 4,
    O_TYPE = 1 << 5,
    O_REPLACE = 1 << 6,
    O_SUBJECT = 1 << 7,
    O_SAN = 1 << 8,
    O_OUT = 1 << 9,
    O_FORCE = 1 << 10,
    O_EXTRACTABLE = 1 << 11,
    O_PASSPHRASE = 1 << 12,
    O_SECRET = 1 << 13,
    O_DATA = 1 << 14,
    O_BASE64 = 1 << 15,
    O_YES = 1 << 16,
    O_HASH = 1 << 17,
    O_PSS = 1 << 18,
    O_DIGEST = 1 << 19,
    O_HEX = 1 << 20,
    O_PIN = 1 << 21,
    O_PINPAD = 1 << 22,
    O_DEFAULT = 1 << 23,
    O_MODULE = 1 << 24,
    O_P12 = 1 << 25,
    O_DIR = 1 << 26,
    O_MODE = 1 << 27,
    O_RESOURCE = 1 << 28,
    O_TTL = 1 << 29,
    O_KEY = 1 << 30,
    O_POLICY = UINT64_C(1) << 31,
    O_SO_PIN = UINT64_C(1) << 32,
    O_ERASE = UINT64_C(1) << 33,
    O_RAW = UINT64_C(1) << 34,
    O_PLACE = UINT64_C(1) << 35,
};
enum { OPTIONS = 36 };

struct call;
typedef int run_fn(const struct call *);

struct command {
    const char *name; /* one word or two */
    const char *args; /* as the usage line shows them */
    int min, max; /* how many of them */
    uint64_t options; /* besides O_CONFIG and O_HELP, which each command takes */
    run_fn *run;
    const char *summary;
};

struct call {
    const struct command *command;
    char *option[OPTIONS]; /* by bit number; "" for a given option that takes no value; NULL: not given */
    char *arg[3]; /* NULL: not given */
    int args;
};

/* options.c */
int options_parse(struct call *, int argc, char **argv);
void options_free(struct call *);
const char *option(const struct call *, uint64_t bit);
void help_command(const struct command *);

/* hsmux.c */
extern const struct command commands[]; /* a NULL name ends it */

/* say.c: one line to stderr, "hsmux: ...", control characters hidden; the status to return. */
int fail(const char *fmt, ...) HX_PRINTF(1, 2);
int misused(const char *fmt, ...) HX_PRINTF(1, 2);
int fail_hx(void); /* hx_last_error() */
int fail_crypto(const char *what); /* what, and libcrypto's reason */
void warn(const char *fmt, ...) HX_PRINTF(1, 2);
void say_into(char **text); /* the next line goes there, for free(); NULL: to stderr again */
char *text_of(const char *fmt, ...) HX_PRINTF(1, 2); /* for free(); NULL: out of memory */
int open_context(const struct call *, hx **ret);
int check_token(hx *, const char *token); /* is there one of that name?  Opens no device */

int fail_making(const struct call *, int result); /* hx_last_error(), and the option that helps */

/* log.c */
void log_once(void);
void log_forget(void);

/* progress.c: on a terminal, a line that comes when the work takes longer than a second, and goes when it ends or
 * something else is said. */
void progress_start(const char *what, const char *token); /* "what on token 'token' ..."; token may be NULL */
void progress_erase(void);
void progress_end(void);

/* find.c */
struct found {
    char *address; /* the first one's; NULL: there is none */
    char *all; /* of find_fitting(): the addresses as a message lists them */
    uint32_t kind;
    int count;
};
#define AUTO_FOUND CLEANUP(found_free)
void found_free(struct found *);
int find_objects(hx *, const char *address, struct found *ret);
/* hx_each()'s result, of which nothing was said: a token that cannot be listed might hold another. */
int find_fitting(hx *, const char *address, bool (*fits)(const struct hx_object *), struct found *ret);

/* input.c: memory that is wiped when it is freed; a NUL that is not counted follows the data. */
struct blob {
    unsigned char *data;
    size_t len;
};
#define AUTO_BLOB CLEANUP(blob_free)
void blob_free(struct blob *);
int blob_copy(const void *data, size_t len, struct blob *ret);
int read_input(const char *path, struct blob *ret); /* "-": standard input */
int read_secret_file(const char *path, const char *what, struct blob *ret); /* its only line */
/* On the terminal, without echo; instead: the option that spares the question. */
int ask_secret(const char *prompt, const char *instead, struct blob *ret);
bool ask_yes(const char *question);
int decode_base64(struct blob *text); /* FAILED is not said */

/* output.c */
int emit(const struct call *, const void *data, size_t len); /* to --out ("-", or none: standard output) */
int emit_binary(const struct call *, const void *data, size_t len); /* the same; --hex; never to a terminal */
int write_file(const char *path, const void *data, size_t len);
void print_clean(const char *text); /* control characters hidden */
int finish_output(int status); /* has everything arrived?  The status, or FAILED */

/* json.c */
json_t *json_text(const char *); /* never fails on text that is no UTF-8; NULL: null */
json_t *json_hex(struct hx_buf);
int print_json(json_t *);

/* names.c */
const char *kind_word(uint32_t kind);
const char *type_word(const struct hx_object *, char buf[static 32]);
const char *hash_word(uint32_t hash); /* libcrypto's name; NULL: unknown */
int parse_hash(const char *, uint32_t *ret);
int parse_type(const char *, struct hx_spec *ret);
char *encode_base64(const void *data, size_t len); /* on one line; for free(); NULL: no memory */
char *percent_encode(const char *); /* RFC 3986 §2.1, all but the unreserved characters; for free(); NULL: no memory */
bool is_credential(const char *address, const char **ret_name); /* hsm: (NULL), hsm:NAME */
int token_address(const char *token, const char *rest, char **ret); /* "hsm:TOKEN/" and rest, percent-encoded */
char *address_token(const char *address); /* its TOKEN, decoded, for free(); NULL: it has none */

/* pem.c: libcrypto in a context of its own, where no openssl.cnf and no provider of ours is loaded. */
OSSL_LIB_CTX *libctx(void);
X509 *cert_parse(const void *der, size_t len); /* NULL: it is none; the error stays in libcrypto's queue */
bool cert_better(X509 *, X509 *); /* is the first the better of two for one key?  By the rule that credentials follow */
char *cert_name(X509 *); /* its common name, for free(); NULL: it has none */
int parse_certs(const char *path, const struct blob *text, STACK_OF(X509) * *ret);
int read_certs(const char *path, STACK_OF(X509) * *ret);
int read_private_key(const char *path, const struct blob *text, const char *passphrase_file, EVP_PKEY **ret);
int public_key(hx_key *, EVP_PKEY **ret);

/* parts.c: a private key as plugin.h's import wants it. */
struct parts {
    struct hx_buf part[8];
    size_t count;
};
#define AUTO_PARTS CLEANUP(parts_free)
int parts_split(const char *path, EVP_PKEY *, struct hx_spec *spec, struct parts *ret);
void parts_free(struct parts *);

/* p12.c: what a PKCS#12 file (RFC 7292) holds. */
struct p12 {
    EVP_PKEY *pkey; /* the only one */
    X509 *leaf; /* the certificate that belongs to it; borrowed */
    STACK_OF(X509) * certs; /* all, each once */
    char *name; /* the key's or the leaf's friendly name; NULL: there is none */
};
#define AUTO_P12 CLEANUP(p12_free)
int p12_read(const char *path, const char *passphrase_file, struct p12 *ret);
void p12_free(struct p12 *);

/* cert.c: the certificate at address, or the one of the key there, to --out. */
int print_cert(const struct call *, hx *, const char *address);

/* sign.c, verify.c */
int choose_alg(const struct hx_object *, uint32_t hash, bool pss, struct hx_alg *ret); /* hash 0: what suits the key */
int sign_message(hx_key *, const struct hx_alg *, const void *message, size_t len, struct hx_bytes *ret);
int verify_message(hx_key *, const struct hx_alg *, const void *message, size_t len, const struct hx_bytes *sig);

/* opensslcheck.c: is the provider in force for OpenSSL programs? *ret_text is for free(). */
int openssl_check(char **ret_path, char **ret_text);

/* The commands. */
run_fn status_run, list_run, cert_run, cert_import_run, ref_run, export_run, key_generate_run, csr_run, import_run,
    import_p12_run, remove_run, sign_run, sas_run, random_run, login_run, token_init_run, tpm_ek_run, tpm_srk_run,
    tpm_ek_cert_run, tpm_registration_id_run, tpm_activate_run, plugins_run, openssl_conf_run, version_run, help_run;

#endif
