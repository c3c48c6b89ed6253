/* The last steps: what was built gets names, and so outlives the restorer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "restorer/restore.h"
#include "restorer/steps.h"

#define SYS_ADMIN (UINT64_C(1) << CAP_SYS_ADMIN)

/* Is path the root of a mount? Two paths on one file system that are different mounts have the same
 * device, so the mount id of statx(2) decides. */
static int is_mount(const char *path, bool *mounted, struct err *e)
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st))
		return err_sys(e, ERR_IO, "stat %s", path);
	*mounted = st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	return 0;
}

static bool is_empty_dir(const char *path)
{
	auto_dir DIR *d = opendir(path);
	struct dirent *de;

	while (d && (de = readdir(d)))
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			return false;
	return d != NULL;
}

/* As ip netns does it: the folder is a mount point of its own, shared, so that namespaces that are pinned
 * or removed later are seen in every mount namespace (ip-netns(8)). Any other folder stays as it is. */
static int run_pin_dir(struct restore *r, struct step *s, struct err *e)
{
	const char *dir = s->data;
	bool mounted = false;

	if (journal_fact(r->journal, r->step, "dir", e, "%s", dir))
		return -1;
	if (access(dir, F_OK)) {
		if (journal_fact(r->journal, r->step, "made", e, "1") || io_mkdirs(dir, 0755, e))
			return -1;
	}
	if (r->opts->pin_dir || strcmp(dir, PIN_DIR) != 0)
		return 0;
	if (is_mount(dir, &mounted, e))
		return -1;
	if (mounted)
		return 0;
	if (journal_fact(r->journal, r->step, "mounted", e, "1"))
		return -1;
	if (mount(dir, dir, "none", MS_BIND | MS_REC, NULL))
		return err_sys(e, ERR_KERNEL, "bind mount %s (use --pin-dir)", dir);
	if (mount("", dir, "none", MS_SHARED | MS_REC, NULL))
		return err_sys(e, ERR_KERNEL, "make %s a shared mount", dir);
	return 0;
}

/* The folder, or the next one above that is there: can files be made in it? */
static int check_pin_dir(const struct restore *r, const struct step *s, struct buf *reasons,
			 struct err *e)
{
	auto_free char *path = strdup(s->data);
	struct stat st;
	char *slash;

	if (!path)
		return err_set(e, ERR_NOMEM, "path of the pins");
	while (stat(path, &st) && errno == ENOENT && (slash = strrchr(path, '/')) && slash > path)
		*slash = 0;
	if (stat(path, &st))
		return buf_printf(reasons, e, "pin folder %s: %s: %s\n", (const char *)s->data,
				  path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return buf_printf(reasons, e, "pin folder %s: %s is no folder\n",
				  (const char *)s->data, path);
	if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS))
		return buf_printf(reasons, e,
				  "pin folder %s: nothing can be made in %s: %s (--pin-dir names "
				  "another one)\n",
				  (const char *)s->data, path, strerror(errno));
	return 0;
}

static int undo_pin_dir(const struct journal_entry *je, struct err *e)
{
	const char *dir = journal_value(je, "dir");
	bool mounted = false;

	if (!dir || access(dir, F_OK) || !is_empty_dir(dir))
		return 0;
	if (journal_value(je, "mounted")) {
		if (is_mount(dir, &mounted, e))
			return -1;
		if (mounted && umount2(dir, MNT_DETACH))
			return err_sys(e, ERR_KERNEL, "unmount %s", dir);
	}
	if (journal_value(je, "made") && rmdir(dir) && errno != ENOTEMPTY && errno != ENOENT)
		return err_sys(e, ERR_IO, "remove %s", dir);
	return 0;
}

static int run_pin(struct restore *r, struct step *s, struct err *e)
{
	const char *path = s->data;
	struct restore_netns *n = restore_netns_find(r, s->row);
	auto_close int fd = -1;
	char from[64];

	/* msg: what it was in the image, for verify */
	if ((s->msg.len && journal_note(r->journal, r->step, "was", e, "%s", s->msg.data)) ||
	    journal_note(r->journal, r->step, "row", e, "%lld", (long long)s->row) ||
	    journal_fact(r->journal, r->step, "path", e, "%s", path))
		return -1;
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0) {
		int saved = errno;

		/* Whose file it is: not ours, so undo must leave it alone. */
		if (journal_fact(r->journal, r->step, "foreign", e, "1"))
			return -1;
		errno = saved;
		return err_sys(e, saved == EEXIST ? ERR_EXISTS : ERR_IO, "create pin %s", path);
	}
	snprintf(from, sizeof(from), "/proc/self/fd/%d", ns_fd(n->ns));
	if (mount(from, path, "none", MS_BIND, NULL))
		return err_sys(e, ERR_KERNEL, "bind mount namespace %s on %s", n->name, path);
	/* the first of its names is the one that ps shows */
	return s->num ? 0 : journal_netns_add(r->journal, n->row, n->name, n->ns, path, e);
}

static int undo_pin(const struct journal_entry *je, struct err *e)
{
	const char *path = journal_value(je, "path");
	struct stat st;
	bool mounted = false;

	if (!path || journal_value(je, "foreign") || lstat(path, &st))
		return 0;
	if (is_mount(path, &mounted, e))
		return -1;
	if (mounted && umount2(path, MNT_DETACH) && errno != EINVAL)
		return err_sys(e, ERR_KERNEL, "unmount %s", path);
	/* Only the empty file that was made for the mount, never what somebody put there since. */
	if (lstat(path, &st) || !S_ISREG(st.st_mode) || st.st_size)
		return 0;
	if (unlink(path) && errno != ENOENT)
		return err_sys(e, ERR_IO, "remove pin %s", path);
	return 0;
}

static int probe_pin(const struct journal_entry *je, bool *there, struct err *e)
{
	const char *path = journal_value(je, "path");

	*there = path && !journal_value(je, "foreign") && access(path, F_OK) == 0;
	return 0;
}

const struct step_kind step_kinds_commit[] = {
	{.name = "pin-dir",
	 .stage = STAGE_COMMIT,
	 .caps = SYS_ADMIN,
	 .undo_class = UNDO_BEST_EFFORT,
	 .undo_note = "the folder stays when somebody else has put something into it meanwhile",
	 .run = run_pin_dir,
	 .undo = undo_pin_dir,
	 .check = check_pin_dir},
	{.name = "pin",
	 .stage = STAGE_COMMIT,
	 .caps = SYS_ADMIN,
	 .undo_class = UNDO_EXACT,
	 .run = run_pin,
	 .undo = undo_pin,
	 .probe = probe_pin},
	{.name = NULL},
};
