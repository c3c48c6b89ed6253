#include "dumper/sysctl_schema.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum {
	VALUE_MAX = 4096,
	DEPTH_MAX = 8,
	PATH_LEN = 512,
};

const char *const sysctl_dev_folders[SYSCTL_DEV_FOLDER_COUNT] = {
	[SYSCTL_DEV_CONF4] = "net/ipv4/conf/",   [SYSCTL_DEV_CONF6] = "net/ipv6/conf/",
	[SYSCTL_DEV_NEIGH4] = "net/ipv4/neigh/", [SYSCTL_DEV_NEIGH6] = "net/ipv6/neigh/",
	[SYSCTL_DEV_MPLS] = "net/mpls/conf/",
};

/* ---- what the fresh namespace has ---- */

/* A file that can be opened for reading. */
struct found {
	uint32_t name, value; /* offsets in text; value UINT32_MAX: it cannot be read as it is */
	bool writable;
};

struct finding {
	struct buf *text;
	struct found *all; /* by name, once all is found */
	size_t n, cap;
};

static int found_add(struct finding *f, const char *name, const char *value, ssize_t len,
		     bool writable, struct err *e)
{
	struct found one = {(uint32_t)f->text->len, UINT32_MAX, writable};

	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 1024;
		struct found *all = realloc(f->all, cap * sizeof(*all));

		if (!all)
			return err_set(e, ERR_NOMEM, "list of sysctls");
		f->all = all;
		f->cap = cap;
	}
	if (buf_add(f->text, name, strlen(name) + 1, e))
		return -1;
	if (len >= 0) {
		one.value = (uint32_t)f->text->len;
		if (buf_add(f->text, value, (size_t)len, e) || buf_add(f->text, "", 1, e))
			return -1;
	}
	f->all[f->n++] = one;
	return 0;
}

/* Second names of values that are kept under their first one, which says it more exactly: seconds and
 * packets where there are milliseconds and bytes (net/core/neighbour.c), all/forwarding (devinet.c). */
static const char *const second_names[] = {
	"net/ipv4/ip_forward",
	"/base_reachable_time",
	"/retrans_time",
	"/unres_qlen",
};

static bool is_second_name(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(second_names); i++) {
		size_t n = strlen(second_names[i]);

		if (len >= n && !strcmp(name + len - n, second_names[i]))
			return true;
	}
	return false;
}

/* A file that cannot be opened for reading has no value to keep: route/flush takes orders only. */
static int find_one(struct finding *f, int dirfd, const char *leaf, const char *path, struct err *e)
{
	auto_close int fd = openat(dirfd, leaf, O_RDONLY | O_CLOEXEC);
	char value[VALUE_MAX];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, value, sizeof(value));
	while (n > 0 && value[n - 1] == '\n')
		n--;
	if (fstat(fd, &st))
		return err_sys(e, ERR_IO, "stat /proc/sys/%s", path);
	return found_add(f, path, value, n, st.st_mode & 0222, e);
}

/* path holds the name of the folder and is used for those of what is in it. */
static int find_all(struct finding *f, int dirfd, char path[PATH_LEN], unsigned depth,
		    struct err *e)
{
	auto_dir DIR *dir = fdopendir(dirfd); /* takes dirfd */
	size_t len = strlen(path);
	struct dirent *de;
	int r = 0;

