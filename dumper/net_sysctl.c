#include "dumper/net_sysctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dumper/sysctl_schema.h"

enum { VALUE_MAX = 4096 };

struct sysctl_dev {
	const char *name;
	struct devconf conf;
	struct span neigh[2]; /* NDTA_PARMS of IPv4 and IPv6 */
};

struct sysctl_dev_text {
	uint32_t dev, file, value; /* value: offset in text */
};

void sysctls_free(struct sysctls *s)
{
	buf_free(&s->text);
	buf_free(&s->neigh);
	free(s->values);
	free(s->devs);
	free(s->dev_texts);
	*s = (struct sysctls){0};
}

/* ---- reading ---- */

/* The folders of the schema in this namespace, opened when they are first needed. Those right below net/ have the
 * same name and parent in every namespace of the machine, so that each is looked up among all of them
 * (proc_sys_compare in fs/proc/proc_sysctl.c): each is opened once, and what is below it from there. */
struct folders {
	int root;
	struct {
		char name[32];
		int fd;
	} tops[SCHEMA_TOPS_MAX];
	size_t n_tops;
	int fds[SCHEMA_FOLDERS_MAX]; /* -1: not yet, -2: not there */
};

static void folders_begin(struct folders *f)
{
	f->root = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	f->n_tops = 0;
	for (size_t i = 0; i < SCHEMA_FOLDERS_MAX; i++)
		f->fds[i] = -1;
}

static void folders_end(struct folders *f)
{
	for (size_t i = 0; i < SCHEMA_FOLDERS_MAX; i++)
		if (f->fds[i] >= 0)
			close(f->fds[i]);
	for (size_t i = 0; i < f->n_tops; i++)
		if (f->tops[i].fd >= 0)
			close(f->tops[i].fd);
	if (f->root >= 0)
		close(f->root);
}

