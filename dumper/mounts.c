#include "dumper/mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "dumper/proc.h"

#define MOUNTINFO_MAX (64u << 20)

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static void unescape_octal(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static int netns_add_name(struct dump_netns *n, const char *name, struct err *e)
{
	char **names;

	for (size_t i = 0; i < n->n_names; i++)
		if (!strcmp(n->names[i], name))
			return 0;
	names = realloc(n->names, (n->n_names + 1) * sizeof(*names));
	if (names)
		n->names = names;
	if (!names || !(names[n->n_names] = strdup(name)))
		return err_set(e, ERR_NOMEM, "names of a namespace");
	n->n_names++;
	return 0;
}

static struct dump_netns *netns_by_ino(struct dump *d, uint64_t ino)
{
	for (size_t i = 0; i < d->n_netns; i++)
		if (d->netns[i]->ino == ino)
			return d->netns[i];
	return NULL;
}

/* A mount seen by pid at path. One that another mount hides cannot be opened and is passed over. */
static int mount_visit(struct dump *d, pid_t pid, uint64_t ino, const char *path,
		       enum mounts_unknown unknown, struct err *e)
{
	struct dump_netns *n = netns_by_ino(d, ino);
	struct err gone = ERR_INIT;
	char full[4200];

	if (!n && unknown != UNKNOWN_LEAVE) {
		struct ns *ns;

		snprintf(full, sizeof(full), "/proc/%d/root%s", (int)pid, path);
		ns = ns_open_path(pid ? full : path, &gone);
		if (!ns || ns_ino(ns) != ino) {
			ns_free(ns);
			return 0;
		}
		n = dump_netns_of(d, ns, e);
		if (!n)
			return -1;
		n->external = unknown == UNKNOWN_EXTERNAL;
		n->referred = !n->external;
	}
	return n ? netns_add_name(n, path, e) : 0;
}

int mounts_find_netns(struct dump *d, pid_t pid, enum mounts_unknown unknown, struct err *e)
{
	auto_buf struct buf b = {0};
	char path[64] = "/proc/self/mountinfo", *line, *save = NULL;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	if (io_read_file(AT_FDCWD, path, MOUNTINFO_MAX, &b, e))
		return -1;
	for (line = strtok_r((char *)b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char root[256], where[4096];
		uint64_t ino;

		if (!strstr(line, " - nsfs ") ||
		    sscanf(line, "%*d %*d %*s %255s %4095s", root, where) != 2 ||
		    !proc_link_ino(root, "net", &ino))
			continue;
		unescape_octal(where);
		if (mount_visit(d, pid, ino, where, unknown, e))
			return -1;
	}
	return 0;
}
