/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux export: a directory of files for programs that want files, the same names everywhere.  The README is written
 * first, and tells a later run that the directory is ours. */
#include "tool.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum name { README, CERT, CHAIN, FULLCHAIN, KEY, COMBINED, NAMES };

static const char *const names[NAMES] = {
    "README", "cert.pem", "chain.pem", "fullchain.pem", "key.pem", "combined.pem"
};

/* '@' stands for the directory. */
static const char readme[] =
    "Written by hsmux export.  The next run replaces what has changed; hsmux(1) explains it.\n"
    "\n"
    "key.pem        a reference to the key, to be used as the private key file; it is no secret\n"
    "cert.pem       the certificate that belongs to the key\n"
    "chain.pem      the certificates above it, without the root; missing if there are none\n"
    "fullchain.pem  cert.pem and chain.pem\n"
    "combined.pem   fullchain.pem and key.pem\n"
    "\n"
    "A program reads key.pem with OpenSSL's provider hsmux.  'hsmux openssl-conf --out FILE' writes the configuration\n"
    "that activates it; name FILE in the program's environment as OPENSSL_CONF (a service: systemctl edit NAME, then\n"
    "[Service] and Environment=OPENSSL_CONF=FILE).\n"
    "\n"
    "curl           --cert @/fullchain.pem --key @/key.pem\n"
    "openssl        s_client -cert @/cert.pem -key @/key.pem, and -cert_chain @/chain.pem if there is one\n"
    "nginx          ssl_certificate @/fullchain.pem; ssl_certificate_key @/key.pem;\n"
    "haproxy        bind ... ssl crt @/combined.pem\n"
    "mosquitto      certfile @/fullchain.pem\n"
    "               keyfile @/key.pem\n"
    "mosquitto_pub  --cert @/fullchain.pem --key @/key.pem\n"
    "stunnel        cert = @/fullchain.pem\n"
    "               key = @/key.pem\n"
    "openvpn        cert @/fullchain.pem\n"
    "               key @/key.pem\n"
    "psql           sslcert=@/fullchain.pem sslkey=@/key.pem\n"
    "postgres       ssl_cert_file = '@/fullchain.pem'\n"
    "               ssl_key_file = '@/key.pem'\n"
    "Python         context.load_cert_chain('@/fullchain.pem', '@/key.pem')\n"
    "Node           { cert: fs.readFileSync('@/fullchain.pem'), key: fs.readFileSync('@/key.pem') }\n"
    "\n"
    "psql and postgres demand that key.pem is theirs with mode 600, or root's with mode 640 and a group of theirs:\n"
    "hsmux export --mode sets the mode, and a file that is there keeps its owner.\n";
enum { MARK = sizeof "Written by hsmux export." - 1 }; /* how much of it tells that a README is ours */

struct export
{
    char *dir; /* absolute, without links */
    BIO *file[NAMES];
    bool has_mode;
    mode_t mode;
};

static void free_export(struct export *export)
{
    for (int i = 0; i < NAMES; i++)
        BIO_free(export->file[i]);
    free(export->dir);
}

static int read_mode(const char *text, struct export *export)
{
    char *end;
    unsigned long mode;

    if (!text)
        return DONE;
    mode = strtoul(text, &end, 8);
    if (text[0] < '0' || text[0] > '7' || *end || mode > 0777)
        return misused("--mode: '%s' should be an octal number such as 600 or 0640", text);
    export->mode = (mode_t)mode;
    export->has_mode = true;
    return DONE;
}

struct search {
    hx *context;
    STACK_OF(X509) * certs;
};

static int take_cert(void *arg, const char *address, const struct hx_object *object)
{
    struct search *search = arg;
    AUTO_BYTES struct hx_bytes der = { 0 };
    X509 *cert = NULL;

    if (object->kind == HX_CERTIFICATE && !hx_read(search->context, address, HX_VALUE, &der))
        cert = cert_parse(der.data, der.len);
    ERR_clear_error();
    if (cert && !sk_X509_push(search->certs, cert))
        X509_free(cert);
    return 0;
}

/* Takes the one that is wanted out of certs: the holder of pkey, or else the issuer of cert.  Of several, as after a
 * renewal, the best. */
