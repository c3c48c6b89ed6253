#include "restorer/given_limit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "restorer/sk_make.h"
#include "restorer/steps_net.h"

static int read_limit(void *value, struct err *e)
{
	auto_buf struct buf text = {0};

	if (io_read_file(AT_FDCWD, SOMAXCONN_PATH, 64, &text, e))
		return -1;
	*(long *)value = strtol((const char *)text.data, NULL, 10);
	return 0;
}

static int write_limit(void *text, struct err *e)
{
	return io_write_proc(AT_FDCWD, SOMAXCONN_PATH, text, e);
}

/* A rollback may run in another folder. */
static int note_path(struct restore *r, const struct restore_netns *n, struct err *e)
{
	auto_free char *path = restore_target_path(n, e), *cwd = NULL;

	if (!path)
		return -1;
	if (*path == '/')
		return journal_fact(r->journal, r->step, "limit-netns", e, "%s", path);
	cwd = getcwd(NULL, 0);
	return cwd ? journal_fact(r->journal, r->step, "limit-netns", e, "%s/%s", cwd, path)
		   : err_sys(e, ERR_IO, "current folder");
}

int given_limit_note(struct restore *r, const struct sk_file *f, struct err *e)
{
	const struct restore_netns *n = restore_netns_find(r, f->netns);
	long limit;

	if (!f->above_somaxconn || !n || !n->external || !n->ns)
		return 0;
	if (ns_call(n->ns, read_limit, &limit, e))
		return -1;
	if (limit >= f->backlog)
		return 0;
	return note_path(r, n, e) ||
			       journal_fact(r->journal, r->step, "limit-ino", e, "%" PRIu64,
					    ns_ino(n->ns)) ||
			       journal_fact(r->journal, r->step, "limit-raised", e, "%d",
					    f->backlog) ||
			       journal_fact(r->journal, r->step, "limit-was", e, "%ld", limit)
		       ? -1
		       : 0;
}

int given_limit_undo(const struct journal_entry *je, struct err *e)
{
	const char *path = journal_value(je, "limit-netns"), *ino = journal_value(je, "limit-ino");
	const char *raised = journal_value(je, "limit-raised");
	const char *was = journal_value(je, "limit-was");
	struct err gone = ERR_INIT;
	auto_ns struct ns *ns = NULL;
	long limit;

	/* Once it is done the holder has set it back, and what it is now is somebody else's. */
	if (je->done || !path || !ino || !raised || !was)
		return 0;
	ns = ns_open_path(path, &gone);
	if (!ns || ns_ino(ns) != strtoull(ino, NULL, 10))
		return 0;
	if (ns_call(ns, read_limit, &limit, e))
		return -1;
	return limit == strtol(raised, NULL, 10) ? ns_call(ns, write_limit, (void *)was, e) : 0;
}
