/* Archives: one pass over the members hashes each, keeps what the header says of it, and puts the bytes that
 * rows need into a spool, because rows need files in another order than archives have them. The spool is a
 * file without a name beside the database, so it ends with the import, and is not larger than SPOOL_MAX. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/json.h"
#include "base/stop.h"
#include "imgdb/import_int.h"

enum {
	PAGE = 1 << 16,        /* alignment in the spool; files in it may be mapped */
	ENGINE_MAX = 4 << 20,  /* a file of an engine */
	UNKNOWN_MAX = 1 << 20, /* a file that looks as if it was of the image */
};
#define SPOOL_MAX ((uint64_t)8 << 30)

/* ---- the spool ---- */

static int open_spool(struct import *im, struct err *e)
{
	const char *db = sqlite3_db_filename(db_handle(im->db), "main");
	const char *slash = db ? strrchr(db, '/') : NULL;
	auto_free char *folder = slash ? strndup(db, (size_t)(slash - db) + 1) : NULL;

	if (folder)
		im->spoolfd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	/* a database in memory, or a file system without such files */
	if (im->spoolfd < 0)
		im->spoolfd = memfd_create("nsimg-spool", MFD_CLOEXEC);
	return im->spoolfd < 0 ? err_sys(e, ERR_IO, "%s: make a file for its content", im->source)
			       : 0;
}

static bool has_ending(const char *name, const char *ending)
{
	size_t n = strlen(name), k = strlen(ending);

	return n > k && !strcmp(name + n - k, ending);
}

/* ---- files of engines ---- */

struct engine_fact {
	const char *file, *path, *key; /* path: members, '|' between them */
};

/* Podman and CRI-O write config.dump and spec.dump into the archive (checkpointctl(1) shows some of it);
 * annotations are CRI-O's and containerd's. */
static const struct engine_fact engine_facts[] = {
	{"config.dump", "id", "container.id"},
	{"config.dump", "name", "container.name"},
	{"config.dump", "rootfsImageName", "container.image"},
	{"config.dump", "rootfsImageID", "container.image_id"},
	{"config.dump", "rootfsImageRef", "container.image_ref"},
	{"config.dump", "runtime", "container.runtime"},
	{"config.dump", "createdTime", "container.created"},
	{"config.dump", "checkpointedTime", "container.checkpointed"},
	{"config.dump", "command", "container.command"},
	{"config.dump", "CreateCommand", "container.create_command"},
	{"config.dump", "portMappings", "container.ports"},
	{"config.dump", "newPortMappings", "container.ports"},
	{"config.dump", "networks", "container.networks"},
	{"config.dump", "newNetworks", "container.networks"},
	{"spec.dump", "hostname", "container.hostname"},
	{"spec.dump", "process|args", "container.args"},
	{"spec.dump", "root|path", "container.root"},
	{"spec.dump", "linux|cgroupsPath", "container.cgroup"},
	{"spec.dump", "linux|namespaces", "container.namespaces"},
	{"spec.dump", "linux|sysctl", "container.sysctl"},
	{"spec.dump", "annotations|io.container.manager", "container.engine"},
	{"spec.dump", "annotations|io.kubernetes.container.name", "kubernetes.container"},
	{"spec.dump", "annotations|io.kubernetes.pod.name", "kubernetes.pod"},
	{"spec.dump", "annotations|io.kubernetes.pod.namespace", "kubernetes.namespace"},
	{"spec.dump", "annotations|io.kubernetes.pod.uid", "kubernetes.pod_uid"},
	{"spec.dump", "annotations|io.kubernetes.cri-o.ContainerName", "kubernetes.container_name"},
	{"spec.dump", "annotations|io.kubernetes.cri-o.ImageName", "container.image"},
	{"spec.dump", "annotations|io.kubernetes.cri-o.IP.0", "network.address"},
	{"spec.dump", "annotations|io.kubernetes.cri-o.IP.1", "network.address"},
	{"spec.dump", "annotations|io.kubernetes.cri.container-name", "kubernetes.container"},
	{"spec.dump", "annotations|io.kubernetes.cri.sandbox-name", "kubernetes.pod"},
	{"spec.dump", "annotations|io.kubernetes.cri.sandbox-namespace", "kubernetes.namespace"},
	{"spec.dump", "annotations|io.kubernetes.cri.image-name", "container.image"},
};
static const char network_status[] = "network.status";