static X509 *take_out(STACK_OF(X509) * certs, EVP_PKEY *pkey, X509 *cert)
{
    int best = -1;

    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509 *next = sk_X509_value(certs, i);

        if ((pkey ? EVP_PKEY_eq(X509_get0_pubkey(next), pkey) == 1
                  : X509_check_issued(next, cert) == X509_V_OK && X509_verify(cert, X509_get0_pubkey(next)) == 1) &&
            (best < 0 || cert_better(next, sk_X509_value(certs, best))))
            best = i;
    }
    return best < 0 ? NULL : sk_X509_delete(certs, best);
}

/* For a key that is no credential: the certificate on its token, and what lies above it there. */
static int certs_of_key(hx *context, const char *address, hx_key *key, STACK_OF(X509) * ret)
{
    AUTO_CERTS STACK_OF(X509) *certs = sk_X509_new_null();
    AUTO_PKEY EVP_PKEY *pkey = NULL;
    AUTO_FREE char *token = address_token(hx_key_address(key)), *where = NULL;
    struct search search = { context, certs };
    X509 *cert;

    if (!certs || !token)
        return fail("out of memory");
    if (public_key(key, &pkey) || token_address(token, "cert", &where))
        return FAILED;
    if (hx_each(context, where, take_cert, &search))
        return fail_hx();
    for (cert = take_out(certs, pkey, NULL); cert; cert = take_out(certs, NULL, cert)) {
        if (sk_X509_num(ret) && X509_self_signed(cert, 0) == 1) {
            X509_free(cert);
            break;
        }
        if (!sk_X509_push(ret, cert)) {
            X509_free(cert);
            return fail("out of memory");
        }
    }
    ERR_clear_error();
    return sk_X509_num(ret) ? DONE : fail("'%s': no certificate on its token belongs to it", address);
}

static int read_certs_of(hx *context, const char *address, hx_key *key, STACK_OF(X509) * *ret)
{
    AUTO_BYTES struct hx_bytes pem = { 0 };
    const char *name;

    if (!is_credential(address, &name)) {
        *ret = sk_X509_new_null();
        return *ret ? certs_of_key(context, address, key, *ret) : fail("out of memory");
    }
    if (hx_credential_get(context, name, "certificate", &pem))
        return fail_hx();
    return parse_certs(address, &(struct blob){ pem.data, pem.len }, ret);
}

static bool add_certs(const struct export *export, const STACK_OF(X509) * certs)
{
    bool done = true;

    for (int i = 0; i < sk_X509_num(certs) && done; i++) {
        X509 *cert = sk_X509_value(certs, i);

        done = PEM_write_bio_X509(export->file[i ? CHAIN : CERT], cert) &&
               PEM_write_bio_X509(export->file[FULLCHAIN], cert) && PEM_write_bio_X509(export->file[COMBINED], cert);
    }
    return done;
}

/* Everything is there before the first file is written. */
static int collect(const struct call *call, struct export *export)
{
    const char *address = call->args ? call->arg[0] : "hsm:";
    AUTO_HX hx *context = NULL;
    AUTO_KEY hx_key *key = NULL;
    AUTO_CERTS STACK_OF(X509) *certs = NULL;
    AUTO_BYTES struct hx_bytes reference = { 0 };
    int result;

    if (open_context(call, &context))
        return FAILED;
    if (hx_key_open(context, address, &key))
        return fail_hx();
    result = option(call, O_DEFAULT) ? hx_default_reference(&reference) : hx_key_reference(key, &reference);
    if (result)
        return fail_hx();
    if (read_certs_of(context, address, key, &certs))
        return FAILED;
    for (int i = 0; i < NAMES; i++) {
        export->file[i] = BIO_new(BIO_s_mem());
        if (!export->file[i])
            return fail("out of memory");
    }
    if (!add_certs(export, certs))
        return fail_crypto("a certificate cannot be encoded");
    BIO_write(export->file[KEY], reference.data, (int)reference.len);
    BIO_write(export->file[COMBINED], reference.data, (int)reference.len);
    return DONE;
}

/* Whoever can put a link there, or another directory in its place, would choose what is overwritten.  In a sticky
 * directory nobody can move what is ours. */
static int check_directory(const char *dir, bool above)
{
    struct stat info;
    mode_t others;

    if (lstat(dir, &info))
        return fail("'%s': %s", dir, strerror(errno));
    others = above && info.st_mode & S_ISVTX ? 0 : S_IWGRP | S_IWOTH;
    if ((info.st_uid == geteuid() || info.st_uid == 0) && !(info.st_mode & others))
        return DONE;
    return fail("'%s': others than you and root can write to it: choose a directory where they cannot", dir);
}

