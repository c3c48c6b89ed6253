#include "restorer/instance.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define END_MS 5000

const char *instance_dir(const struct cli *c)
{
	const char *dir = cli_value(c, "state-dir");

	return dir ? dir : JOURNAL_DIR;
}

struct journal *instance_open(const char *dir, const char *name, struct err *e)
{
	struct journal *j = NULL;
	char **names = NULL;
	size_t n = 0;

	if (name)
		return journal_open(dir, name, e);
	if (journal_list(dir, &names, e))
		return NULL;
	while (names[n])
		n++;
	if (n == 1)
		j = journal_open(dir, names[0], e);
	else if (!n)
		err_set(e, ERR_NOTFOUND, "nothing is restored here (no journal in %s)", dir);
	else
		err_set(e, ERR_USAGE,
			"several instances are restored: name one ('nsimg ps' lists them)");
	journal_list_free(names);
	return j;
}

int instances_open(struct instances *in, const char *dir, struct err *e)
{
	char **names = NULL;
	size_t n = 0;
	int rc = 0;

	if (journal_list(dir, &names, e))
		return -1;
	while (names[n])
		n++;
	in->all = calloc(n + 1, sizeof(struct journal *));
	if (!in->all) {
		journal_list_free(names);
		return err_set(e, ERR_NOMEM, "instances");
	}
	for (; !rc && in->n < n; in->n++) {
		in->all[in->n] = journal_open(dir, names[in->n], e);
		if (!in->all[in->n])
			rc = -1;
	}
	journal_list_free(names);
	return rc;
}

void instances_free(struct instances *in)
{
	for (size_t i = 0; i < in->n; i++)
		journal_free(in->all[i]);
	free(in->all);
	*in = (struct instances){0};
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

struct journal *instances_find(const struct instances *in, const char *word, struct err *e)
{
	struct journal *found = NULL;

	for (size_t i = 0; i < in->n; i++)
		if (!strcmp(journal_head(in->all[i])->name, word))
			return in->all[i];
	for (size_t i = 0; i < in->n; i++) {
		if (!is_same_file(journal_head(in->all[i])->db_path, word))
			continue;
		if (found) {
			err_set(e, ERR_USAGE,
				"%s is restored several times: name the instance (%s, %s; 'nsimg "
				"ps' "
				"lists them)",
				word, journal_head(found)->name, journal_head(in->all[i])->name);
			return NULL;
		}
		found = in->all[i];
	}
	if (!found)
		err_set(e, ERR_NOTFOUND,
			"no instance is named %s or was restored from it ('nsimg ps' lists them)",
			word);
	return found;
}

bool instance_is_criu(const struct journal *j)
{
	for (size_t i = 0; i < journal_n_entries(j); i++)
		if (!strcmp(journal_entry(j, i)->kind, "criu"))
			return true;
	return false;
}

bool holder_is_alive(const struct journal *j, const struct journal_holder *h)
{
	return !journal_is_other_boot(j) && process_is_alive(h->pid, h->start);
}

bool holder_is_meant(const struct journal_holder *h, const char *word)
{
	char text[80];

	snprintf(text, sizeof(text), "%s(%lld)", h->comm, (long long)h->task_pid);
	if (!strcmp(word, text) || !strcmp(word, h->comm))
		return true;
	snprintf(text, sizeof(text), "%lld", (long long)h->task_pid);
	if (!strcmp(word, text))
		return true;
	snprintf(text, sizeof(text), "%d", (int)h->pid);
	return !strcmp(word, text);
}

int holder_find(const struct journal *j, const char *word, const struct journal_holder **out,
		struct err *e)
{
	auto_buf struct buf list = {0};
	size_t n = 0, n_all = 0;

	for (size_t i = 0; i < journal_n_holders(j); i++) {
		const struct journal_holder *h = journal_holder(j, i);

		n_all += holder_is_meant(h, word);
		if (!holder_is_meant(h, word) || !holder_is_alive(j, h))
			continue;
		*out = h;
		if (buf_printf(&list, e, "%s%s(%lld)", n++ ? ", " : "", h->comm,
			       (long long)h->task_pid))
			return -1;
	}
	if (n == 1)
		return 0;
	if (n)
		return err_set(e, ERR_USAGE, "several tasks of %s are named %s: %s",
			       journal_head(j)->name, word, (const char *)list.data);
	if (n_all)
		return err_set(e, ERR_GONE, "the holder of task %s in %s has ended", word,
			       journal_head(j)->name);
	return err_set(e, ERR_NOTFOUND, "%s has no task %s ('nsimg ps' lists them)",
		       journal_head(j)->name, word);
}

/* The pidfd first, the proof after: then the number cannot have been given to another process. */
int holder_pidfd(const struct journal *j, const struct journal_holder *h, struct err *e)
{
	auto_close int fd = (int)syscall(SYS_pidfd_open, h->pid, 0);

	if (fd < 0 && errno != ESRCH)
		return err_sys(e, ERR_KERNEL, "open process %d", (int)h->pid);
	if (fd < 0 || !holder_is_alive(j, h))
		return err_set(e, ERR_GONE, "the holder of task %s(%lld) has ended", h->comm,
			       (long long)h->task_pid);
	return take_fd(&fd);
}

int holder_end(const struct journal *j, const struct journal_holder *h, struct err *e)
{
	struct err gone = ERR_INIT;
	auto_close int fd = holder_pidfd(j, h, &gone);

	if (fd < 0 && gone.code == ERR_GONE)
		return 0;
	if (fd < 0) {
		*e = gone;
		return -1;
	}
	return holder_end_pidfd(h, fd, e);
}

int holder_end_pidfd(const struct journal_holder *h, int fd, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) && errno != ESRCH)
		return err_sys(e, ERR_KERNEL, "end process %d", (int)h->pid);
	if (poll(&p, 1, END_MS) == 0)
		return err_set(e, ERR_BUSY, "process %d has not ended after %d s", (int)h->pid,
			       END_MS / 1000);
	return 0;
}
