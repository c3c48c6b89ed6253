#include "dumper/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "criu/userns.pb-c.h"
#include "proto/img.h"

#define MAP_EXTENTS_MAX 340 /* user_namespaces(7), since Linux 4.15 */

static struct dump_userns *userns_add(struct dump *d, int fd_taken, struct err *e);

/* The user namespace above or around a namespace descriptor; NULL without error when it is out of reach
 * (EPERM: above the caller's own). */
static struct dump_userns *userns_related(struct dump *d, int ns_fd, unsigned long request,
					  struct err *e)
{
	int fd = ioctl(ns_fd, request);

	return fd < 0 ? NULL : userns_add(d, fd, e);
}

static struct dump_userns *userns_add(struct dump *d, int fd_taken, struct err *e)
{
	auto_close int fd = fd_taken;
	struct dump_userns **all, *u, *parent;
	struct stat st;
	uid_t owner = 0;

	if (fstat(fd, &st)) {
		err_sys(e, ERR_IO, "stat a user namespace");
		return NULL;
	}
	for (size_t i = 0; i < d->n_userns; i++)
		if (d->userns[i]->ino == st.st_ino)
			return d->userns[i];
	all = realloc(d->userns, (d->n_userns + 1) * sizeof(*all));
	if (all)
		d->userns = all;
	u = calloc(1, sizeof(*u));
	if (!all || !u) {
		free(u);
		err_set(e, ERR_NOMEM, "list of user namespaces");
		return NULL;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	ioctl(fd, NS_GET_OWNER_UID, &owner);
	u->id = d->next_ns_id++;
	u->ino = st.st_ino;
	u->owner_uid = owner;
	u->fd = take_fd(&fd);
	all[d->n_userns++] = u;
	if (d->n_userns > 1) { /* the dumper's own has no parent that concerns us */
		parent = userns_related(d, u->fd, NS_GET_PARENT, e);
		u->parent_id = parent ? parent->id : 0;
	}
	return u;
}

int userns_add_own(struct dump *d, struct err *e)
{
	int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	struct dump_userns *u;

	if (fd < 0)
		return err_sys(e, ERR_IO, "open /proc/self/ns/user");
	u = userns_add(d, fd, e);
	if (!u)
		return -1;
	u->external = true;
	u->pid = getpid();
	return 0;
}

struct dump_userns *userns_of_pid(struct dump *d, pid_t pid, struct err *e)
{
	char path[64];
	struct dump_userns *u;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_sys(e, errno == ENOENT ? ERR_GONE : ERR_IO, "user namespace of process %d",
			(int)pid);
		return NULL;
	}
	u = userns_add(d, fd, e);
	if (u && !u->pid)
		u->pid = pid;
	return u;
}

int userns_of_netns_all(struct dump *d, struct err *e)
{
	for (size_t i = 0; i < d->n_netns; i++) {
		struct dump_netns *n = d->netns[i];
		struct err fault = ERR_INIT;
		struct dump_userns *u;

		if (n->user_ns_id)
			continue;
		u = userns_related(d, ns_fd(n->ns), NS_GET_USERNS, &fault);
		if (!u && fault.code != ERR_NONE) {
			*e = fault;
			return -1;
		}
		n->user_ns_id = u ? u->id : 0;
	}
	return 0;
}

/* "inside outside count" lines of uid_map or gid_map. */
static int userns_map_read(pid_t pid, const char *file, UidGidExtent *extents, size_t *n,
			   struct err *e)
{
	auto_buf struct buf b = {0};
	char path[64];
	unsigned first, lower, count;
	int used;

	*n = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if (io_read_file(AT_FDCWD, path, 1u << 16, &b, e))
		return -1;
	for (const char *p = (const char *)b.data;
	     p && *n < MAP_EXTENTS_MAX &&
	     sscanf(p, "%u %u %u%n", &first, &lower, &count, &used) == 3;
	     p += used) {
		UidGidExtent *x = &extents[(*n)++];

		uid_gid_extent__init(x);
		x->first = first;
		x->lower_first = lower;
		x->count = count;
	}
	return 0;
}

/* of: a process in it, whose maps are read; 0: there is none. */
static int userns_write_one(const struct dump_userns *u, pid_t of, struct img_writer *w,
			    struct err *e)
{
	static const char *const files[] = {"uid_map", "gid_map"};
	auto_free UidGidExtent *extents = calloc(2 * MAP_EXTENTS_MAX, sizeof(*extents));
	auto_free UidGidExtent **refs = calloc(2 * MAP_EXTENTS_MAX, sizeof(*refs));
	auto_buf struct buf setgroups = {0};
	UsernsEntry entry = USERNS_ENTRY__INIT;
	NsimgUserns ours = NSIMG_USERNS__INIT;
	char path[64];
	size_t n[2];

	if (!extents || !refs)
		return err_set(e, ERR_NOMEM, "id maps");
	for (int m = 0; m < 2 && of; m++)
		if (userns_map_read(of, files[m], extents + m * MAP_EXTENTS_MAX, &n[m], e))
			return -1;
	for (size_t i = 0; i < 2 * MAP_EXTENTS_MAX; i++)
		refs[i] = &extents[i];
	if (of) {
		entry.uid_map = refs;
		entry.n_uid_map = n[0];
		entry.gid_map = refs + MAP_EXTENTS_MAX;
		entry.n_gid_map = n[1];
		snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)of);
		if (!io_read_file(AT_FDCWD, path, 64, &setgroups, e) && setgroups.len) {
			setgroups.data[strcspn((char *)setgroups.data, "\n")] = '\0';
			ours.setgroups = (char *)setgroups.data;
		}
	}
	ours.has_ino = 1;
	ours.ino = u->ino;
	ours.has_parent_id = u->parent_id != 0;
	ours.parent_id = u->parent_id;
	ours.has_owner_uid = 1;
	ours.owner_uid = u->owner_uid;
	ours.has_external = u->external;
	ours.external = u->external;
	entry.nsimg = &ours;
	return img_write_begin(w, IMG_USERNS, u->id, e) || img_write_message(w, &entry.base, e) ||
			       img_write_end(w, e)
		       ? -1
		       : 0;
}

/* No task is in it: a child enters it for that. */
static int userns_write_empty(struct dump *d, const struct dump_userns *u, struct img_writer *w,
			      struct err *e)
{
	struct err why = ERR_INIT;
	struct ns_visitor v;
	int rc;

	if (ns_visitor_begin(&v, u->fd, 0, &why))
		return dump_lose(d, e, "user namespace",
				 "no task is in user namespace %u, so its id maps cannot be read: "
				 "%s",
				 u->id, why.msg) ||
				       userns_write_one(u, 0, w, e)
			       ? -1
			       : 0;
	rc = userns_write_one(u, v.pid, w, e);
	ns_visitor_end(&v);
	return rc;
}

int userns_write(struct dump *d, struct img_writer *w, struct err *e)
{
	for (size_t i = 0; i < d->n_userns; i++) {
		const struct dump_userns *u = d->userns[i];

		if (u->pid ? userns_write_one(u, u->pid, w, e) : userns_write_empty(d, u, w, e))
			return err_wrap(e, "user namespace %u", u->id);
	}
	return 0;
}
