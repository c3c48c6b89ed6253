#include "restorer/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

/* The id that the parent uses for what we call id; the numbers in a map are read and written as the
 * parent of the new namespace sees them (user_namespaces(7)), and the image has them as we see them. */
static int to_parent(const struct id_range *map, size_t n, uint32_t id, uint32_t *out)
{
	for (size_t i = 0; i < n; i++)
		if (id >= map[i].lower && id - map[i].lower < map[i].count) {
			*out = map[i].first + (id - map[i].lower);
			return 0;
		}
	return -1;
}

static int map_text(const struct id_range *map, size_t n, const struct id_range *parent,
		    size_t n_parent, bool translate, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t lower = map[i].lower;

		if (translate && to_parent(parent, n_parent, map[i].lower, &lower))
			return err_set(e, ERR_CONFLICT,
				       "id map: %u is not mapped in the parent user namespace",
				       map[i].lower);
		if (buf_printf(out, e, "%u %u %u\n", map[i].first, lower, map[i].count))
			return -1;
	}
	return 0;
}

struct maker {
	const struct userns_spec *spec;
	struct buf uids, gids;
	uint32_t owner, group; /* in the parent's numbers */
	int go, made;          /* pipes between the two children */
};

/* What the inner child says: which of these calls failed, and with what errno. */
enum { CALL_NONE, CALL_IDS, CALL_UNSHARE };
struct said {
	int call, error;
};

/* The inner child: becomes the owner, unshares, waits until its maps are written and we opened it. In a parent
 * that is not ours our own ids do not exist, and an owner or a group that the parent does not know is refused
 * (create_user_ns()). A change of ids makes a process undumpable, and then its files in /proc belong to a root
 * that a parent of ours does not have either (proc(5)): so it is made dumpable again. */
static void inner(const struct maker *m)
{
	bool nested = m->spec->is_nested;
	struct said said = {CALL_NONE, 0};
	char c;

	if ((nested && setresgid(m->group, m->group, m->group)) ||
	    ((nested || m->owner) && setresuid(m->owner, m->owner, m->owner)))
		said = (struct said){CALL_IDS, errno};
	else if (unshare(CLONE_NEWUSER))
		said = (struct said){CALL_UNSHARE, errno};
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (write(m->made, &said, sizeof(said)) == sizeof(said))
		while (read(m->go, &c, 1) < 0 && errno == EINTR)
			;
	_exit(0);
}

static int write_maps(const struct maker *m, pid_t pid, struct err *e)
{
	char path[64];

	if (m->spec->setgroups && !strcmp(m->spec->setgroups, "deny")) {
		snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
		if (io_write_proc(AT_FDCWD, path, "deny", e))
			return -1;
	}
	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	if (m->uids.len && io_write_proc(AT_FDCWD, path, (const char *)m->uids.data, e))
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	if (m->gids.len && io_write_proc(AT_FDCWD, path, (const char *)m->gids.data, e))
		return -1;
	return 0;
}

