#include "dumper/net_sysctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dumper/net_scan.h"
#include "criu/nsimg.pb-c.h"
#include "proto/sysctl_tables.h"

enum {
	VALUE_MAX = 4096,
	DEPTH_MAX = 8,
	PATH_LEN = 512,
};

void sysctls_free(struct sysctls *s)
{
	buf_free(&s->text);
	free(s->all);
	*s = (struct sysctls){0};
}

static int sysctls_add(struct sysctls *s, const char *name, const char *value, size_t len,
		       bool writable, struct err *e)
{
	struct sysctl_val v = {.writable = writable};

	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 1024;
		struct sysctl_val *all = realloc(s->all, cap * sizeof(*all));

		if (!all)
			return err_set(e, ERR_NOMEM, "list of sysctls");
		s->all = all;
		s->cap = cap;
	}
	v.name = (uint32_t)s->text.len;
	if (buf_add(&s->text, name, strlen(name) + 1, e))
		return -1;
	v.value = (uint32_t)s->text.len;
	if (buf_add(&s->text, value, len, e) || buf_add(&s->text, "", 1, e))
		return -1;
	s->all[s->n++] = v;
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

/* A file that cannot be read has no value to keep: route/flush takes orders only, stable_secret gives EIO
 * until it is set. */
static int sysctls_read_one(struct sysctls *s, int dirfd, const char *file, const char *path,
			    bool with_mode, struct err *e)
{
	auto_close int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	char value[VALUE_MAX];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, value, sizeof(value));
	if (n < 0)
		return 0;
	while (n > 0 && value[n - 1] == '\n')
		n--;
	if (with_mode && fstat(fd, &st))
		return err_sys(e, ERR_IO, "stat /proc/sys/%s", path);
	return sysctls_add(s, path, value, (size_t)n, with_mode && (st.st_mode & 0222), e);
}

/* path holds the name of the folder and is used for those of what is in it. */
static int sysctls_walk(struct sysctls *s, int dirfd, char path[PATH_LEN], unsigned depth,
			bool with_mode, struct err *e)
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
			if (is_second_name(path)) {
				path[len] = '\0';
				continue;
			}
			r = sysctls_read_one(s, dirfd, de->d_name, path, with_mode, e);
		} else if (depth < DEPTH_MAX) {
			int sub = openat(dirfd, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			/* a device may go away meanwhile */
			r = sub < 0 ? 0 : sysctls_walk(s, sub, path, depth + 1, with_mode, e);
		}
		path[len] = '\0';
	}
	return r;
}

static int sysctls_cmp(const void *a, const void *b, void *text)
{
	const struct sysctl_val *x = a, *y = b;

	return strcmp((const char *)text + x->name, (const char *)text + y->name);
}

int sysctls_read(struct sysctls *s, bool with_mode, struct err *e)
{
	int fd = open("/proc/sys/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_LEN] = "net";

	if (fd < 0)
		return err_sys(e, ERR_IO, "open /proc/sys/net");
	if (sysctls_walk(s, fd, path, 0, with_mode, e))
		return -1;
	qsort_r(s->all, s->n, sizeof(*s->all), sysctls_cmp, s->text.data);
	return 0;
}

static const struct sysctl_val *sysctls_find(const struct sysctls *s, const char *name)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, sysctls_name(s, mid));

		if (!c)
			return &s->all[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const char *sysctls_get(const struct sysctls *s, const char *name)
{
	const struct sysctl_val *v = sysctls_find(s, name);

	return v ? (const char *)s->text.data + v->value : NULL;
}

/* The folders in which each device has its own values, seeded from "default". */
static const char *const device_folders[] = {
	"net/ipv4/conf/", "net/ipv6/conf/", "net/ipv4/neigh/", "net/ipv6/neigh/", "net/mpls/conf/",
};

/* Where the device begins in a name and how long it is; false: not the value of a device. */
static bool device_part(const char *name, size_t *at, size_t *len)
{
	for (size_t i = 0; i < ARRAY_SIZE(device_folders); i++) {
		size_t n = strlen(device_folders[i]);
		const char *slash =
			strncmp(name, device_folders[i], n) ? NULL : strchr(name + n, '/');

		if (slash) {
			*at = n;
			*len = (size_t)(slash - name) - n;
			return true;
		}
	}
	return false;
}

/* The same value of another device. */
static const struct sysctl_val *sysctls_of_device(const struct sysctls *s, const char *name,
						  size_t at, size_t len, const char *device)
{
	char other[PATH_LEN];

	if (snprintf(other, sizeof(other), "%.*s%s%s", (int)at, name, device, name + at + len) >=
	    (int)sizeof(other))
		return NULL;
	return sysctls_find(s, other);
}

/* Has "all" or "default" another value than in a fresh namespace? Then what a new device begins with depends
 * on when that value is set, and every device's own has to be kept. */
static bool is_seed_changed(const struct sysctls *s, const char *name, size_t at, size_t len,
			    const struct sysctls *fresh)
{
	static const char *const seeds[] = {"all", "default"};

	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
		const struct sysctl_val *a = sysctls_of_device(s, name, at, len, seeds[i]);
		const struct sysctl_val *b = sysctls_of_device(fresh, name, at, len, seeds[i]);

		if (a && b &&
		    strcmp((const char *)s->text.data + a->value,
			   (const char *)fresh->text.data + b->value) != 0)
			return true;
	}
	return false;
}

bool sysctls_is_kept(const struct sysctls *s, size_t i, const struct sysctls *fresh)
{
	const char *name = sysctls_name(s, i);
	const struct sysctl_val *was = sysctls_find(fresh, name);
	size_t at = 0, len = 0, pos;
	enum sysctl_list list;
	char device[IFNAMSIZ];
	bool of_device = device_part(name, &at, &len);

	if (sysctl_of_path(name, &list, &pos, device, sizeof(device)))
		return false;
	if (!was && of_device)
		was = sysctls_of_device(fresh, name, at, len, "default");
	/* neigh/default is only in the first namespace (neigh_sysctl_register) */
	if (!was && of_device)
		was = sysctls_of_device(fresh, name, at, len, "lo");
	/* What a fresh namespace does not have, only the first one of a machine has. */
	if (!was || !was->writable)
		return false;
	if (strcmp(sysctls_value(s, i), (const char *)fresh->text.data + was->value) != 0)
		return true;
	return of_device && is_seed_changed(s, name, at, len, fresh);
}

int net_write_sysctls(struct net_scan *s, struct img_writer *w, struct err *e)
{
	struct net_cache *cache = net_cache_get(s->d, e);
	bool any = false;

	if (!cache)
		return -1;
	for (size_t i = 0; i < s->sysctls.n; i++) {
		NsimgSysctlEntry entry = NSIMG_SYSCTL_ENTRY__INIT;
		const char *value = sysctls_value(&s->sysctls, i);

		if (!sysctls_is_kept(&s->sysctls, i, &cache->fresh))
			continue;
		entry.name = (char *)(uintptr_t)sysctls_name(&s->sysctls, i);
		if (s->d->opts.no_secrets && strstr(entry.name, "fastopen_key"))
			continue;
		entry.value.data = (uint8_t *)(uintptr_t)value;
		entry.value.len = strlen(value);
		if (!any && img_write_begin(w, IMG_NSIMG_SYSCTL, s->n->id, e))
			return -1;
		any = true;
		if (img_write_message(w, &entry.base, e))
			return -1;
	}
	return any ? img_write_end(w, e) : 0;
}