static bool is_engine_file(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(engine_facts); i++)
		if (!strcmp(engine_facts[i].file, name))
			return true;
	return !strcmp(name, network_status);
}

/* A text as it is, anything else as JSON; null and what is empty is no fact. */
static int add_fact(struct import *im, const char *key, const struct json *v, struct err *e)
{
	auto_buf struct buf text = {0};
	const char *str = json_str(v);
	enum json_kind kind = json_kind(v);

	if (kind == JSON_KIND_NULL ||
	    (!json_len(v) && (kind == JSON_KIND_STR || kind >= JSON_KIND_ARRAY)))
		return 0;
	if (str)
		return import_fact(im, key, (struct span){(const uint8_t *)str, json_len(v)}, e);
	return json_print(v, false, &text, e) ? -1 : import_fact(im, key, buf_span(&text), e);
}

static const struct json *json_walk(const struct json *j, const char *path)
{
	char part[100];

	while (j && *path) {
		size_t n = strcspn(path, "|");

		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		j = json_get(j, part);
		path += n + (path[n] == '|');
	}
	return j;
}

static int add_interface_fact(struct import *im, const char *network, const char *device,
			      const char *what, const struct json *v, struct err *e)
{
	auto_buf struct buf key = {0};

	return buf_printf(&key, e, "network.%s.%s.%s", network, device, what) ||
	       add_fact(im, (const char *)key.data, v, e);
}

/* {"NETWORK": {"interfaces": {"eth0": {"mac_address", "subnets": [{"ipnet", "gateway"}]}}}}: netavark's
 * status block, as podman since 4.0 writes it. */
static int netavark_facts(struct import *im, const struct json *status, struct err *e)
{
	const struct json *net, *dev;
	const char *net_name, *dev_name;
	void *i = NULL;

	while (json_next(status, &i, &net_name, &net)) {
		void *k = NULL;

		while (json_next(json_get(net, "interfaces"), &k, &dev_name, &dev)) {
			const struct json *subnets = json_get(dev, "subnets");

			if (add_interface_fact(im, net_name, dev_name, "mac",
					       json_get(dev, "mac_address"), e))
				return -1;
			for (size_t s = 0; s < json_len(subnets); s++)
				if (add_interface_fact(im, net_name, dev_name, "address",
						       json_get(json_at(subnets, s), "ipnet"), e) ||
				    add_interface_fact(im, net_name, dev_name, "gateway",
						       json_get(json_at(subnets, s), "gateway"), e))
					return -1;
		}
	}
	return 0;
}

/* [{"interfaces": [{"name", "mac", "sandbox"}], "ips": [{"interface": 2, "address", "gateway"}]}]: a CNI
 * result (CNI specification, "Success"), as podman 3 wrote it. Interfaces without a sandbox are the host's. */
static int cni_facts(struct import *im, const struct json *status, struct err *e)
{
	char network[32];

	for (size_t i = 0; i < json_len(status); i++) {
		const struct json *interfaces = json_get(json_at(status, i), "interfaces");
		const struct json *ips = json_get(json_at(status, i), "ips");

		snprintf(network, sizeof(network), "%zu", i);
		for (size_t k = 0; k < json_len(interfaces); k++) {
			const struct json *d = json_at(interfaces, k);
			const char *name = json_str(json_get(d, "name"));

			if (json_len(json_get(d, "sandbox")) &&
			    add_interface_fact(im, network, name ? name : "?", "mac",
					       json_get(d, "mac"), e))
				return -1;
		}
		for (size_t k = 0; k < json_len(ips); k++) {
			const struct json *ip = json_at(ips, k);
			struct err none = ERR_INIT;
			uint64_t at = UINT64_MAX;
			const char *name = NULL;

			if (!json_to_uint(json_get(ip, "interface"), &at, "interface", &none))
				name = json_str(json_get(json_at(interfaces, at), "name"));
			if (add_interface_fact(im, network, name ? name : "?", "address",
					       json_get(ip, "address"), e) ||
			    add_interface_fact(im, network, name ? name : "?", "gateway",
					       json_get(ip, "gateway"), e))
				return -1;
		}
	}
	return 0;
}

