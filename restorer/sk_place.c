/* Where the files of unix sockets come. Tasks in mount namespaces of their own may each have a socket at the same path (two
 * containers, PrivateTmp=); they come back in one mount namespace, where one of them has it. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "restorer/sk_make.h"

struct place {
	char *path;
	size_t file, task;
	bool is_root; /* in the mount namespace of the root task */
};

bool sk_unix_has_file(const struct sk_file *f)
{
	return f->kind == SK_UNIX && f->un.is_path && !f->un.deleted && !f->un.elsewhere &&
	       !f->un.accepted && f->creator != SK_NONE;
}

/* By path; of the same, the one that has it comes first. */
static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	if (order)
		return order;
	if (x->is_root != y->is_root)
		return y->is_root - x->is_root;
	order = (x->task > y->task) - (x->task < y->task);
	return order ? order : (x->file > y->file) - (x->file < y->file);
}

static int put_elsewhere(struct sk_specs *s, const struct place *has, const struct place *p,
			 struct err *e)
{
	struct sk_file *f = &s->files[p->file];
	bool same = s->tasks[f->creator].mntns == s->tasks[s->files[has->file].creator].mntns;

	f->un.elsewhere = true;
	free(take_ptr(f->un.file));
	return sk_lose(s, e, f->label,
		       same ? "its file: another socket has that path"
			    : "its file: it was in another mount namespace, and a socket of task "
			      "%s(%d) has that path",
		       s->tasks[s->files[has->file].creator].comm,
		       (int)s->tasks[s->files[has->file].creator].pid);
}

static int add_place(const struct sk_specs *s, size_t file, struct place *p, struct err *e)
{
	size_t task = s->files[file].creator;
	char path[4200];

	sk_unix_file(&s->files[file], "/", path, sizeof(path));
	*p = (struct place){spec_strdup(path, e), file, task,
			    s->tasks[task].mntns == s->tasks[0].mntns};
	return p->path ? 0 : -1;
}

int sk_place_files(struct sk_specs *s, struct err *e)
{
	auto_free struct place *all = calloc(s->n_files + 1, sizeof(*all));
	const struct place *has = all;
	size_t n = 0;
	int rc = 0;

	if (!all)
		return err_set(e, ERR_NOMEM, "files of sockets");
	for (size_t i = 0; i < s->n_files && !rc; i++)
		if (sk_unix_has_file(&s->files[i]) && !s->files[i].left_out)
			rc = add_place(s, i, &all[n++], e);
	if (!rc && n)
		qsort(all, n, sizeof(*all), compare_places);
	for (size_t i = 1; i < n && !rc; i++) {
		if (strcmp(all[i].path, has->path) != 0)
			has = &all[i];
		else
			rc = put_elsewhere(s, has, &all[i], e);
	}
	for (size_t i = 0; i < n; i++)
		free(all[i].path);
	return rc;
}