/* Fork the inner child, let write_maps run, put the descriptor of its namespace into *fd. */
static int make_inner(struct maker *m, int *fd, struct err *e)
{
	int made[2], go[2], ret = -1;
	struct said said = {CALL_UNSHARE, EIO};
	char path[64];
	pid_t pid;

	if (pipe2(made, O_CLOEXEC))
		return err_sys(e, ERR_IO, "pipe");
	if (pipe2(go, O_CLOEXEC)) {
		err_sys(e, ERR_IO, "pipe");
		close(made[0]);
		close(made[1]);
		return -1;
	}
	pid = fork();
	if (!pid) {
		close(go[1]);
		m->made = made[1];
		m->go = go[0];
		inner(m);
	}
	close(made[1]);
	close(go[0]);
	if (pid < 0) {
		err_sys(e, ERR_NOMEM, "fork");
	} else if (read(made[0], &said, sizeof(said)) != sizeof(said) || said.call != CALL_NONE) {
		errno = said.error;
		if (said.call == CALL_IDS)
			err_sys(e, ERR_KERNEL,
				"become user %u of group %u, who own the user namespace", m->owner,
				m->group);
		else
			err_sys(e, ERR_KERNEL,
				"unshare a user namespace (user.max_user_namespaces reached, or "
				"not allowed for user %u)",
				m->owner);
	} else {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		*fd = open(path, O_RDONLY | O_CLOEXEC);
		if (*fd < 0)
			err_sys(e, ERR_GONE, "open %s", path);
		else
			ret = write_maps(m, pid, e);
	}
	close(made[0]);
	close(go[1]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	return ret;
}

/* The maps of a namespace can only be written from itself or its parent (user_namespaces(7)), so for a
 * parent that is not ours a child enters it first and sends the descriptor's number back: it shares our
 * descriptor table (CLONE_FILES), so the number means the same here. */
struct outer_arg {
	struct maker *m;
	int fd, ret;
	struct err *e;
};

static int outer(void *p)
{
	struct outer_arg *a = p;

	if (setns(a->m->spec->parent_fd, CLONE_NEWUSER))
		a->ret = err_sys(a->e, ERR_KERNEL, "enter the parent user namespace");
	else
		a->ret = make_inner(a->m, &a->fd, a->e);
	return 0;
}

static int make_in_parent(struct maker *m, int *fd, struct err *e)
{
	struct outer_arg a = {m, -1, -1, e};
	auto_free char *stack = malloc(256 * 1024);
	pid_t pid;

	if (!stack)
		return err_set(e, ERR_NOMEM, "stack of a helper");
	/* CLONE_VM without CLONE_FS or CLONE_THREAD: setns of a user namespace needs a single-threaded
	 * process, and the answer comes back through memory. CLONE_VFORK: we stand still meanwhile. */
	err_set(e, ERR_KERNEL, "the helper in the parent user namespace ended early");
	pid = clone(outer, stack + 256 * 1024, CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, &a);
	if (pid < 0)
		return err_sys(e, ERR_NOMEM, "clone");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	*fd = a.fd;
	return a.ret;
}

static void maker_release(struct maker *m)
{
	buf_free(&m->uids);
	buf_free(&m->gids);
}

/* Any group that the parent knows; nothing tells which it was. */
static int choose_group(struct maker *m, struct err *e)
{
	const struct userns_spec *spec = m->spec;

	if (!spec->n_parent_gids)
		return err_set(e, ERR_CONFLICT,
			       "its parent user namespace has no groups, so nobody can make it");
	m->group = spec->parent_gids[0].first;
	for (size_t i = 1; i < spec->n_parent_gids; i++)
		if (spec->parent_gids[i].first < m->group)
			m->group = spec->parent_gids[i].first;
	return 0;
}

static int maker_init(struct maker *m, struct err *e)
{
	const struct userns_spec *spec = m->spec;
	bool nested = spec->is_nested;

	m->owner = spec->owner_uid;
	if (map_text(spec->uids, spec->n_uids, spec->parent_uids, spec->n_parent_uids, nested,
		     &m->uids, e) ||
	    map_text(spec->gids, spec->n_gids, spec->parent_gids, spec->n_parent_gids, nested,
		     &m->gids, e))
		return -1;
	if (!nested)
		return 0;
	if (to_parent(spec->parent_uids, spec->n_parent_uids, spec->owner_uid, &m->owner))
		return err_set(e, ERR_CONFLICT,
			       "owner %u of the user namespace is not mapped in its parent",
			       spec->owner_uid);
	return choose_group(m, e);
}

int userns_check(const struct userns_spec *spec, struct err *e)
{
	__attribute__((cleanup(maker_release))) struct maker m = {.spec = spec};

	return maker_init(&m, e);
}

int userns_new(const struct userns_spec *spec, struct err *e)
{
	__attribute__((cleanup(maker_release))) struct maker m = {.spec = spec};
	bool nested = spec->is_nested;
	int fd = -1;

	if (maker_init(&m, e))
		return -1;
	if (nested ? make_in_parent(&m, &fd, e) : make_inner(&m, &fd, e)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}
