/* SPDX-License-Identifier: Apache-2.0 */
/* A software TPM of the running test's own, without a resource manager; whatever fails here fails that test. */
#ifndef TPM_FIXTURE_H
#define TPM_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { TPM_FIXTURE_SIGN = 0x15d }; /* TPM2_CC_Sign, for who does without tss2's headers */

struct tpm_fixture {
    char directory[32]; /* temporary; the TPM's state is in it, and room for the test's own files */
    char tcti[80]; /* swtpm:... */
    char counted[96]; /* the same through the pcap TCTI: commands that come this way are counted */
    char *environment[2]; /* TPM2TOOLS_TCTI and TCTI_PCAP_FILE as they were */
    pid_t pid;
};

/* Are swtpm and tpm2-tools installed?  If not, says so. */
bool tpm_fixture_can_run(void);

/* A new TPM; tpm2-tools use it from here on.  It ends with this process at the latest. */
void tpm_fixture_start(struct tpm_fixture *ret);
void tpm_fixture_stop(struct tpm_fixture *);

/* As if it had lost power; and the same TPM again, with TPM2_Startup(CLEAR) or without.  If a key without noDA was used
 * before, that counts as a wrong authorisation. */
void tpm_fixture_kill(struct tpm_fixture *);
void tpm_fixture_restart(struct tpm_fixture *, bool startup);

/* How many commands of that TPM2_CC, 0: of any, came by the counted way since the start, or since they were forgotten.
 */
long tpm_fixture_commands(const struct tpm_fixture *, uint32_t code);
void tpm_fixture_forget(const struct tpm_fixture *);

/* A shell command that must succeed, in the TPM's directory; its output goes into `log` there. */
void tpm_fixture_run(const struct tpm_fixture *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
