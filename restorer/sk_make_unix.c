/* Unix sockets.
 *
 * The name that getsockname(2) tells is the one that was bound, so a socket below --root or with a relative
 * name is bound by exactly its old name, by a thread that has its own root and working folder
 * (unshare(CLONE_FS)). A name whose file is gone or elsewhere, or that is needed only for a moment, is bound on
 * a tmpfs that only that thread sees: no file of the machine is touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "restorer/sk_make.h"

#define PATH_BYTES (sizeof(((struct sockaddr_un *)0)->sun_path) + 1)

enum job_op {
	JOB_BIND,    /* fd to the name, and mode and owner of the file */
	JOB_CONNECT, /* fd to the name */
	JOB_CLOSED,  /* fd to a socket of the name that exists only meanwhile */
	JOB_ACCEPT, /* connect fd to a listener of that name that exists only meanwhile; result is its end */
};

struct job {
	enum job_op op;
	struct sk_maker *m;
	const struct sk_file *f; /* whose name it is */
	bool scratch;            /* on a file system of its own */
	int fd, result;
	struct err *e;
	int rc;
};

static void path_text(const struct sk_file *f, char text[PATH_BYTES])
{
	memset(text, 0, PATH_BYTES);
	memcpy(text, ((const struct sockaddr_un *)&f->local)->sun_path,
	       f->local_len - offsetof(struct sockaddr_un, sun_path));
}

/* Bind, and give the file owner and mode. */
static int bind_file(struct job *j, int fd, const char *text)
{
	const struct sk_file *f = j->f;

	if (bind(fd, (const struct sockaddr *)&f->local, f->local_len))
		return err_sys(j->e, ERR_KERNEL, "bind");
	if (!f->un.is_path)
		return 0;
	if (f->un.uid >= 0 && f->un.gid >= 0 && lchown(text, (uid_t)f->un.uid, (gid_t)f->un.gid) &&
	    sk_note(j->m, f, j->e, "its file does not belong to user %lld, group %lld: %s",
		    (long long)f->un.uid, (long long)f->un.gid, strerror(errno)))
		return -1;
	if (f->un.mode >= 0 && chmod(text, (mode_t)f->un.mode & 07777))
		return err_sys(j->e, ERR_KERNEL, "mode of %s", text);
	return 0;
}

static int rename_file(const struct job *j, const char *from, const char *to)
{
	return rename(from, to) ? err_sys(j->e, ERR_IO, "rename %s to %s", from, to) : 0;
}

/* From where it was bound to where it is by now; and then the one that waited for that place. */
static int place_file(const struct job *j, const char *bound)
{
	const struct sk_unix *un = &j->f->un;

	if (un->file && rename_file(j, bound, un->aside ? un->aside : un->file))
		return -1;
	return un->brings ? rename_file(j, un->brings->un.aside, un->brings->un.file) : 0;
}

static int job_bind(struct job *j)
{
	char text[PATH_BYTES];

	path_text(j->f, text);
	if (bind_file(j, j->fd, text))
		return -1;
	if (!j->scratch)
		return place_file(j, text);
	j->result = open(text, O_PATH | O_CLOEXEC);
	if (j->result < 0 || (j->f->un.deleted && unlink(text)))
		return err_sys(j->e, ERR_IO, "unlink %s", text);
	return 0;
}

static int job_connect(struct job *j)
{
	if (connect(j->fd, (const struct sockaddr *)&j->f->local, j->f->local_len))
		return err_sys(j->e, ERR_KERNEL, "connect to %s", j->f->label);
	return 0;
}

static int job_closed(struct job *j)
{
	auto_close int peer = socket(AF_UNIX, j->f->type | SOCK_CLOEXEC, 0);

	if (peer < 0)
		return err_sys(j->e, ERR_KERNEL, "socket");
	if (bind(peer, (const struct sockaddr *)&j->f->local, j->f->local_len))
		return err_sys(j->e, ERR_KERNEL, "bind");
	return job_connect(j);
}