/* Where to open path ("net/ipv4/conf/all") from; it is moved to what is left of it ("conf/all", "."). */
static int folder_start(struct folders *f, const char **path)
{
	const char *slash = strchr(*path, '/');
	size_t len = slash ? strcspn(slash + 1, "/") + (size_t)(slash + 1 - *path) : 0, i;

	if (!slash || len >= sizeof(f->tops[0].name))
		return f->root;
	for (i = 0; i < f->n_tops; i++)
		if (!strncmp(f->tops[i].name, *path, len) && !f->tops[i].name[len])
			break;
	if (i == SCHEMA_TOPS_MAX)
		return f->root;
	if (i == f->n_tops) {
		memcpy(f->tops[i].name, *path, len);
		f->tops[i].name[len] = '\0';
		f->tops[i].fd = openat(f->root, f->tops[i].name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		f->n_tops++;
	}
	*path += len + ((*path)[len] == '/');
	if (!**path)
		*path = ".";
	return f->tops[i].fd;
}

static int folder_fd(struct folders *f, const struct sysctl_schema *x, uint32_t folder)
{
	const char *path = x->folders[folder];
	int *fd = &f->fds[folder];

	if (*fd == -1) {
		int start = folder_start(f, &path);

		*fd = start < 0 ? -1 : openat(start, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (*fd < 0)
			*fd = -2;
	}
	return *fd;
}

size_t sysctl_schema_n_files(const struct sysctl_schema *x)
{
	return x->n_files;
}

/* A file of a device that no message tells. */
struct dev_file {
	char dev[IFNAMSIZ];
	uint32_t file; /* of the schema */
	int fd;
	uint32_t at;  /* offset in text, UINT32_MAX: it cannot be read */
	bool is_gone; /* the device had another name, or did not exist, when it was to be read */
};

struct sysctl_files {
	size_t n, n_open;
	bool is_read;
	struct buf text;
	struct dev_file *devs; /* sorted */
	size_t n_devs;
	struct {
		int fd;      /* -1: not opened */
		uint32_t at; /* 1 + offset in text, 0: not read */
	} all[];             /* by file of the schema */
};

static int dev_file_cmp(const void *a, const void *b)
{
	const struct dev_file *x = a, *y = b;
	int c = strcmp(x->dev, y->dev);

	return c ? c : (x->file > y->file) - (x->file < y->file);
}

static int dev_file_add(struct sysctl_files *f, const struct dev_file *one, struct err *e)
{
	struct dev_file *all = f->devs;

	if (!(f->n_devs & (f->n_devs - 1))) {
		all = realloc(all, (f->n_devs ? f->n_devs * 2 : 1) * sizeof(*all));
		if (!all)
			return err_set(e, ERR_NOMEM, "files of sysctls");
		f->devs = all;
	}
	all[f->n_devs++] = *one;
	return 0;
}

static bool needs_files(const struct sysctl_schema *x, uint32_t folder)
{
	for (size_t i = 0; i < x->n_dev_files; i++)
		if (x->dev_files[i].folder == folder && x->dev_files[i].source == SYSCTL_FROM_FILE)
			return true;
	return false;
}

/* Those of one device, whose folder is in dirfd. */
static int dev_open(struct sysctl_files *f, const struct sysctl_schema *x, uint32_t folder,
		    int dirfd, const char *dev, size_t max, struct err *e)
{
	char path[512];

	for (uint32_t i = 0; i < x->n_dev_files && f->n_open < max; i++) {
		struct dev_file one = {.file = i};

		if (x->dev_files[i].folder != folder || x->dev_files[i].source != SYSCTL_FROM_FILE)
			continue;
		memcpy(one.dev, dev, strlen(dev) + 1);
		snprintf(path, sizeof(path), "%s/%s", dev, x->dev_files[i].leaf);
		one.fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
		if (one.fd < 0)
			continue;
		f->n_open++;
		if (dev_file_add(f, &one, e))
			return -1;
	}
	return 0;
}

static int devs_open(struct sysctl_files *f, const struct sysctl_schema *x, struct folders *folders,
		     size_t max, struct err *e)
{
	for (uint32_t i = 0; i < SYSCTL_DEV_FOLDER_COUNT; i++) {
		const char *path = sysctl_dev_folders[i];
		int start = needs_files(x, i) ? folder_start(folders, &path) : -1;
		int fd = start < 0 ? -1 : openat(start, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		auto_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
		struct dirent *de;

		if (fd >= 0 && !dir)
			close(fd);
		while (dir && (de = readdir(dir)))
			if (de->d_name[0] != '.' && strlen(de->d_name) < IFNAMSIZ &&
			    strcmp(de->d_name, "all") != 0 && strcmp(de->d_name, "default") != 0 &&
			    dev_open(f, x, i, fd, de->d_name, max, e))
				return -1;
	}
	if (f->n_devs)
		qsort(f->devs, f->n_devs, sizeof(*f->devs), dev_file_cmp);
	return 0;
}

struct sysctl_files *sysctl_files_open(const struct sysctl_schema *x, size_t max, struct err *e)
{
	struct sysctl_files *f = calloc(1, sizeof(*f) + x->n_files * sizeof(f->all[0]));
	struct folders folders;

	if (!f) {
		err_set(e, ERR_NOMEM, "files of sysctls");
		return NULL;
	}
	folders_begin(&folders);
	for (; f->n < x->n_files; f->n++) {
		const struct schema_file *file = &x->files[f->n];
		int dir = f->n_open < max ? folder_fd(&folders, x, file->folder) : -1;
		int fd = dir < 0 ? -1 : openat(dir, file->leaf, O_RDONLY | O_CLOEXEC);

		f->all[f->n].fd = fd;
		f->n_open += fd >= 0;
	}
	if (devs_open(f, x, &folders, max, e)) {
		sysctl_files_free(f);
		f = NULL;
	}
	folders_end(&folders);
	return f;
}

size_t sysctl_files_count(const struct sysctl_files *f)
{
	return f->n_open;
}

void sysctl_files_free(struct sysctl_files *f)
{
	if (!f)
		return;
	buf_free(&f->text);
	free(f->devs);
	free(f);
}

/* The file's text to text; *at is where, UINT32_MAX when it cannot be read (stable_secret gives EIO until it is
 * set). */
static int read_value(struct buf *text, int fd, uint32_t *at, struct err *e)
{
	char value[VALUE_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, value, sizeof(value));

	*at = UINT32_MAX;
	if (n < 0)
		return 0;
	while (n > 0 && value[n - 1] == '\n')
		n--;
	*at = (uint32_t)text->len;
	return buf_add(text, value, (size_t)n, e) || buf_add(text, "", 1, e) ? -1 : 0;
}

int sysctl_files_read(struct sysctl_files *f, struct err *e)
{
	for (size_t i = 0; i < f->n; i++) {
		uint32_t at;

		if (read_value(&f->text, f->all[i].fd, &at, e))
			return -1;
		f->all[i].at = at + 1; /* wraps to 0 */
	}
	for (size_t i = 0; i < f->n_devs; i++) {
		struct dev_file *d = &f->devs[i];

		errno = 0;
		if (read_value(&f->text, d->fd, &d->at, e))
			return -1;
		/* grab_header in fs/proc/proc_sysctl.c: while it can be read it is what has this name */
		d->is_gone = d->at == UINT32_MAX && errno == ENOENT;
	}
	f->is_read = true;
	return 0;
}

/* NULL: not opened, or gone. */
static const struct dev_file *dev_file_find(const struct sysctl_files *f, const char *dev,
					    uint32_t file)
{
	struct dev_file key = {.file = file};
	const struct dev_file *found;

	if (!f || !f->n_devs || strlen(dev) >= sizeof(key.dev))
		return NULL;
	strcpy(key.dev, dev);
	found = bsearch(&key, f->devs, f->n_devs, sizeof(*f->devs), dev_file_cmp);
	return found && !found->is_gone ? found : NULL;
}

static int read_file(struct sysctls *s, int dirfd, const char *file, uint32_t *at, struct err *e)
{
	auto_close int fd = dirfd < 0 ? -1 : openat(dirfd, file, O_RDONLY | O_CLOEXEC);

	return read_value(&s->text, fd, at, e);
}

static int read_files(struct sysctls *s, struct folders *f, const struct sysctl_files *done,
		      struct err *e)
{
	const struct sysctl_schema *x = s->schema;

	s->values = calloc(x->n_files + 1, sizeof(*s->values));
	if (!s->values)
		return err_set(e, ERR_NOMEM, "values of sysctls");
	if (done && buf_add(&s->text, done->text.data, done->text.len, e))
		return -1;
	for (size_t i = 0; i < x->n_files; i++) {
		const struct schema_file *file = &x->files[i];
		uint32_t at;

		if (done && done->all[i].fd >= 0) {
			s->values[i] = done->all[i].at;
			continue;
		}
		if (read_file(s, folder_fd(f, x, file->folder), file->leaf, &at, e))
			return -1;
		s->values[i] = at + 1; /* wraps to 0 */
	}
	return 0;
}

static int read_devs(struct sysctls *s, const struct buf *links, struct u64map *by_index,
		     struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0, n = 0;

	while (nl_msg_next(buf_span(links), &off))
		n++;
	s->devs = calloc(n + 1, sizeof(*s->devs));
	if (!s->devs)
		return err_set(e, ERR_NOMEM, "sysctls of %zu devices", n);
	for (off = 0; (h = nl_msg_next(buf_span(links), &off));) {
		const struct ifinfomsg *ifi = NLMSG_DATA(h);
		struct span name =
			nl_attr_data(nl_attr_find(nl_attrs(h, sizeof(*ifi)), IFLA_IFNAME));
		struct sysctl_dev *d = &s->devs[s->n_devs];

		d->name = name.len && !name.data[name.len - 1] ? (const char *)name.data : "";
		d->conf = devconf_of_link(h);
		if (u64map_put(by_index, (uint64_t)ifi->ifi_index, (uint32_t)s->n_devs++, e))
			return -1;
	}
	return 0;
}

static int read_neigh(struct sysctls *s, struct nl *rt, const struct u64map *by_index,
		      struct err *e)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	const struct nlmsghdr *h;
	size_t off = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (sysctl_neigh_dump(rt, families[i], &s->neigh, e))
			return -1;
	while ((h = nl_msg_next(buf_span(&s->neigh), &off))) {
		const struct ndtmsg *ndt = NLMSG_DATA(h);
		struct span parms = sysctl_neigh_parms(h);
		uint32_t index = neighconf_ifindex(parms), dev;

		if (index && u64map_find(by_index, index, &dev))
			s->devs[dev].neigh[ndt->ndtm_family == AF_INET6] = parms;
	}
	return 0;
}

/* What no message tells: stable_secret, files that are younger than our tables. */
static int read_dev_files(struct sysctls *s, struct folders *f, const struct sysctl_files *done,
			  struct err *e)
{
	const struct sysctl_schema *x = s->schema;
	size_t n_texts = 0;
	char path[512];

	for (size_t i = 0; i < x->n_dev_files; i++)
		n_texts += x->dev_files[i].source == SYSCTL_FROM_FILE;
	s->dev_texts = calloc(n_texts * s->n_devs + 1, sizeof(*s->dev_texts));
	if (!s->dev_texts)
		return err_set(e, ERR_NOMEM, "sysctls of %zu devices", s->n_devs);
	for (uint32_t d = 0; n_texts && d < s->n_devs; d++) {
		for (uint32_t i = 0; i < x->n_dev_files; i++) {
			const struct schema_dev_file *file = &x->dev_files[i];
			const struct dev_file *ahead;
			const char *rest = path;
			uint32_t at;
			int start;

			if (file->source != SYSCTL_FROM_FILE)
				continue;
			ahead = dev_file_find(done, s->devs[d].name, i);
			snprintf(path, sizeof(path), "%s%s/%s", sysctl_dev_folders[file->folder],
				 s->devs[d].name, file->leaf);
			start = ahead ? -1 : folder_start(f, &rest);
			if (ahead)
				at = ahead->at;
			else if (read_file(s, start, rest, &at, e))
				return -1;
			if (at != UINT32_MAX)
				s->dev_texts[s->n_dev_texts++] = (struct sysctl_dev_text){d, i, at};
		}
	}
	return 0;
}

int sysctls_read(struct sysctls *s, const struct sysctl_schema *schema,
		 const struct sysctl_files *files, struct nl *rt, const struct buf *links,
		 struct err *e)
{
	struct u64map by_index = {0};
	struct folders f;
	int r;

	s->schema = schema;
	if (files && !files->is_read)
		files = NULL;
	folders_begin(&f);
	r = f.root < 0 ? err_sys(e, ERR_IO, "open /proc/sys") : read_files(s, &f, files, e);
	if (!r && (read_devs(s, links, &by_index, e) || read_neigh(s, rt, &by_index, e) ||
		   read_dev_files(s, &f, files, e)))
		r = -1;
	folders_end(&f);
	u64map_free(&by_index);
	return r;
}

/* ---- asking ---- */

static const char *text_at(const struct sysctls *s, uint32_t off)
{
	return (const char *)s->text.data + off;
}

static bool file_value(const struct sysctls *s, int file, struct sysctl_value *v)
{
	if (file < 0 || !s->values[file])
		return false;
	v->text = text_at(s, s->values[file] - 1);
	return true;
}

static bool dev_value(const struct sysctls *s, uint32_t dev, uint32_t file, struct sysctl_value *v)
{
	const struct schema_dev_file *df = &s->schema->dev_files[file];
	const struct sysctl_dev *d = &s->devs[dev];
	bool v6 = sysctl_dev_is_v6(df->folder);
	size_t lo = 0, hi = s->n_dev_texts;

	v->text = NULL;
	if (df->source == SYSCTL_FROM_LINK)
		return devconf_at(&d->conf, v6 ? AF_INET6 : AF_INET, df->place, &v->number);
	if (df->source == SYSCTL_FROM_NEIGH)
		return neighconf_at(d->neigh[v6], df->place, &v->number);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct sysctl_dev_text *t = &s->dev_texts[mid];

		if (t->dev == dev && t->file == file) {
			v->text = text_at(s, t->value);
			return true;
		}
		if (t->dev < dev || (t->dev == dev && t->file < file))
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool sysctls_listed(const struct sysctls *s, enum sysctl_list list, size_t pos, int whose,
		    struct sysctl_value *v)
{
	const struct schema_place *p;

	if (!s->schema)
		return false;
	p = &s->schema->listed[list][pos];
	if (whose >= 0)
		return p->dev_file >= 0 && dev_value(s, (uint32_t)whose, (uint32_t)p->dev_file, v);
	return file_value(s, whose == SYSCTLS_DEFAULT ? p->dflt : p->file, v);
}

/* Has "all" or "default" another value than in a fresh namespace? */
static bool is_seed_changed(const struct sysctls *s, const struct schema_dev_file *df)
{
	const int seeds[] = {df->all, df->dflt};

	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
		struct sysctl_value v;

		if (file_value(s, seeds[i], &v) && s->schema->files[seeds[i]].fresh &&
		    strcmp(v.text, s->schema->files[seeds[i]].fresh) != 0)
			return true;
	}
	return false;
}

static int each_of_devices(const struct sysctls *s, const struct schema_dev_file *df, uint32_t file,
			   sysctl_fn *fn, void *arg, struct err *e)
{
	bool seed = is_seed_changed(s, df);
	char name[512], number[24];
	struct sysctl_value v;

	for (uint32_t d = 0; d < s->n_devs; d++) {
		int r;

		/* a device with such a name has no folder (sysctl_dev_name_is_allowed) */
		if (!strcmp(s->devs[d].name, "all") || !strcmp(s->devs[d].name, "default") ||
		    !dev_value(s, d, file, &v))
			continue;
		if (!seed && (v.text ? !strcmp(v.text, df->fresh) : v.number == df->fresh_number))
			continue;
		snprintf(name, sizeof(name), "%s%s/%s", sysctl_dev_folders[df->folder],
			 s->devs[d].name, df->leaf);
		snprintf(number, sizeof(number), "%lld", (long long)v.number);
		r = fn(name, v.text ? v.text : number, arg, e);
		if (r)
			return r;
	}
	return 0;
}

int sysctls_each_kept(const struct sysctls *s, sysctl_fn *fn, void *arg, struct err *e)
{
	const struct sysctl_schema *x = s->schema;
	struct sysctl_value v;
	int r;

	for (size_t i = 0; x && i < x->n_files; i++) {
		const struct schema_file *f = &x->files[i];

		if (f->is_listed || !f->fresh || !file_value(s, (int)i, &v))
			continue;
		if (!strcmp(v.text, f->fresh) &&
		    (f->seed_of < 0 || !is_seed_changed(s, &x->dev_files[f->seed_of])))
			continue;
		r = fn(f->name, v.text, arg, e);
		if (r)
			return r;
	}
	for (uint32_t i = 0; x && i < x->n_dev_files; i++) {
		const struct schema_dev_file *df = &x->dev_files[i];

		if (df->is_listed || !df->fresh)
			continue;
		r = each_of_devices(s, df, i, fn, arg, e);
		if (r)
			return r;
	}
	return 0;
}
