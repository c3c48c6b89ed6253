#include "proto/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "criu/nsimg.pb-c.h"
#include "proto/img.h"
#include "proto/wire.h"

void manifest_free(struct manifest *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->file[i].name);
	free(m->file);
	*m = (struct manifest){0};
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct manifest_file *)a)->name,
		      ((const struct manifest_file *)b)->name);
}

static void manifest_sort(struct manifest *m)
{
	if (m->n_sorted < m->n)
		qsort(m->file, m->n, sizeof(*m->file), by_name);
	m->n_sorted = m->n;
}

static struct manifest_file *find(const struct manifest *m, const char *name)
{
	struct manifest_file key = {.name = (char *)(uintptr_t)name}, *f = NULL;

	if (m->n_sorted)
		f = bsearch(&key, m->file, m->n_sorted, sizeof(key), by_name);
	for (size_t i = m->n_sorted; !f && i < m->n; i++)
		if (!strcmp(m->file[i].name, name))
			f = &m->file[i];
	return f;
}

const struct manifest_file *manifest_find(const struct manifest *m, const char *name)
{
	return find(m, name);
}

static struct manifest_file *append(struct manifest *m, struct span name, struct err *e)
{
	struct manifest_file *f = m->file;

	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 64;

		f = reallocarray(f, cap, sizeof(*f));
		if (f) {
			m->file = f;
			m->cap = cap;
		}
	}
	if (f) {
		f = &m->file[m->n];
		*f = (struct manifest_file){.name = strndup((const char *)name.data, name.len)};
	}
	if (!f || !f->name) {
		err_set(e, ERR_NOMEM, "list of files");
		return NULL;
	}
	m->n++;
	return f;
}

static int fill(struct manifest_file *f, struct span bytes, struct err *e)
{
	f->size = bytes.len;
	return hash_bytes(bytes.data, bytes.len, f->sha256, e);
}

int manifest_add(struct manifest *m, const char *name, struct span bytes, struct err *e)
{
	struct manifest_file *f = append(m, (struct span){(const uint8_t *)name, strlen(name)}, e);

	return f ? fill(f, bytes, e) : -1;
}

int manifest_put(struct manifest *m, const char *name, struct span bytes, struct err *e)
{
	struct manifest_file *f = find(m, name);

	return f ? fill(f, bytes, e) : manifest_add(m, name, bytes, e);
}

int manifest_put_hash(struct manifest *m, const char *name, uint64_t size, const char *sha256,
		      struct err *e)
{
	struct manifest_file *f = find(m, name);

	if (!f)
		f = append(m, (struct span){(const uint8_t *)name, strlen(name)}, e);
	if (!f)
		return -1;
	f->size = size;
	snprintf(f->sha256, sizeof(f->sha256), "%s", sha256);
	return 0;
}

void manifest_drop(struct manifest *m, const char *name)
{
	struct manifest_file *f = find(m, name);
	size_t i = f ? (size_t)(f - m->file) : 0;

	if (!f)
		return;
	free(f->name);
	memmove(f, f + 1, (m->n - i - 1) * sizeof(*f));
	m->n--;
	if (i < m->n_sorted)
		m->n_sorted--;
}

/* ---- as a file ---- */

int manifest_pack(struct manifest *m, struct img_writer *w, struct err *e)
{
	NsimgFileEntry entry = NSIMG_FILE_ENTRY__INIT;
	char seal[HASH_HEX_LEN + 1];

	manifest_sort(m);
	if (img_write_begin(w, IMG_NSIMG_FILES, 0, e))
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		entry.name = m->file[i].name;
		entry.has_size = 1;
		entry.size = m->file[i].size;
		entry.sha256 = m->file[i].sha256;
		if (img_write_message(w, &entry.base, e))
			return -1;
	}
	if (hash_bytes(w->bytes.data, w->bytes.len, seal, e))
		return -1;
	nsimg_file_entry__init(&entry);
	entry.sha256 = seal;
	return img_write_message(w, &entry.base, e);
}

/* One entry; *sealed: it was the last one. */
static int entry_read(struct manifest *m, struct span all, const struct img_record *rec,
		      bool *sealed, struct err *e)
{
	const ProtobufCMessageDescriptor *desc = &nsimg_file_entry__descriptor;
	char hex[HASH_HEX_LEN + 1];
	struct wire_value name, size, sha;
	struct manifest_file *f;
	int named = wire_get(desc, rec->msg, "name", &name, e);

	if (named < 0 || wire_get(desc, rec->msg, "size", &size, e) < 0 ||
	    wire_get(desc, rec->msg, "sha256", &sha, e) < 0)
		return -1;
	if (*sealed || sha.bytes.len != HASH_HEX_LEN ||
	    (named && (!name.bytes.len || memchr(name.bytes.data, 0, name.bytes.len))))
		return err_set(e, ERR_FORMAT, "no entry of a list of files");
	if (!named) {
		*sealed = true;
		if (hash_bytes(all.data, rec->off, hex, e))
			return -1;
		return memcmp(hex, sha.bytes.data, HASH_HEX_LEN)
			       ? err_set(e, ERR_FORMAT, "its bytes are not those that were written")
			       : 0;
	}
	f = append(m, name.bytes, e);
	if (!f)
		return -1;
	f->size = size.u;
	memcpy(f->sha256, sha.bytes.data, HASH_HEX_LEN);
	return 0;
}

static int read_all(struct manifest *m, const char *name, struct span bytes, struct err *e)
{
	struct img_reader r;
	struct img_record rec;
	bool sealed = false;
	int rc;

	if (img_read_begin(&r, img_type_get(IMG_NSIMG_FILES), name, bytes, e))
		return -1;
	while ((rc = img_read_next(&r, &rec, e)) == 1)
		if (entry_read(m, bytes, &rec, &sealed, e))
			return err_wrap(e, "%s: entry %u at offset %zu", name, rec.no, rec.off);
	if (rc < 0)
		return -1;
	if (!sealed)
		return err_set(e, ERR_FORMAT,
			       "%s: the end of the list of files is missing, after "
			       "%zu bytes",
			       name, bytes.len);
	manifest_sort(m);
	for (size_t i = 1; i < m->n; i++)
		if (!strcmp(m->file[i - 1].name, m->file[i].name))
			return err_set(e, ERR_FORMAT, "%s lists %s twice", name, m->file[i].name);
	return 0;
}

int manifest_read(struct manifest *m, const char *name, struct span bytes, struct err *e)
{
	*m = (struct manifest){0};
	if (!read_all(m, name, bytes, e))
		return 0;
	manifest_free(m);
	return -1;
}
