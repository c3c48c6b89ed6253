/* The list of files that our dumper writes (proto/manifest.h), against what is there. CRIU writes none. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/import_int.h"

/* Length of the folder of a path, with its slash: files of an archive have one. */
static size_t folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool is_beside(const struct import_file *f, const struct import_file *other)
{
	size_t len = folder_len(other->name);

	return folder_len(f->name) == len && !strncmp(f->name, other->name, len);
}

static struct import_file *find_list(const struct import *im)
{
	for (size_t i = 0; i < im->n_files; i++)
		if (im->file[i].type && img_type_kind(im->file[i].type) == IMG_NSIMG_FILES)
			return &im->file[i];
	return NULL;
}

/* Damage of the image that is no damage of a file that is there. */
static int missing(struct import *im, const struct manifest_file *m, struct err *e)
{
	struct err damage = ERR_INIT;

	err_set(&damage, ERR_FORMAT,
		"%s: %s is missing (%llu bytes, sha256 %s, says nsimg-files.img)", im->source,
		m->name, (unsigned long long)m->size, m->sha256);
	if (im->opts->salvage)
		return import_note(im, NULL, "damage", m->name, damage.msg, e);
	*e = damage;
	return -1;
}

/* Hand each file its line of the list. Names are unique on both sides, so the lines handed out tell how many
 * files are missing. */
static int expect_files(struct import *im, struct err *e)
{
	const struct manifest *m = &im->manifest;
	auto_free bool *there = calloc(m->n + 1, sizeof(*there));

	if (!there)
		return err_set(e, ERR_NOMEM, "list of files");
	for (size_t i = 0; i < im->n_files; i++) {
		struct import_file *f = &im->file[i];

		if (!is_beside(f, im->manifest_file))
			continue;
		f->expect = manifest_find(m, f->name + folder_len(f->name));
		if (f->expect)
			there[f->expect - m->file] = true;
	}
	for (size_t i = 0; i < m->n; i++)
		if (!there[i] && missing(im, &m->file[i], e))
			return -1;
	return 0;
}

int import_manifest(struct import *im, struct err *e)
{
	struct import_file *list = find_list(im);
	auto_buf struct buf bytes = {0};

	if (!list)
		return 0;
	im->manifest_file = list;
	if (import_file_bytes(im, list, &bytes, e))
		return -1;
	if (!manifest_read(&im->manifest, list->name, buf_span(&bytes), e))
		return expect_files(im, e);
	im->manifest_file = NULL;
	err_wrap(e, "%s", im->source);
	im->cur = list;
	if (import_salvage(im, list, NULL, 0, e))
		return -1;
	im->cur = NULL;
	return 0;
}

int import_manifest_is_there(const struct import *im, struct err *e)
{
	if (find_list(im))
		return 0;
	return err_set(e, ERR_FORMAT,
		       "%s: nsimg-files.img is missing, without which damage of the other files "
		       "would not show",
		       im->source);
}

int import_manifest_check(struct import *im, struct import_file *f, struct err *e)
{
	const struct manifest_file *m = f->expect;

	if (!im->manifest_file || f == im->manifest_file ||
	    (m && m->size == f->size && !strcmp(m->sha256, f->sha256)))
		return 0;
	if (m && m->size != f->size)
		err_set(e, ERR_FORMAT,
			"%s: %s has %llu bytes, but %llu were written (nsimg-files.img)",
			im->source, f->name, (unsigned long long)f->size,
			(unsigned long long)m->size);
	else if (m)
		err_set(e, ERR_FORMAT,
			"%s: %s is not what was written: sha256 is %s, but nsimg-files.img "
			"says %s",
			im->source, f->name, f->sha256, m->sha256);
	else if (import_kind_of(f) && is_beside(f, im->manifest_file))
		err_set(e, ERR_FORMAT, "%s: %s is not one of the files that nsimg-files.img lists",
			im->source, f->name);
	else
		return 0; /* notes of a user, logs and statistics of CRIU */
	return import_salvage(im, f, NULL, 0, e);
}