static int job_accept(struct job *j)
{
	auto_close int listener = socket(AF_UNIX, j->f->type | SOCK_CLOEXEC, 0);

	char text[PATH_BYTES];

	path_text(j->f, text);
	if (listener < 0)
		return err_sys(j->e, ERR_KERNEL, "socket");
	if (bind_file(j, listener, text))
		return -1;
	if (listen(listener, 1) ||
	    connect(j->fd, (const struct sockaddr *)&j->f->local, j->f->local_len))
		return err_sys(j->e, ERR_KERNEL, "connect");
	j->result = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (j->result < 0)
		return err_sys(j->e, ERR_KERNEL, "accept");
	/* whether its file is gone is seen through the accepted end too (SIOCUNIXFILE) */
	if (j->f->un.is_path && j->f->un.deleted)
		unlink(text);
	return 0;
}

static int job_run(struct job *j)
{
	static int (*const ops[])(struct job *) = {[JOB_BIND] = job_bind,
						   [JOB_CONNECT] = job_connect,
						   [JOB_CLOSED] = job_closed,
						   [JOB_ACCEPT] = job_accept};

	return ops[j->op](j);
}

/* A root that nobody else sees, gone with the thread, with the folders of the name in it. */
static int enter_scratch(struct job *j)
{
	char dir[PATH_BYTES];
	char *slash;

	if (unshare(CLONE_NEWNS | CLONE_FS))
		return err_sys(j->e, ERR_KERNEL, "a mount namespace for a moment");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, "size=64k,mode=0755") || chroot("/tmp") ||
	    chdir("/"))
		return err_sys(j->e, ERR_KERNEL, "a file system for a moment");
	if (j->f->un.root && io_mkdirs(j->f->un.root, 0755, j->e))
		return -1;
	if (j->f->un.root && (chroot(j->f->un.root) || chdir("/")))
		return err_sys(j->e, ERR_KERNEL, "enter %s", j->f->un.root);
	if (j->f->un.dir && (io_mkdirs(j->f->un.dir, 0755, j->e) || chdir(j->f->un.dir)))
		return -1;
	path_text(j->f, dir);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = 0;
	return io_mkdirs(dir, 0755, j->e);
}

static int enter_root(struct job *j)
{
	const char *roots[] = {j->m->root, j->f->un.root};

	if (unshare(CLONE_FS))
		return err_sys(j->e, ERR_KERNEL, "a root folder of its own");
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
		if (roots[i] && strcmp(roots[i], "/") != 0 && (chroot(roots[i]) || chdir("/")))
			return err_sys(j->e, ERR_KERNEL, "enter %s", roots[i]);
	if (j->f->un.dir && chdir(j->f->un.dir))
		return err_sys(j->e, ERR_IO, "enter folder %s", j->f->un.dir);
	return 0;
}

static void *job_thread(void *arg)
{
	struct job *j = arg;

	j->rc = (j->scratch ? enter_scratch(j) : enter_root(j)) || job_run(j) ? -1 : 0;
	return NULL;
}

/* 0 (JOB_ACCEPT, and JOB_BIND on a file system of its own: an owned descriptor) or -1. */
static int job_do(struct sk_maker *m, enum job_op op, const struct sk_file *f, int fd, bool scratch,
		  struct err *e)
{
	struct job j = {op, m, f, scratch && f->un.is_path, fd, -1, e, 0};
	pthread_t thread;
	int rc;

	if (!j.scratch &&
	    (!f->un.is_path || (!strcmp(m->root, "/") && !f->un.root && !f->un.dir))) {
		rc = job_run(&j);
	} else {
		rc = pthread_create(&thread, NULL, job_thread, &j);
		if (rc) {
			errno = rc;
			return err_sys(e, ERR_NOMEM, "start a thread");
		}
		pthread_join(thread, NULL);
		rc = j.rc;
	}
	if (rc)
		return -1;
	return op == JOB_ACCEPT || (op == JOB_BIND && j.scratch) ? j.result : 0;
}