static int add_engine_file(struct import *im, const char *name, struct span text, struct err *e)
{
	struct sql_table *t = &im->table[T_ENGINE_FILE];
	auto_buf struct buf own = {0};
	struct sql_row row = {.text = &own};

	sql_row_clear(&row, t);
	import_origin(im, T_ENGINE_FILE, &row, NULL);
	sql_set_lent(&row, sql_column_find(t, "content"), QUERY_TEXT, text);
	return import_set_str(&row, t, "name", name, e) || import_insert(im, T_ENGINE_FILE, &row, e)
		       ? -1
		       : 0;
}

int import_engine_file(struct import *im, struct import_file *f, struct span all, struct err *e)
{
	auto_json struct json *j = NULL;

	if (!is_engine_file(f->name))
		return 0;
	j = json_parse(all.data ? (const char *)all.data : "", all.len, e);
	if (!j) {
		err_wrap(e, "%s: %s", im->source, f->name);
		return import_salvage(im, f, NULL, 0, e);
	}
	im->cur = f;
	if (add_engine_file(im, f->name, all, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(engine_facts); i++)
		if (!strcmp(engine_facts[i].file, f->name) &&
		    add_fact(im, engine_facts[i].key, json_walk(j, engine_facts[i].path), e))
			return -1;
	if (!strcmp(f->name, network_status) &&
	    (json_kind(j) == JSON_KIND_ARRAY ? cni_facts(im, j, e) : netavark_facts(im, j, e)))
		return -1;
	im->cur = NULL;
	return 0;
}

/* ---- members ---- */

static bool is_spooled(const struct import_file *f)
{
	if (f->type)
		return import_kind_of(f) ||
		       ((f->type->flags & IMG_STORED) && f->type->extra == IMG_EXTRA_NONE) ||
		       (f->size <= IMPORT_CONTENT_MAX && !import_is_bulk(f));
	if (is_engine_file(f->name))
		return f->size <= ENGINE_MAX;
	return f->size <= UNKNOWN_MAX &&
	       (has_ending(f->name, ".img") || has_ending(f->name, ".json"));
}

static int spool_begin(struct import *im, struct import_file *f, struct err *e)
{
	f->spool_off = (im->spool_len + PAGE - 1) / PAGE * PAGE;
	if (f->size > SPOOL_MAX || f->spool_off + f->size > SPOOL_MAX)
		return err_set(e, ERR_RANGE,
			       "%s: member %s: the image files are larger together than %llu bytes",
			       im->source, f->name, (unsigned long long)SPOOL_MAX);
	im->spool_len = f->spool_off + f->size;
	if (lseek(im->spoolfd, (off_t)f->spool_off, SEEK_SET) < 0)
		return err_sys(e, ERR_IO, "spool of %s", im->source);
	return 0;
}

/* The bytes of a member, hashed and spooled. *got: how many there were. */
static int read_member(struct import *im, struct import_file *f, uint8_t *piece, uint64_t *got,
		       struct err *e)
{
	auto_hash struct hash *h = hash_new(e);
	struct err damage = ERR_INIT;
	size_t n = 0;
	int rc;

	if (!h)
		return -1;
	while (!(rc = arc_read(im->arc, piece, IMPORT_CHUNK, &n, &damage)) && n) {
		*got += n;
		progress_say(im->opts->progress, im->n_files, 0, "%s", f->name);
		if (stop_check(e) || hash_update(h, piece, n, e) ||
		    (f->is_spooled && io_write_full(im->spoolfd, piece, n, f->name, e)))
			return -1;
	}
	if (hash_final(h, f->sha256, e))
		return -1;
	if (rc)
		*e = damage;
	return rc;
}

static int add_member(struct import *im, const struct arc_member *m, uint8_t *piece, struct err *e)
{
	struct import_file *f;
	uint64_t got = 0;

	if (m->kind != ARC_FILE)
		return import_member_add(im, m, NULL, e);
	if (import_file_add(im, m->path, m->size, m->mode, e))
		return -1;
	f = &im->file[im->n_files - 1];
	f->id = im->next_file++;
	f->is_spooled = is_spooled(f);
	if (import_member_add(im, m, f, e) || (f->is_spooled && spool_begin(im, f, e)))
		return -1;
	if (!read_member(im, f, piece, &got, e))
		return 0;
	if (e->code != ERR_FORMAT || !im->opts->salvage)
		return -1;
	f->size = got;
	return import_salvage(im, f, NULL, (size_t)got, e);
}

/* Damage of the archive between two members, or before the first: then without salvage it may be anything. */
static int archive_damage(struct import *im, struct err *e)
{
	struct err damage = *e;

	if (!im->opts->salvage || e->code != ERR_FORMAT)
		return e->code != ERR_FORMAT || !im->n_files || im->opts->salvage
			       ? -1
			       : err_set(e, ERR_FORMAT, "%s (--salvage imports what comes before)",
					 damage.msg);
	*e = (struct err)ERR_INIT;
	return import_note(im, NULL, "damage", im->source, damage.msg, e);
}

static int read_members(struct import *im, struct err *e)
{
	auto_free uint8_t *piece = malloc(IMPORT_CHUNK);
	struct arc_member m;
	int rc;

	if (!piece)
		return err_set(e, ERR_NOMEM, "out of memory");
	rc = arc_next(im->arc, &m, e);
	while (rc) {
		if (rc == 1 && add_member(im, &m, piece, e))
			return archive_damage(im, e);
		/* nothing can be read after damage inside a member */
		if (rc == 1 && im->n_files && im->file[im->n_files - 1].damage)
			return 0;
		if (rc == 1) {
			rc = arc_next(im->arc, &m, e);
			continue;
		}
		/* a header that is damaged hides its member; others come after it */
		if (archive_damage(im, e))
			return -1;
		rc = arc_resync(im->arc, &m, e);
	}
	return 0;
}

/* ---- which folder is the image ---- */

static size_t folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static unsigned depth_of(const char *path)
{
	unsigned n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* The file whose folder is the image: the inventory nearest to the top ("checkpoint/" of engines before
 * "pre-checkpoint/"), else, of a damaged image, any image file. */
static const struct import_file *find_image(const struct import *im)
{
	const struct import_file *best = NULL;
	bool best_is_inventory = false;

	for (size_t i = 0; i < im->n_files; i++) {
		const struct import_file *f = &im->file[i];
		bool is_inventory = f->type && img_type_kind(f->type) == IMG_INVENTORY;
		int order;

		if (!f->type || !f->type->magic || f->type->head == IMG_HEAD_SERVICE)
			continue;
		order = !best ? 1 : (int)is_inventory - (int)best_is_inventory;
		if (!order)
			order = (int)depth_of(best->name) - (int)depth_of(f->name);
		if (!order && is_inventory)
			order = strcmp(best->name, f->name);
		if (order > 0) {
			best = f;
			best_is_inventory = is_inventory;
		}
	}
	return best;
}

/* Files elsewhere that only have names as image files do are other files (stats-dump of an engine). */
static void choose_folder(struct import *im)
{
	const struct import_file *image = find_image(im);
	size_t len = image ? folder_len(image->name) : 0;

	for (size_t i = 0; image && i < im->n_files; i++) {
		struct import_file *f = &im->file[i];

		if (folder_len(f->name) != len || strncmp(f->name, image->name, len) != 0)
			f->type = NULL;
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two members of one name: which one a reader takes depends on the reader, so neither is evidence. */
static int check_names(const struct import *im, struct err *e)
{
	auto_free const char **name = im->n_files ? calloc(im->n_files, sizeof(*name)) : NULL;

	if (!im->n_files)
		return 0;
	if (!name)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < im->n_files; i++)
		name[i] = im->file[i].name;
	qsort(name, im->n_files, sizeof(*name), by_text);
	for (size_t i = 1; i < im->n_files; i++)
		if (!strcmp(name[i - 1], name[i]))
			return err_set(e, ERR_CONFLICT, "%s: member %s is twice in the archive",
				       im->source, name[i]);
	return 0;
}

int import_members(struct import *im, struct err *e)
{
	struct err cut = ERR_INIT;
	char hex[65], size[24];
	uint64_t n;

	if (open_spool(im, e) || read_members(im, e) || check_names(im, e))
		return -1;
	choose_folder(im);
	/* of a damaged archive, which salvage read as far as it goes, there may be no more to read */
	if (arc_digest(im->arc, hex, &n, &cut))
		return 0;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)n);
	return import_fact(im, "archive.sha256", (struct span){(const uint8_t *)hex, 64}, e) ||
			       import_fact(im, "archive.size",
					   (struct span){(const uint8_t *)size, strlen(size)}, e)
		       ? -1
		       : 0;
}