	if (!dir) {
		err_sys(e, ERR_IO, "list /proc/sys/%s", path);
		close(dirfd);
		return -1;
	}
	while (!r && (de = readdir(dir))) {
		if (de->d_name[0] == '.' && (!de->d_name[1] || !strcmp(de->d_name, "..")))
			continue;
		if (snprintf(path + len, PATH_LEN - len, "/%s", de->d_name) >=
		    (int)(PATH_LEN - len))
			continue;
		if (de->d_type != DT_DIR) {
			if (!is_second_name(path))
				r = find_one(f, dirfd, de->d_name, path, e);
		} else if (depth < DEPTH_MAX) {
			int sub = openat(dirfd, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			r = sub < 0 ? 0 : find_all(f, sub, path, depth + 1, e);
		}
		path[len] = '\0';
	}
	return r;
}

static int found_cmp(const void *a, const void *b, void *text)
{
	const struct found *x = a, *y = b;

	return strcmp((const char *)text + x->name, (const char *)text + y->name);
}

static int find(struct finding *f, struct err *e)
{
	int fd = open("/proc/sys/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_LEN] = "net";

	if (fd < 0)
		return err_sys(e, ERR_IO, "open /proc/sys/net");
	if (find_all(f, fd, path, 0, e))
		return -1;
	if (f->n)
		qsort_r(f->all, f->n, sizeof(*f->all), found_cmp, f->text->data);
	return 0;
}

/* ---- the schema of it ---- */

/* Which folder of devices a name is in, how long its device is and where that begins; -1: none. */
static int device_part(const char *name, size_t *at, size_t *len)
{
	for (int i = 0; i < SYSCTL_DEV_FOLDER_COUNT; i++) {
		size_t n = strlen(sysctl_dev_folders[i]);
		const char *slash =
			strncmp(name, sysctl_dev_folders[i], n) ? NULL : strchr(name + n, '/');

		if (slash) {
			*at = n;
			*len = (size_t)(slash - name) - n;
			return i;
		}
	}
	return -1;
}

static bool is_device(const char *name, size_t at, size_t len, const char *device)
{
	return len == strlen(device) && !memcmp(name + at, device, len);
}

static int folder_of(struct sysctl_schema *x, const char *name, size_t len, struct err *e)
{
	for (size_t i = x->n_folders; i-- > 0;)
		if (!strncmp(x->folders[i], name, len) && !x->folders[i][len])
			return (int)i;
	if (x->n_folders == SCHEMA_FOLDERS_MAX)
		return err_set(e, ERR_RANGE, "more than %d folders of sysctls", SCHEMA_FOLDERS_MAX);
	x->folders[x->n_folders] = strndup(name, len);
	if (!x->folders[x->n_folders])
		return err_set(e, ERR_NOMEM, "folder of sysctls");
	return (int)x->n_folders++;
}

static int file_add(struct sysctl_schema *x, const struct found *f, struct err *e)
{
	struct schema_file *file = &x->files[x->n_files];
	enum sysctl_list list;
	char device[IFNAMSIZ];
	size_t pos;
	int folder;

	file->name = (const char *)x->text.data + f->name;
	file->fresh = f->value == UINT32_MAX ? NULL : (const char *)x->text.data + f->value;
	file->leaf = strrchr(file->name, '/') + 1;
	file->seed_of = -1;
	file->is_listed = sysctl_of_path(file->name, &list, &pos, device, sizeof(device));
	if (!file->is_listed && (!f->writable || !file->fresh))
		return 0;
	folder = folder_of(x, file->name, (size_t)(file->leaf - 1 - file->name), e);
	if (folder < 0)
		return -1;
	file->folder = (uint32_t)folder;
	x->n_files++;
	return 0;
}

static void dev_file_add(struct sysctl_schema *x, const struct found *f, int folder)
{
	struct schema_dev_file *df = &x->dev_files[x->n_dev_files];
	const char *name = (const char *)x->text.data + f->name;
	enum sysctl_list list;
	char device[IFNAMSIZ];
	size_t pos;

	df->leaf = strrchr(name, '/') + 1;
	df->fresh = f->value == UINT32_MAX ? NULL : (const char *)x->text.data + f->value;
	df->folder = (enum sysctl_dev_folder)folder;
	df->is_listed = sysctl_of_path(name, &list, &pos, device, sizeof(device));
	if (df->is_listed || (f->writable && df->fresh))
		x->n_dev_files++;
}

static int schema_split(struct sysctl_schema *x, const struct finding *f, struct err *e)
{
	if (!f->n || !x->text.data)
		return err_set(e, ERR_IO, "/proc/sys/net is empty");
	x->files = calloc(f->n + 1, sizeof(*x->files));
	x->dev_files = calloc(f->n + 1, sizeof(*x->dev_files));
	if (!x->files || !x->dev_files)
		return err_set(e, ERR_NOMEM, "list of sysctls");
	for (size_t i = 0; i < f->n; i++) {
		const char *name = (const char *)x->text.data + f->all[i].name;
		size_t at, len;
		int folder = device_part(name, &at, &len);

		if (folder < 0 || is_device(name, at, len, "all") ||
		    is_device(name, at, len, "default")) {
			if (file_add(x, &f->all[i], e))
				return -1;
		} else if (is_device(name, at, len, "lo")) {
			dev_file_add(x, &f->all[i], folder);
		}
	}
	return 0;
}

static int file_find(const struct sysctl_schema *x, const char *name)
{
	size_t lo = 0, hi = x->n_files;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, x->files[mid].name);

		if (!c)
			return (int)mid;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -1;
}

static int seed_find(struct sysctl_schema *x, size_t dev_file, const char *device)
{
	const struct schema_dev_file *df = &x->dev_files[dev_file];
	char name[PATH_LEN];
	int file;

	snprintf(name, sizeof(name), "%s%s/%s", sysctl_dev_folders[df->folder], device, df->leaf);
	file = file_find(x, name);
	if (file >= 0)
		x->files[file].seed_of = (int)dev_file;
	return file;
}

/* What a new device begins with is what "default" says, where there is one (neigh/default is only in the first
 * namespace, neigh_sysctl_register). */
static void schema_seeds(struct sysctl_schema *x)
{
	for (size_t i = 0; i < x->n_dev_files; i++) {
		struct schema_dev_file *df = &x->dev_files[i];

		df->all = seed_find(x, i, "all");
		df->dflt = seed_find(x, i, "default");
	}
}

static void schema_lists(struct sysctl_schema *x)
{
	char path[PATH_LEN];

	for (int list = 0; list < SYSCTL_LIST_COUNT; list++)
		for (size_t pos = 0; pos < sysctl_count(list); pos++) {
			struct schema_place *p = &x->listed[list][pos];

			*p = (struct schema_place){-1, -1, -1};
			if (sysctl_path(list, pos, "all", path, sizeof(path)))
				p->file = file_find(x, path);
			if (sysctl_path(list, pos, "default", path, sizeof(path)))
				p->dflt = file_find(x, path);
			for (size_t i = 0; i < x->n_dev_files; i++) {
				const struct schema_dev_file *df = &x->dev_files[i];

				if (((list == SYSCTL_CONF4 && df->folder == SYSCTL_DEV_CONF4) ||
				     (list == SYSCTL_CONF6 && df->folder == SYSCTL_DEV_CONF6)) &&
				    !strcmp(df->leaf, sysctl_name(list, pos)))
					p->dev_file = (int)i;
			}
		}
}

/* ---- what messages tell ---- */

int sysctl_neigh_dump(struct nl *rt, uint8_t family, struct buf *out, struct err *e)
{
	struct ndtmsg ndt = {.ndtm_family = family};
	auto_buf struct buf req = {0};

	return nl_msg_begin(&req, RTM_GETNEIGHTBL, 0, &ndt, sizeof(ndt), e) ||
			       nl_dump_raw(rt, &req, out, "neighbour tables", e)
		       ? -1
		       : 0;
}

struct span sysctl_neigh_parms(const struct nlmsghdr *h)
{
	return nl_attr_data(nl_attr_find(nl_attrs(h, sizeof(struct ndtmsg)), NDTA_PARMS));
}

/* The messages about lo, which a fresh namespace has as its only device with neighbour tables of its own. */
struct lo {
	struct buf links, tables;
	struct devconf conf;
	struct span neigh[2];
};

static int lo_read(struct lo *lo, struct nl *rt, struct err *e)
{
	struct ifinfomsg ifi = {0};
	auto_buf struct buf req = {0};
	const struct nlmsghdr *h;
	int index = 0;
	size_t off;

	if (nl_msg_begin(&req, RTM_GETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_put_u32(&req, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS, e) ||
	    nl_dump_raw(rt, &req, &lo->links, "devices", e) ||
	    sysctl_neigh_dump(rt, AF_INET, &lo->tables, e) ||
	    sysctl_neigh_dump(rt, AF_INET6, &lo->tables, e))
		return -1;
	for (off = 0; !index && (h = nl_msg_next(buf_span(&lo->links), &off));) {
		const struct ifinfomsg *is = NLMSG_DATA(h);

		if (is->ifi_flags & IFF_LOOPBACK) {
			index = is->ifi_index;
			lo->conf = devconf_of_link(h);
		}
	}
	for (off = 0; (h = nl_msg_next(buf_span(&lo->tables), &off));) {
		const struct ndtmsg *ndt = NLMSG_DATA(h);
		struct span parms = sysctl_neigh_parms(h);

		if (index && neighconf_ifindex(parms) == (uint32_t)index)
			lo->neigh[ndt->ndtm_family == AF_INET6] = parms;
	}
	return 0;
}

/* Does the message tell of lo what its file says? */
static void choose_source(struct schema_dev_file *df, const struct lo *lo)
{
	bool v6 = sysctl_dev_is_v6(df->folder), told = false;
	bool conf = df->folder == SYSCTL_DEV_CONF4 || df->folder == SYSCTL_DEV_CONF6;
	int64_t value = 0;
	char text[24];

	if (df->folder == SYSCTL_DEV_MPLS || !df->fresh)
		return;
	df->place =
		conf ? devconf_place(v6 ? AF_INET6 : AF_INET, df->leaf) : neighconf_place(df->leaf);
	if (df->place >= 0)
		told = conf ? devconf_at(&lo->conf, v6 ? AF_INET6 : AF_INET, df->place, &value)
			    : neighconf_at(lo->neigh[v6], df->place, &value);
	snprintf(text, sizeof(text), "%lld", (long long)value);
	if (told && !strcmp(text, df->fresh))
		df->source = conf ? SYSCTL_FROM_LINK : SYSCTL_FROM_NEIGH;
}

static int schema_sources(struct sysctl_schema *x, struct nl *rt, struct err *e)
{
	struct lo lo = {0};
	int r = lo_read(&lo, rt, e);

	for (size_t i = 0; !r && i < x->n_dev_files; i++) {
		struct schema_dev_file *df = &x->dev_files[i];

		choose_source(df, &lo);
		/* what was of lo until here */
		if (df->dflt >= 0)
			df->fresh = x->files[df->dflt].fresh;
		if (df->fresh)
			df->fresh_number = strtoll(df->fresh, NULL, 10);
	}
	buf_free(&lo.links);
	buf_free(&lo.tables);
	return r;
}

struct sysctl_schema *sysctl_schema_read(struct nl *rt, struct err *e)
{
	struct sysctl_schema *x = calloc(1, sizeof(*x));
	struct finding f = {0};
	int r;

	if (!x) {
		err_set(e, ERR_NOMEM, "list of sysctls");
		return NULL;
	}
	f.text = &x->text;
	r = find(&f, e) || schema_split(x, &f, e) ? -1 : 0;
	free(f.all);
	if (!r) {
		schema_seeds(x);
		schema_lists(x);
		r = schema_sources(x, rt, e);
	}
	if (r) {
		sysctl_schema_free(x);
		return NULL;
	}
	return x;
}

void sysctl_schema_free(struct sysctl_schema *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n_folders; i++)
		free(x->folders[i]);
	buf_free(&x->text);
	free(x->files);
	free(x->dev_files);
	free(x);
}