/* Does no path lead to its file? */
static bool is_hidden(const struct sk_file *f)
{
	return f->un.is_path && (f->un.deleted || f->un.elsewhere);
}

static int bind_name(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	bool gone = is_hidden(f);
	int rc = f->local_len ? job_do(m, JOB_BIND, f, fd, gone, e) : 0;

	if (rc < 0 || !gone)
		return rc;
	if (m->name_fd >= 0)
		close(m->name_fd);
	m->name_fd = rc;
	return 0;
}

/* A socket whose file is gone or elsewhere is still found by its inode (unix_find_bsd), and an O_PATH descriptor leads
 * to that. */
static int connect_hidden(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d", m->name_fd);
	if (m->name_fd >= 0 && !connect(fd, (struct sockaddr *)&un, sizeof(un)))
		return 0;
	return sk_note(m, f, e, "not connected to a peer whose file is gone or elsewhere: %s",
		       m->name_fd < 0 ? "it is one of a pair" : strerror(errno));
}

/* The name that the peer was bound to does not lead to its file any more. */
static int connect_renamed(struct sk_maker *m, const struct sk_file *f, const struct sk_file *p,
			   int fd, struct err *e)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	auto_close int file = -1;
	char path[4200];

	if (sk_unix_file(p, m->root, path, sizeof(path)))
		file = open(path, O_PATH | O_CLOEXEC);
	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d", file);
	if (file >= 0 && !connect(fd, (struct sockaddr *)&un, sizeof(un)))
		return 0;
	return sk_note(m, f, e, "not connected to %s: %s", path, strerror(errno));
}

/* Connected once, and the other end is closed: exactly that. */
static int create_half(struct sk_maker *m, const struct sk_file *f, struct err *e)
{
	int fds[2];

	if (socketpair(AF_UNIX, f->type | SOCK_CLOEXEC, 0, fds))
		return err_sys(e, ERR_KERNEL, "socketpair");
	close(fds[1]);
	if (sk_options_set(m, f, fds[0], SOCKOPT_AT_CREATE, e)) {
		close(fds[0]);
		return -1;
	}
	return fds[0];
}

/* The peer, of which nothing is known but its name. */
static struct sk_file named_peer(const struct sk_file *f)
{
	return (struct sk_file){
		.kind = SK_UNIX,
		.type = f->type,
		.label = f->label,
		.local = f->peer,
		.local_len = f->peer_len,
		.un = {.is_path = ((const struct sockaddr_un *)&f->peer)->sun_path[0],
		       .mode = -1,
		       .uid = -1,
		       .gid = -1,
		       .pair = SK_NONE}};
}

/* The peer that is closed had a name, which getpeername(2) still tells. */
static int name_closed_peer(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sk_file peer = named_peer(f);
	struct err failed = ERR_INIT;

	if (f->type != SOCK_DGRAM || f->peer_len <= offsetof(struct sockaddr_un, sun_path))
		return 0;
	if (job_do(m, JOB_CLOSED, &peer, fd, true, &failed) >= 0)
		return 0;
	return sk_note(m, f, e, "the name of its peer, which is closed, is not kept: %s",
		       failed.msg);
}

int sk_unix_create(struct sk_maker *m, const struct sk_file *f, struct err *e)
{
	auto_close int fd = f->un.peer_closed ? create_half(m, f, e) : sk_socket(m, f, 0, e);

	if (fd < 0)
		return fd;
	/* a stream's name then is its listener's */
	if ((!f->un.peer_closed || f->type == SOCK_DGRAM) && bind_name(m, f, fd, e))
		return -1;
	if (f->un.peer_closed && name_closed_peer(m, f, fd, e))
		return -1;
	if (sk_options_set(m, f, fd, SOCKOPT_AFTER_BIND, e))
		return -1;
	return take_fd(&fd);
}