static int check_directories(const char *dir)
{
    AUTO_FREE char *path = strdup(dir);
    char *slash;

    if (!path)
        return fail("out of memory");
    if (check_directory(path, false))
        return FAILED;
    while ((slash = strrchr(path, '/')) && slash != path) {
        *slash = 0;
        if (check_directory(path, true))
            return FAILED;
    }
    return check_directory("/", true);
}

static int open_directory(const char *dir, struct export *export)
{
    struct stat info;
    bool made = !mkdir(dir, 0755);

    if (!made && errno != EEXIST)
        return fail("'%s': %s", dir, strerror(errno));
    export->dir = realpath(dir, NULL);
    if (!export->dir || stat(export->dir, &info))
        return fail("'%s': %s", dir, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return fail("'%s': is no directory", dir);
    if (check_directories(export->dir)) {
        if (made)
            rmdir(export->dir);
        return FAILED;
    }
    for (const char *c = readme; *c; c++) {
        if (*c == '@')
            BIO_puts(export->file[README], export->dir);
        else
            BIO_write(export->file[README], c, 1);
    }
    return DONE;
}

/* What stands in the directory under that name; *ret_there: whether anything does. */
static int read_old(const char *path, bool *ret_there, struct stat *ret_info, struct blob *ret)
{
    *ret_there = !lstat(path, ret_info);
    if (!*ret_there)
        return errno == ENOENT ? DONE : fail("'%s': %s", path, strerror(errno));
    if (!S_ISREG(ret_info->st_mode))
        return fail("'%s': is no regular file, and so none of ours", path);
    return read_input(path, ret);
}

/* Files that somebody else has put there are not replaced. */
static int check_ours(const struct export *export)
{
    for (int i = 0; i < NAMES; i++) {
        AUTO_FREE char *path = text_of("%s/%s", export->dir, names[i]);
        AUTO_BLOB struct blob old = { 0 };
        struct stat info;
        bool there;

        if (!path)
            return fail("out of memory");
        if (read_old(path, &there, &info, &old))
            return FAILED;
        if (i == README && there && old.len >= MARK && !memcmp(old.data, readme, MARK))
            return DONE;
        if (there)
            return fail("'%s': was not written by hsmux export: choose another directory", path);
    }
    return DONE;
}

static int print_change(const char *path)
{
    print_clean(path);
    putchar('\n');
    return DONE;
}

static int update_file(const struct export *export, enum name name)
{
    AUTO_FREE char *path = text_of("%s/%s", export->dir, names[name]);
    AUTO_BLOB struct blob old = { 0 };
    bool there, same, wrong_mode = export->has_mode && (name == KEY || name == COMBINED);
    struct stat info;
    char *text;
    long len = BIO_get_mem_data(export->file[name], &text);

    if (!path)
        return fail("out of memory");
    if (read_old(path, &there, &info, &old))
        return FAILED;
    if (len == 0) { /* no chain; not any more */
        if (!there)
            return DONE;
        return unlink(path) ? fail("'%s': %s", path, strerror(errno)) : print_change(path);
    }
    same = there && old.len == (size_t)len && !memcmp(old.data, text, old.len);
    if (same && (!wrong_mode || (info.st_mode & 07777) == export->mode))
        return DONE;
    if (!same && write_file(path, text, (size_t)len))
        return FAILED;
    if (wrong_mode && chmod(path, export->mode))
        return fail("'%s': %s", path, strerror(errno));
    return print_change(path);
}

static int run(const struct call *call, struct export *export)
{
    int status = read_mode(option(call, O_MODE), export);

    if (!status)
        status = collect(call, export);
    if (!status)
        status = open_directory(option(call, O_DIR), export);
    if (!status)
        status = check_ours(export);
    for (int i = 0; i < NAMES && !status; i++)
        status = update_file(export, (enum name)i);
    return status;
}

int export_run(const struct call *call)
{
    struct export export = { 0 };
    int status;

    if (!option(call, O_DIR) || !*option(call, O_DIR))
        return misused("where to? --dir DIR");
    if (option(call, O_DEFAULT) && call->args)
        return misused("either an address or '--default'");
    status = run(call, &export);
    free_export(&export);
    return status;
}
