/* Sysctls of a namespace: written where they read differently. */
#include "restorer/steps_net.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restorer/sysctl_known.h"

static const char *skip_blanks(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

/* The same words? The kernel separates them by tabs where people write spaces. */
static bool same_value(const char *a, const char *b)
{
	for (a = skip_blanks(a), b = skip_blanks(b); *a || *b;) {
		size_t n = strcspn(a, " \t\n"), m = strcspn(b, " \t\n");

		if (n != m || memcmp(a, b, n))
			return false;
		a = skip_blanks(a + n);
		b = skip_blanks(b + n);
	}
	return true;
}

struct sysctl_arg {
	struct restore *r;
	const struct step *s;
	const bool *known; /* items that need no look */
};

int sysctl_reads(int dir, const struct sysctl_item *item)
{
	auto_close int fd = openat(dir, item->name, O_RDONLY | O_CLOEXEC);
	char text[8192];
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -1 : 0;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return 0;
	text[n] = 0;
	return same_value(text, item->value);
}

/* A value that this kernel does not take is told, by the later of the two steps, and does not stop the restore: the
 * others count, and verify shows the difference. */
static int write_one(struct sysctl_arg *a, int dir, const struct sysctl_item *item, struct err *e)
{
	auto_close int fd = openat(dir, item->name, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(item->value);

	if ((fd >= 0 && write(fd, item->value, len) == (ssize_t)len) || !a->s->num)
		return 0;
	return restore_note(a->r, e, "%s: sysctl %s=%s: %s", a->s->object, item->name, item->value,
			    strerror(errno));
}

static int sysctl_job(void *p, struct err *e)
{
	struct sysctl_arg *a = p;
	const struct sysctl_list *d = a->s->data;
	/* proc(5): /proc/sys/net shows the namespace of the thread that looks. */
	auto_close int dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, ERR_IO, "open /proc/sys");
	for (size_t i = 0; i < d->n; i++) {
		const struct sysctl_item *item = d->items[i];

		if (a->known[i])
			continue;
		switch (sysctl_reads(dir, item)) {
		case 1:
			continue;
		case 0:
			if (write_one(a, dir, item, e))
				return -1;
			continue;
		default:
			if (a->s->num && restore_note(a->r, e, "%s: no sysctl %s in this kernel",
						      a->s->object, item->name))
				return -1;
		}
	}
	return 0;
}

int run_sysctl(struct restore *r, struct step *s, struct err *e)
{
	const struct sysctl_list *d = s->data;
	auto_free bool *known = calloc(d->n + 1, sizeof(*known));
	struct sysctl_arg a = {r, s, known};
	struct ns *ns = restore_ns(r, s->netns, e);

	if (!ns)
		return -1;
	if (!known)
		return err_set(e, ERR_NOMEM, "sysctls");
	if (sysctl_known(r, s, known, e))
		return -1;
	/* entering the namespace costs a thread: not for nothing */
	return memchr(known, false, d->n) ? ns_call(ns, sysctl_job, &a, e) : 0;
}