/* c connected to the listener whose name is s's. */
static int create_accepted(struct sk_maker *m, const struct sk_file *c, const struct sk_file *s,
			   int *client, int *server, struct err *e)
{
	*client = sk_socket(m, c, 0, e);
	if (*client < 0 || bind_name(m, c, *client, e))
		return -1;
	*server = job_do(m, JOB_ACCEPT, s, *client, true, e);
	return *server < 0 ? -1 : sk_options_set(m, s, *server, SOCKOPT_AT_CREATE, e);
}

static int create_both(struct sk_maker *m, const struct sk_file *a, const struct sk_file *b,
		       int fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, a->type | SOCK_CLOEXEC, 0, fds))
		return err_sys(e, ERR_KERNEL, "socketpair");
	return sk_options_set(m, a, fds[0], SOCKOPT_AT_CREATE, e) ||
			       sk_options_set(m, b, fds[1], SOCKOPT_AT_CREATE, e) ||
			       bind_name(m, a, fds[0], e) || bind_name(m, b, fds[1], e)
		       ? -1
		       : 0;
}

int sk_create_pair(struct sk_maker *m, const struct sk_file *a, const struct sk_file *b, int fds[2],
		   struct err *e)
{
	int rc;

	fds[0] = fds[1] = -1;
	if (a->un.accepted)
		rc = create_accepted(m, b, a, &fds[1], &fds[0], e);
	else if (b->un.accepted)
		rc = create_accepted(m, a, b, &fds[0], &fds[1], e);
	else
		rc = create_both(m, a, b, fds, e);
	for (int i = 0; rc && i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc;
}

int sk_unix_connect(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	const struct sk_file *p = f->un.peer == SK_NONE ? NULL : &m->specs->files[f->un.peer];
	struct err failed = ERR_INIT;

	if (f->un.peer_outside) {
		struct sk_file outside = named_peer(f);

		return job_do(m, JOB_CONNECT, &outside, fd, false, &failed)
			       ? sk_note(m, f, e, "not connected: %s", failed.msg)
			       : 0;
	}
	if (!p || !sk_unix_is_named(p)) {
		/* one end of a pair that has disconnected itself */
		if (connect(fd, &none, sizeof(none)))
			return err_sys(e, ERR_KERNEL, "disconnect");
		return 0;
	}
	if (sk_connects_to_hidden(m->specs, f))
		return connect_hidden(m, f, fd, e);
	if (p->un.file)
		return connect_renamed(m, f, p, fd, e);
	if (!job_do(m, JOB_CONNECT, p, fd, false, &failed))
		return 0;
	return sk_note(m, f, e, "not connected: %s", failed.msg);
}

bool sk_connects_to_hidden(const struct sk_specs *s, const struct sk_file *f)
{
	const struct sk_file *p =
		f->kind == SK_UNIX && f->un.peer != SK_NONE ? &s->files[f->un.peer] : NULL;

	return p && sk_unix_is_named(p) && is_hidden(p);
}

bool sk_unix_path(const struct sk_file *f, const char *root, char *path, size_t size)
{
	char name[PATH_BYTES];

	if (f->kind != SK_UNIX || !f->un.is_path)
		return false;
	path_text(f, name);
	snprintf(path, size, "%s%s%s%s%s%s", strcmp(root, "/") ? root : "",
		 f->un.root ? f->un.root : "", f->un.dir && f->un.dir[0] != '/' ? "/" : "",
		 f->un.dir ? f->un.dir : "", f->un.dir || name[0] != '/' ? "/" : "", name);
	return true;
}

void sk_unix_place(const struct sk_file *f, const char *file, const char *root, char *path,
		   size_t size)
{
	snprintf(path, size, "%s%s%s", strcmp(root, "/") ? root : "", f->un.root ? f->un.root : "",
		 file);
}

bool sk_unix_file(const struct sk_file *f, const char *root, char *path, size_t size)
{
	if (f->kind != SK_UNIX || !f->un.file)
		return sk_unix_path(f, root, path, size);
	sk_unix_place(f, f->un.file, root, path, size);
	return true;
}
