/* Rulesets: nftables through libnftables, legacy tables through the program that wrote them. */
#include "restorer/steps_net.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/nft.h"

static int nft_job(void *text, struct err *e)
{
	return nft_run(text, NULL, e);
}

static int nft_check_job(void *text, struct err *e)
{
	return nft_check(text, e) ? err_wrap(e, "nft does not read its own text") : 0;
}

/* A ruleset that includes files would read what the restorer may read: the word may stand only inside a
 * quoted string. ("include" is a keyword of nft, so no table, chain or set has that name.) */
static int refuse_include(const char *text, struct err *e)
{
	static const char word[] = "include";
	bool quoted = false, comment = false;
	int line = 1;

	for (const char *s = text; *s; s++) {
		bool starts = s == text || !(isalnum((unsigned char)s[-1]) || s[-1] == '_');

		if (*s == '\n') {
			line++;
			comment = false;
		}
		if (comment)
			continue;
		if (*s == '"')
			quoted = !quoted;
		else if (*s == '#' && !quoted)
			comment = true;
		else if (!quoted && starts && !strncmp(s, word, strlen(word)) &&
			 !isalnum((unsigned char)s[strlen(word)]) && s[strlen(word)] != '_')
			return err_set(e, ERR_FORMAT,
				       "the ruleset includes a file (line %d): refused, a ruleset "
				       "from an image must stand alone",
				       line);
	}
	return 0;
}

int nft_text_check(const struct ns *ns, const char *text, struct err *e)
{
	return refuse_include(text, e) ? -1 : ns_call(ns, nft_check_job, (void *)text, e);
}

int nft_apply(const struct ns *ns, const char *text, struct err *e)
{
	return ns_call(ns, nft_job, (void *)text, e);
}

int run_nft(struct restore *r, struct step *s, struct err *e)
{
	struct ns *ns = restore_ns(r, s->netns, e);

	if (!ns || refuse_include((const char *)s->msg.data, e))
		return -1;
	return nft_apply(ns, (const char *)s->msg.data, e);
}

/* In the child: enter the namespace, text on stdin, errors into the pipe. */
static void child(const char *program, int ns, int in, int errors)
{
	struct err e = ERR_INIT;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (ns_enter(ns, &e) || dup2(in, 0) < 0 || dup2(errors, 1) < 0 || dup2(errors, 2) < 0)
		_exit(126);
	/* An environment of our own: nothing of the caller's decides what is loaded. The lock guards a
	 * namespace that nobody else knows yet, so no file is left behind for it (iptables(8)). */
	execve(program, (char *[]){(char *)program, "--counters", "--wait", NULL},
	       (char *[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "XTABLES_LOCKFILE=/dev/null",
			  NULL});
	_exit(127);
}

static const char *find_program(const char *name, char *path, size_t size)
{
	static const char *const dirs[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, size, "%s/%s", dirs[i], name);
		if (!access(path, X_OK))
			return path;
	}
	return NULL;
}

static int run_program(const char *program, const struct ns *ns, struct span text, struct err *e)
{
	auto_close int in = memfd_create("ruleset", MFD_CLOEXEC);
	int errors[2], status = 0;
	char said[400] = "", why[300];
	ssize_t n;
	pid_t pid;

	if (in < 0)
		return err_sys(e, ERR_IO, "memfd_create");
	if (io_write_full(in, text.data, text.len, "ruleset", e) || lseek(in, 0, SEEK_SET))
		return -1;
	if (pipe2(errors, O_CLOEXEC))
		return err_sys(e, ERR_IO, "pipe");
	pid = fork();
	if (!pid)
		child(program, ns_fd(ns), in, errors[1]);
	close(errors[1]);
	n = pid > 0 ? read(errors[0], said, sizeof(said) - 1) : 0;
	said[n > 0 ? n : 0] = 0;
	close(errors[0]);
	if (pid < 0)
		return err_sys(e, ERR_NOMEM, "fork");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	err_first_lines(said, why, sizeof(why));
	return err_set(e, ERR_KERNEL, "%s: %s (status %d)", program, why,
		       WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

const char *iptables_program(int num)
{
	static const char *const names[] = {
		[0] = "iptables-legacy-restore",
		[IPTABLES_V6] = "ip6tables-legacy-restore",
		[IPTABLES_NFT] = "iptables-nft-restore",
		[IPTABLES_NFT | IPTABLES_V6] = "ip6tables-nft-restore",
	};

	return names[num & (IPTABLES_NFT | IPTABLES_V6)];
}

bool has_iptables(int num)
{
	char path[64];

	return find_program(iptables_program(num), path, sizeof(path));
}

int run_iptables(struct restore *r, struct step *s, struct err *e)
{
	const char *name = iptables_program(s->num);
	struct ns *ns = restore_ns(r, s->netns, e);
	char path[64];
	const char *program = find_program(name, path, sizeof(path));

	if (!ns)
		return -1;
	if (!program)
		return err_set(e, ERR_NOTFOUND, "%s is not installed (package iptables)", name);
	return run_program(program, ns, buf_span(&s->msg), e);
}
